"""Whatever a role, a database or a connection sets: the same texts, the same literals, the same rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from exports_app import connections, services
from exports_app.estimates import estimate_rows
from exports_app.pipeline.sources import counting
from exports_app.pipeline.sources.session import begin
from exports_app.plan import Request, make_plan
from exports_app.resources.literals import literal
from exports_app.resources.snapshots import Snapshot
from exports_app.resources.timeouts import short_question
from tests.connections.models import Thing
from tests.connections.reading import Declare, Sql, lines, url
from tests.jobs import fill_customers, finish

WORDS = 'a "b" \\ c \' d'
"""Everything that a literal has to escape."""


@pytest.fixture
def role(sql: Sql) -> Iterator[Any]:
    """Sets what the role's sessions begin with; those of Django begin anew."""
    changed: list[str] = []

    def change(name: str, value: str) -> None:
        sql(f"ALTER ROLE CURRENT_USER SET {name} = {value}")
        changed.append(name)
        connection.close()

    yield change
    for name in changed:
        sql(f"ALTER ROLE CURRENT_USER RESET {name}")
    connection.close()


@pytest.fixture
def rows(owner: User, things: None, declare: Declare) -> None:
    declare("things", Thing)
    Thing.objects.create(pk=1, data={"a": WORDS}, raw=b"\\'\x00\xff")


CELLS = '1,"' + json.dumps({"a": WORDS}, separators=(",", ":")).replace('"', '""') + '",XCcA/w=='


@pytest.mark.parametrize("value", ["on", "off"])
def test_documents_and_bytes_whatever_strings_conform_to(owner: User, rows: None, role: Any, value: str) -> None:
    role("standard_conforming_strings", value)
    role("escape_string_warning", "off")
    assert lines(owner, "things") == [CELLS]
    assert lines(owner, "things", format="ndjson")[0].startswith('{"id":1,"data":{"a":"a \\"b\\" \\\\ c \' d"}')


@pytest.mark.parametrize(("django", "source"), [("on", "off"), ("off", "on"), ("off", "off")])
def test_literals_are_right_on_another_connection_than_they_were_composed_on(
    owner: User, rows: None, declare: Declare, options: dict[str, Any], settings: Any, django: str, source: str
) -> None:
    settings.EXPORTS_SOURCE_DATABASE_URL = url(f"&options=-c%20standard_conforming_strings%3D{source}")
    options["options"] = f"-c standard_conforming_strings={django}"
    declare("one", Thing, get_queryset=lambda self, user: Thing.objects.filter(data={"a": WORDS}, raw=b"\\'\x00\xff"))
    assert lines(owner, "one") == [CELLS]
    assert estimate_rows(make_plan(Request(resource="one"), owner)).rows == 1


@pytest.mark.parametrize("composer", ["on", "off"])
@pytest.mark.parametrize("reader", ["on", "off"])
def test_bytes_are_the_same_whatever_session_reads_them(options: dict[str, Any], composer: str, reader: str) -> None:
    options["options"] = f"-c standard_conforming_strings={composer} -c escape_string_warning=off"
    connection.close()
    octets = b"\\'\x00\xff%s"
    given = [
        octets,
        psycopg.Binary(octets),
        memoryview(octets),
        [octets, None],
        [[psycopg.Binary(octets)]],
        b"",
        "\\x00",
    ]
    statement = literal("default", "SELECT %s, %s, %s, %s, %s, %s, %s, 100 %% 7", given)
    with connections.connect_source(options=f"-c standard_conforming_strings={reader}") as opened:
        row = opened.execute(statement.encode()).fetchone()
    assert row == (octets, octets, octets, [octets, None], [[octets]], b"", "\\x00", 2)


