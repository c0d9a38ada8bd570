"""Rows are read with all that ``DATABASES`` says of a connection: certificates, schema, role, service."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.backends.signals import connection_created

from exports_app import connections
from exports_app.estimates import estimate_rows
from exports_app.pipeline.errors import BadQuery, DatabaseUnavailable
from exports_app.pipeline.sources.sql import SqlSource
from exports_app.plan import Request, make_plan
from tests.connections.models import Order
from tests.connections.reading import Declare, Sql, lines, url


@pytest.fixture(autouse=True)
def declared(declare: Declare) -> None:
    declare("orders", Order)


@pytest.fixture
def tenants(orders: None, sql: Sql) -> Iterator[None]:
    """Of the rows, those named ``mine`` are for the role; the tables' owner sees all."""
    sql(
        "INSERT INTO conn_orders VALUES (2, 'mine'), (3, 'theirs');"
        "ALTER TABLE conn_orders ENABLE ROW LEVEL SECURITY; GRANT SELECT ON conn_orders TO pg_monitor;"
        "CREATE POLICY mine ON conn_orders TO pg_monitor USING (name = 'mine')"
    )
    yield
    sql("REVOKE ALL ON conn_orders FROM pg_monitor")


def shown(name: str) -> str:
    with connections.connect_source() as opened:
        row = opened.execute(f"SHOW {name}".encode()).fetchone()
    return str(row[0]) if row else ""


def test_the_schema_is_that_of_the_search_path(owner: User, orders: None, options: dict[str, Any]) -> None:
    options["options"] = "-c search_path=here"
    assert lines(owner, "orders") == ["1,here", "2,also here"]
    assert estimate_rows(make_plan(Request(resource="orders"), owner)).rows == 2


def test_other_tenants_rows_do_not_appear_under_an_assumed_role(
    owner: User, tenants: None, options: dict[str, Any]
) -> None:
    assert lines(owner, "orders") == ["1,public", "2,mine", "3,theirs"]
    options["assume_role"] = "pg_monitor"
    connection.close()
    assert lines(owner, "orders") == ["2,mine"]


def test_they_do_not_appear_either_on_a_replica_that_a_url_names(
    owner: User, tenants: None, options: dict[str, Any], settings: Any
) -> None:
    settings.EXPORTS_SOURCE_DATABASE_URL = url()
    options["assume_role"] = "pg_monitor"
    connection.close()
    assert lines(owner, "orders") == ["2,mine"]
    assert estimate_rows(make_plan(Request(resource="orders"), owner)).rows == 1


def test_a_role_that_cannot_be_assumed_reads_nothing(owner: User, tenants: None, options: dict[str, Any]) -> None:
    plan = make_plan(Request(resource="orders"), owner)
    options["assume_role"] = "pg_read_all_data"
    with pytest.raises(BadQuery) as refused:
        plan.open_source()
    assert isinstance(refused.value.__cause__, psycopg.errors.InsufficientPrivilege)


def test_a_server_without_tls_is_refused_where_it_is_required(
    owner: User, orders: None, options: dict[str, Any]
) -> None:
    plan = make_plan(Request(resource="orders"), owner)
    options["sslmode"] = "require"
    with pytest.raises(DatabaseUnavailable) as refused:
        plan.open_source()
    assert "server does not support SSL" in str(refused.value.__cause__)


def test_a_replica_has_to_have_tls_too_unless_its_url_says_otherwise(options: dict[str, Any], settings: Any) -> None:
    options["sslmode"] = "require"
    settings.EXPORTS_SOURCE_DATABASE_URL = url()
    with pytest.raises(psycopg.OperationalError, match="server does not support SSL"):
        connections.connect_source()
    settings.EXPORTS_SOURCE_DATABASE_URL = url("&sslmode=disable")
    connections.connect_source().close()


def test_a_standby_is_refused_where_the_primary_is_asked_for(options: dict[str, Any], settings: Any) -> None:
    options["target_session_attrs"] = "standby"
    with pytest.raises(psycopg.OperationalError, match="server is not in hot standby mode"):
        connections.connect_source()
    settings.EXPORTS_SOURCE_DATABASE_URL = url()  # another server: what the first one must be says nothing of it
    connections.connect_source().close()


def test_a_service_file_names_the_server(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = connection.get_connection_params()
    names = ("dbname", "host", "port", "user", "password")
    entries = "".join(f"{name}={given[name]}\n" for name in names)
    (tmp_path / "services").write_text(f"[rows]\n{entries}application_name=from the service\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    options["service"] = "rows"
    with monkeypatch.context() as patch:
        for name in ("NAME", "HOST", "PORT", "USER", "PASSWORD"):
            patch.setitem(connection.settings_dict, name, "")
        with connections.connect_source() as opened:
            assert opened.info.dbname == given["dbname"]


@pytest.mark.parametrize(
    ("name", "value", "setting"),
    [
        ("application_name", "reports", "reports"),
        ("options", "-c work_mem=12345kB", "12345kB"),
        ("options", "-c lc_monetary=C", "C"),
    ],
)
def test_what_the_options_say_goes_before_our_own(options: dict[str, Any], name: str, value: str, setting: str) -> None:
    options[name] = value
    wanted = value.removeprefix("-c ").partition("=")[0] if name == "options" else name
    assert shown(wanted) == setting


def test_without_a_word_the_connection_has_our_name(db: None) -> None:
    assert shown("application_name") == "exports"


def test_a_pool_is_not_used(options: dict[str, Any]) -> None:
    options["pool"] = {"min_size": 1, "max_size": 1}
    with connections.connect_source() as one, connections.connect_source() as two:
        assert one.info.backend_pid != two.info.backend_pid


def test_receivers_of_new_connections_are_heard(owner: User, orders: None, options: dict[str, Any]) -> None:
    def choose_schema(connection: Any, **_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET search_path = there")

    connection_created.connect(choose_schema)
    try:
        assert lines(owner, "orders") == ["1,there"]
    finally:
        connection_created.disconnect(choose_schema)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Caracas"])
def test_the_moment_of_the_rows_is_right_whatever_zone_the_connection_has(
    owner: User, orders: None, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setitem(connection.settings_dict, "TIME_ZONE", zone)
    source = make_plan(Request(resource="orders"), owner).open_source()
    source.close()
    assert isinstance(source, SqlSource)
    assert abs(source.moment - datetime.now(UTC)) < timedelta(seconds=10)
