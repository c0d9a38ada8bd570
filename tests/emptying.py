"""How the database is emptied behind a test that commits: all tables but those that only a migration fills.

Django's own way makes the rows of content types and permissions anew behind every test, which takes longer than
emptying all the others.
"""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.color import no_style
from django.db import DEFAULT_DB_ALIAS, connections
from django.test import TransactionTestCase

KEPT = ("django_content_type", "auth_permission")
_known: dict[str, Any] = {}
"""Of each database, what these tables had behind the first test."""


def install() -> None:
    TransactionTestCase._fixture_teardown = _empty_all  # type: ignore[attr-defined]  # stubs have no private names


def _empty_all(case: Any) -> None:
    for alias in case._databases_names(include_mirrors=False):
        if alias == DEFAULT_DB_ALIAS and alias in _known and _known[alias] == _kept(alias):
            _empty(alias)
        else:
            call_command("flush", verbosity=0, interactive=False, database=alias, reset_sequences=False)
            _known[alias] = _kept(alias)


def _empty(alias: str) -> None:
    connection = connections[alias]
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    connection.ops.execute_sql_flush(
        connection.ops.sql_flush(no_style(), [each for each in tables if each not in KEPT], reset_sequences=False)
    )


def _kept(alias: str) -> Any:
    """Changes with any row of these tables."""
    with connections[alias].cursor() as cursor:
        cursor.execute(
            " UNION ALL ".join(f"SELECT md5(string_agg(t::text, '/' ORDER BY id)) FROM {each} t" for each in KEPT)
        )
        return cursor.fetchall()
