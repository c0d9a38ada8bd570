"""System checks of the databases that rows are read from."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import psycopg
from django.apps import AppConfig
from django.contrib.auth.models import AnonymousUser
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections, router
from psycopg import conninfo

from exports_app import conf, upgrades
from exports_app.connections import require_postgresql
from exports_app.resources import registry, shapes
from exports_app.resources.base import Resource


@checks.register("exports")
def check_databases(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[checks.CheckMessage]:
    """Those of the resources, and the replicas that settings name."""
    problems: list[checks.CheckMessage] = []
    for declared in registry.every():
        alias = _alias(declared)
        if alias is None or alias == DEFAULT_DB_ALIAS:  # which has a check of its own
            continue
        try:
            require_postgresql(alias)
        except ImproperlyConfigured as error:
            path = f"{declared.__module__}.{declared.__qualname__}"
            hint = "See get_queryset(), .using() and DATABASE_ROUTERS."
            problems.append(checks.Error(f"{path}: {error}", hint=hint, obj=declared, id="exports.E025"))
    return [*problems, *_replica_problems()]


@checks.register("exports", checks.Tags.database)
def check_migrations(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **_: Any
) -> list[checks.CheckMessage]:
    """Where ``--database`` names ours. A warning, as an error would keep ``migrate`` itself from running."""
    if DEFAULT_DB_ALIAS not in (databases or ()) or sys.argv[1:2] == ["migrate"]:
        return []
    try:
        lacking = upgrades.look()
    except (DatabaseError, InterfaceError):
        return []  # which has nothing to do with its tables
    if not lacking:
        return []
    return [
        checks.Warning(
            f"The database lacks migrations of exports_app: {', '.join(lacking)}.",
            hint="Run manage.py migrate before the workers and the web processes of this release start.",
            id="exports.W027",
        )
    ]


def _replica_problems() -> Iterator[checks.CheckMessage]:
    """Never with the URL itself, which may have a password in it."""
    urls: Any = conf.settings.SOURCE_DATABASE_URLS
    if not isinstance(urls, Mapping):
        yield _replica_error("EXPORTS_SOURCE_DATABASE_URLS is no dict of aliases and URLs.")
        return
    for alias in urls:
        if alias not in connections:
            yield _replica_error(f"EXPORTS_SOURCE_DATABASE_URLS names {alias!r}, which DATABASES does not have.")
    named = {f"EXPORTS_SOURCE_DATABASE_URLS[{alias!r}]": url for alias, url in urls.items()}
    for name, url in {"EXPORTS_SOURCE_DATABASE_URL": conf.settings.SOURCE_DATABASE_URL, **named}.items():
        try:
            conninfo.conninfo_to_dict(url)
        except (psycopg.Error, AttributeError, TypeError):
            yield _replica_error(f"{name} is no address of a PostgreSQL database.")


def _replica_error(problem: str) -> checks.CheckMessage:
    hint = "Write {'alias': 'postgresql://user:password@host:5432/name?sslmode=require'}."
    return checks.Error(problem, hint=hint, id="exports.E026")


def _alias(declared: type[Resource]) -> str | None:
    """The database that its rows are read from, as far as that can be told without a user and the database."""
    if any(shapes.problems(declared)) or declared.is_python():
        return None
    try:
        with ExitStack() as stack:
            for each in connections.all():
                stack.enter_context(each.execute_wrapper(_no_query))
            return str(declared().get_queryset(AnonymousUser()).db)
    except Exception:  # whatever it needs; when somebody asks for its rows, it will be there or refused
        return router.db_for_read(declared.model) if isinstance(declared.model, type) else None


def _no_query(*_: Any) -> Any:
    raise RuntimeError("Checks ask the database nothing.")