@pytest.mark.parametrize(
    ("name", "value", "statement", "text"),
    [
        ("quote_all_identifiers", "on", "SELECT 'pg_class'::regclass::text", "pg_class"),
        ("array_nulls", "off", "SELECT ('{NULL}'::text[])[1] IS NULL", True),
        ("xmlbinary", "hex", "SELECT current_setting('xmlbinary')", "base64"),
        ("xmloption", "document", "SELECT current_setting('xmloption')", "content"),
        ("bytea_output", "escape", "SELECT '\\x00'::bytea::text", "\\x00"),
        ("DateStyle", "'SQL, DMY'", "SELECT date '2024-01-31'::text", "2024-01-31"),
        ("IntervalStyle", "iso_8601", "SELECT interval '1 day'::text", "1 day"),
        ("extra_float_digits", "-10", "SELECT (0.1::float8 + 0.2::float8)::text", "0.30000000000000004"),
        ("gin_fuzzy_search_limit", "7", "SELECT current_setting('gin_fuzzy_search_limit')", "0"),
        ("transaction_timeout", "'1h'", "SELECT current_setting('transaction_timeout')", "0"),
        ("TimeZone", "'Asia/Tokyo'", "SELECT timestamptz '2024-01-31 12:00Z'::text", "2024-01-31 12:00:00+00"),
    ],
)
def test_settings_that_change_texts_or_rows_are_ours(
    role: Any, name: str, value: str, statement: str, text: Any
) -> None:
    role(name, value)
    with connections.connect_source() as opened:
        begin(opened, 1_000)
        row = opened.execute(statement.encode()).fetchone()
        opened.rollback()
    assert row == (text,)


@pytest.mark.parametrize(
    ("name", "value"), [("lc_monetary", "'C'"), ("search_path", "pg_catalog"), ("default_text_search_config", "german")]
)
def test_settings_that_say_what_a_query_means_are_not(role: Any, name: str, value: str) -> None:
    with connections.connect_source() as opened:
        opened.execute(f"SET {name} = {value}".encode())
        opened.commit()
        begin(opened, 1_000)
        row = opened.execute(f"SELECT current_setting('{name}')".encode()).fetchone()
        opened.rollback()
    assert row is not None
    assert row[0].removeprefix("pg_catalog.") in (value.strip("'"), "pg_catalog")


def test_a_server_without_the_time_out_of_transactions_is_not_asked_for_it(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psycopg.ConnectionInfo, "server_version", 160_004)
    with connections.connect_source() as opened:
        opened.execute("SET transaction_timeout = '1h'")
        opened.commit()
        begin(opened, 1_000)
        assert opened.execute("SHOW transaction_timeout").fetchone() == ("1h",)
        opened.rollback()


TIME_OUT = "SELECT current_setting('transaction_timeout')"


def test_no_time_out_of_transactions_ends_the_orm_at_the_moment_of_a_reader(role: Any) -> None:
    role("transaction_timeout", "'1h'")
    with connections.connect_source() as reader:
        begin(reader, 1_000)
        shared = reader.execute("SELECT pg_export_snapshot()").fetchone()
        assert shared is not None
        snapshot = Snapshot("default", shared[0], statement_timeout=1)
        try:
            assert snapshot.connection.connection.execute(TIME_OUT).fetchone() == ("0",)
        finally:
            snapshot.close()
        reader.rollback()


def test_none_ends_a_short_question_and_what_comes_behind_it_has_its_own_again(role: Any) -> None:
    role("transaction_timeout", "'1h'")
    with transaction.atomic(), connection.cursor() as cursor:
        with short_question("default"):
            cursor.execute(TIME_OUT)
            assert cursor.fetchone() == ("0",)
        cursor.execute(TIME_OUT)
        assert cursor.fetchone() == ("1h",)


@pytest.mark.parametrize("format_", ["csv", "xlsx"])
def test_an_export_takes_longer_than_a_transaction_may(
    owner: User, role: Any, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    fill_customers(30_000)
    monkeypatch.setattr(counting, "BESIDE_SECONDS", 0.0)
    role("transaction_timeout", "'150ms'")
    job = finish(owner, format=format_)
    services.discard_file(job)
    assert (job.status, job.failures, job.row_count, job.rows_verified) == ("completed", 0, 30_000, True)
    assert job.started_at is not None
    assert job.completed_at is not None
    assert job.completed_at - job.started_at > timedelta(milliseconds=150)
