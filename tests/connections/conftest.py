"""Tables beside those of the site, databases beside the default one, and what an export has of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from exports_app import questions
from exports_app.resources import Resource, register, registry
from tests.connections.reading import Declare, Sql

SCHEMAS = ("here", "there")
"""Each has orders of its own, in a table of the same name."""
ORDERS = {"public": "(1, 'public')", "here": "(1, 'here'), (2, 'also here')", "there": "(1, 'there')"}


@pytest.fixture
def sql(transactional_db: None) -> Sql:
    def execute(statement: str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    return execute


@pytest.fixture
def orders(sql: Sql) -> Iterator[None]:
    """Tables ``conn_orders`` and ``conn_lines`` in three schemas."""
    for schema, rows in ORDERS.items():
        sql(
            f"CREATE SCHEMA IF NOT EXISTS {schema};"
            f"CREATE TABLE {schema}.conn_orders (id int PRIMARY KEY, name text);"
            f"CREATE TABLE {schema}.conn_lines (id int PRIMARY KEY, order_id int, article text);"
            f"INSERT INTO {schema}.conn_orders VALUES {rows};"
            f"INSERT INTO {schema}.conn_lines VALUES (1, 1, '{schema}');"
        )
    yield
    for schema in SCHEMAS:
        sql(f"DROP SCHEMA {schema} CASCADE")
    sql("DROP TABLE public.conn_orders, public.conn_lines")


@pytest.fixture
def things(sql: Sql) -> Iterator[None]:
    sql("CREATE TABLE conn_things (id int PRIMARY KEY, data jsonb, raw bytea)")
    yield
    sql("DROP TABLE conn_things")


@pytest.fixture
def options(transactional_db: None) -> Iterator[dict[str, Any]]:
    """``OPTIONS`` of the default database, to be changed: connections made from then on have them."""
    given = connection.settings_dict["OPTIONS"]
    kept = dict(given)
    connection.close()
    yield given
    given.clear()
    given.update(kept)
    connection.close()


@pytest.fixture
def add_database(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Names databases like the default one, with other ``OPTIONS`` or another ``ENGINE``."""
    names: list[str] = []

    def ensure_connection(self: BaseDatabaseWrapper) -> None:
        """As Django has it outside tests, where it knows what databases there are before they begin."""
        if self.connection is None:
            with self.wrap_database_errors:
                self.connect()

    monkeypatch.setattr(BaseDatabaseWrapper, "ensure_connection", ensure_connection)

    def add(name: str, *, engine: str = "", **options: Any) -> None:
        settings = copy.deepcopy(connection.settings_dict)
        settings["OPTIONS"] |= options
        connections.settings[name] = settings | ({"ENGINE": engine, "OPTIONS": {}} if engine else {})
        names.append(name)

    yield add
    for name in names:
        connections[name].close()
        del connections[name]
        del connections.settings[name]


@pytest.fixture
def declare() -> Iterator[Declare]:
    """Registers resources for one test."""
    names: list[str] = []

    def declare(name: str, model: Any, **attributes: Any) -> type[Resource]:
        names.append(name)
        return register(name)(type(name.title(), (Resource,), {"model": model, **attributes}))

    yield declare
    for name in names:
        registry.unregister(name)


@pytest.fixture
def owner(alice: User) -> User:
    """Looked up before a test changes how the database is reached."""
    alice.get_all_permissions()
    return alice


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    yield
    questions.close_idle()
