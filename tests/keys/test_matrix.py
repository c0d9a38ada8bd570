"""Every type of key, in every format: all rows, once each and in order, or refused by the type's name."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import openpyxl
import psycopg
import pyarrow.parquet as pq
import pytest

from exports_app.pipeline import errors, loop
from exports_app.pipeline.formats import FORMATS, get_format
from exports_app.pipeline.sinks.memory import MemoryStore
from exports_app.pipeline.sources import sql as sql_source
from exports_app.pipeline.sources.counting import RowCounter
from exports_app.pipeline.sources.sql import Query, SqlSource
from exports_app.pipeline.types import Chunk, Cursor, Field, Kind, Options, Upload
from tests.keys.types import REFUSED, ROWS, SETUP, TEARDOWN, TYPES, KeyType

UPLOAD = Upload(key="test", token="test")
FIELDS = [Field(name="n", label="n", kind=Kind.INTEGER)]
QUERY = Query(text="SELECT n, k FROM key_rows", columns=1, keys=1, proven_key=False)
PLANNER = "-c enable_seqscan=off -c enable_sort=off -c enable_bitmapscan=off"
"""As the planner would have it for a large table: by the index, a statement at a time."""


def connect() -> psycopg.Connection[Any]:
    return psycopg.connect(os.environ["DATABASE_URL"], options=PLANNER, prepare_threshold=None)


@pytest.fixture(scope="module")
def database() -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(TEARDOWN)
        connection.execute(SETUP)
        yield connection
        connection.execute(TEARDOWN)


def fill(connection: psycopg.Connection[Any], kind: KeyType, *, ordered: bool = True) -> list[int]:
    """The table anew; gives its numbers in the order of the key, where the type has one."""
    key = " PRIMARY KEY" if ordered else ""
    connection.execute("DROP TABLE IF EXISTS key_rows")
    connection.execute(f"CREATE TABLE key_rows (k {kind.declared}{key}, n integer)")
    connection.execute(f"INSERT INTO key_rows SELECT {kind.value}, n FROM generate_series(1, {ROWS}) AS n")
    return [n for (n,) in connection.execute("SELECT n FROM key_rows ORDER BY k")] if ordered else []


def numbers(name: str, data: bytes) -> list[int]:
    """What readers of others find in the file."""
    if name == "csv":
        return [int(row["n"]) for row in csv.DictReader(io.StringIO(data.decode()))]
    if name == "xlsx":
        sheet = openpyxl.load_workbook(io.BytesIO(data)).active
        return [row[0] for row in sheet.iter_rows(min_row=2, values_only=True)]
    if name == "parquet":
        found: list[int] = pq.read_table(io.BytesIO(data)).column("n").to_pylist()
        return found
    text = data.decode()
    return [row["n"] for row in (json.loads(text) if name == "json" else map(json.loads, text.splitlines()))]


class Reading:
    """Chunks of a source, then those of another one that goes on behind them: one run that was broken off."""

    def __init__(self, name: str, *, breaks: bool) -> None:
        self.name, self.breaks = name, breaks
        self.source = self.open(None, None)
        self.before = 0

    def open(self, after: Cursor | None, last: Cursor | None) -> SqlSource:
        rows = get_format(self.name).sql(FIELDS, Options())
        source = SqlSource(connect(), QUERY, rows, after=after, last=last, chunk_rows=100, connect=connect)
        self.counter = RowCounter(source.countable(), [None])
        return source

    def read(self, limit: int) -> Chunk | None:
        chunk = self.source.read(limit)
        if chunk is None or not self.breaks:
            return chunk
        self.breaks, self.before = False, chunk.rows
        self.close()
        self.source = self.open(chunk.cursor, self.source.last)
        return chunk

    def verify(self, written: Sequence[int]) -> None:
        self.counter.verify([written[0] - self.before])

    def close(self) -> None:
        self.counter.close()
        self.source.close()


def written(name: str, *, breaks: bool) -> tuple[list[int], bool | None]:
    store = MemoryStore()
    reading = Reading(name, breaks=breaks)
    encoder = get_format(name).encoder(FIELDS, Options(), None)
    with store.open(UPLOAD) as sink:
        for _ in loop.run(reading, encoder, sink, part_size=lambda _: 1 << 40, verify=reading.verify):
            pass
    return numbers(name, store.objects[UPLOAD.key]), reading.counter.verified


def assert_all_rows_in_order(expected: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """In every format: by one statement, by statements of 100 rows, and resumed behind row 100."""
    assert len(expected) == ROWS
    for name in FORMATS:
        assert written(name, breaks=False) == (expected, True), name
    monkeypatch.setattr(sql_source, "STATEMENT_CHUNKS", 1)
    for name in FORMATS:
        assert written(name, breaks=False) == (expected, True), f"{name} in statements of 100 rows"
        assert written(name, breaks=True) == (expected, True), f"{name} resumed behind row 100"


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.declared)
def test_a_key_of_any_type_that_has_an_order(
    database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, kind: KeyType
) -> None:
    assert_all_rows_in_order(fill(database, kind), monkeypatch)


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.declared)
def test_a_type_without_an_order_is_refused_by_its_name(database: psycopg.Connection[Any], kind: KeyType) -> None:
    fill(database, kind, ordered=False)
    for bounded in (True, False):
        with pytest.raises(errors.BadKey) as refused, connect() as connection:
            SqlSource(connection, QUERY, get_format("csv").sql(FIELDS, Options()), bounded=bounded)
        assert str(refused.value) == f"The key is of a type that has no order: {kind.declared}."


def test_a_row_without_a_type_of_its_own_is_refused(database: psycopg.Connection[Any]) -> None:
    fill(database, TYPES[1])
    query = Query(text="SELECT n, ROW(n, k) FROM key_rows", columns=1, keys=1, proven_key=False)
    with pytest.raises(errors.BadKey) as refused, connect() as connection:
        SqlSource(connection, query, get_format("csv").sql(FIELDS, Options()))
    assert str(refused.value) == "The key is of a type that no text leads back to: record."


@pytest.mark.parametrize("value", ["NULL", "1"], ids=["missing", "doubled"])
@pytest.mark.parametrize("kind", [TYPES[1], TYPES[10], TYPES[18]], ids=lambda kind: kind.declared)
def test_a_key_that_is_none_is_refused(database: psycopg.Connection[Any], kind: KeyType, value: str) -> None:
    fill(database, kind)
    database.execute("ALTER TABLE key_rows DROP CONSTRAINT key_rows_pkey; ALTER TABLE key_rows ALTER k DROP NOT NULL")
    given = "NULL" if value == "NULL" else "(SELECT k FROM key_rows WHERE n = 7)"
    database.execute(f"INSERT INTO key_rows VALUES ({given}, 999)")
    with pytest.raises(errors.BadKey), connect() as connection:
        SqlSource(connection, QUERY, get_format("csv").sql(FIELDS, Options()))


def test_keys_of_several_types_are_compared_from_left_to_right(
    database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_source, "STATEMENT_CHUNKS", 1)
    fill(database, TYPES[1])
    text = "SELECT n, n % 2 = 0, (n % 7)::text::char(3), date '2024-01-01' - n % 11, n FROM key_rows"
    query = Query(text=text, columns=1, keys=4, proven_key=False)
    order = "SELECT n FROM key_rows ORDER BY n % 2 = 0, (n % 7)::text::char(3), date '2024-01-01' - n % 11, n"
    found: list[int] = []
    source = SqlSource(connect(), query, get_format("csv").sql(FIELDS, Options()), chunk_rows=100)
    try:
        while (chunk := source.read(30)) is not None:
            found += [int(line) for line in chunk.data.split()]
    finally:
        source.close()
    assert found == [n for (n,) in database.execute(order)]
