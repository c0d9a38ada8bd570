"""Sources one after the other, as the sheets of a workbook are read."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import openpyxl
import psycopg
import pytest

from exports_app.pipeline import loop
from exports_app.pipeline.formats import get_format
from exports_app.pipeline.formats.xlsx import XlsxEncoder
from exports_app.pipeline.sinks.memory import MemoryStore
from exports_app.pipeline.sources.chain import ChainSource, Open
from exports_app.pipeline.sources.rows import RowSource
from exports_app.pipeline.sources.sql import Query, SqlSource
from exports_app.pipeline.types import Chunk, Cursor, Field, Kind, Options, Sheet, StoredPart, Upload
from tests.rendering import connect

TEXT = Field(name="text", label="Text", kind=Kind.TEXT)
UPLOAD = Upload(key="test", token="test")


@pytest.fixture
def table() -> Iterator[str]:
    """A table of three rows, and a connection that others do not wait for."""
    name = "chain_rows"
    with connect() as connection:
        connection.execute(
            f"CREATE TABLE {name} AS SELECT n AS id, 'row ' || n AS text FROM generate_series(1, 3) AS n"
        )
    yield name
    with connect() as connection:
        connection.execute(f"DROP TABLE {name}")


def open_sql(
    query: str, *, after: Cursor | None = None, last: Cursor | None = None, snapshot: str | None = None
) -> SqlSource:
    """Two rows at a time."""
    return SqlSource(
        connect(),
        Query(text=query, columns=1, keys=1, proven_key=True),
        get_format("xlsx").sql([TEXT], Options()),
        after=after,
        last=last,
        snapshot=snapshot,
        chunk_rows=2,
    )


def open_rows(
    texts: Sequence[str], *, after: Cursor | None = None, last: Cursor | None = None, snapshot: str | None = None
) -> RowSource:
    """The texts, each with its number as key."""

    def make(key: tuple[Any, ...] | None) -> Iterator[Sequence[Any]]:
        begin = 0 if key is None else key[0] + 1
        return iter([(text, number) for number, text in enumerate(texts)][begin:])

    render = get_format("xlsx").python([TEXT], Options())
    return RowSource(make, render, picked=[0], keys=[1], moment=datetime.now(UTC), after=after)


def numbers(first: int, last: int) -> partial[SqlSource]:
    return partial(open_sql, f"SELECT 'n' || n, n FROM generate_series({first}, {last}) AS n")


def read_all(source: ChainSource, limit: int = 100) -> list[Chunk]:
    chunks = []
    while chunk := source.read(limit):
        chunks.append(chunk)
    source.close()
    return chunks


def test_chunks_say_which_source_they_are_from() -> None:
    chunks = read_all(ChainSource([numbers(1, 3), numbers(1, 0), numbers(7, 7)]))

    assert [(chunk.sheet, chunk.rows, chunk.cursor) for chunk in chunks] == [
        (0, 2, ("0", "2")),
        (0, 1, ("0", "3")),
        (2, 1, ("2", "7")),
    ]


def test_a_chain_goes_on_behind_any_cursor() -> None:
    openers: list[Open] = [numbers(1, 3), partial(open_rows, ["a", "b"]), numbers(4, 5)]
    whole = ChainSource(openers)
    last = whole.last
    cursors = [chunk.cursor for chunk in read_all(whole, limit=1)]

    behind = [
        [chunk.data for chunk in read_all(ChainSource(openers, after=cursor, last=last), limit=1)] for cursor in cursors
    ]

    rows = [b"0\tn1", b"0\tn2", b"0\tn3", b"0\ta", b"0\tb", b"0\tn4", b"0\tn5"]
    assert behind == [rows[number:] for number in range(1, 8)]


def test_no_room_is_no_end() -> None:
    source = ChainSource([numbers(1, 1), numbers(2, 2)])

    assert source.read(0) is None
    assert [chunk.sheet for chunk in read_all(source)] == [0, 1]


def test_all_sources_see_the_moment_of_the_first(table: str) -> None:
    count = partial(open_sql, f"SELECT count(*)::text, 1 FROM {table}")
    openers = [count, delayed(table, count)]

    chunks = read_all(ChainSource(openers))

    assert [chunk.data for chunk in chunks] == [b"0\t3", b"0\t3"]


def delayed(table: str, then: partial[SqlSource]) -> Any:
    """Opens a source after somebody else has written to the table."""

    def opener(**given: Any) -> SqlSource:
        with connect() as other:
            other.execute(f"INSERT INTO {table} VALUES (4, 'row 4')")
        return then(**given)

    return opener


def test_the_ends_are_those_of_the_first_run(table: str) -> None:
    openers = [numbers(1, 1), partial(open_sql, f"SELECT text, id FROM {table}")]
    first = ChainSource(openers)
    first.close()
    with connect() as other:
        other.execute(f"INSERT INTO {table} VALUES (4, 'row 4')")

    chunks = read_all(ChainSource(openers, after=("0", "1"), last=first.last))

    assert first.last == ('["1"]', '["3"]')
    assert [chunk.data for chunk in chunks] == [b"0\trow 1\n0\trow 2", b"0\trow 3"]


def test_a_source_that_does_not_open_closes_those_before_it() -> None:
    opened: list[SqlSource] = []

    def first(**given: Any) -> SqlSource:
        opened.append(numbers(1, 1)(**given))
        return opened[0]

    def broken(**given: Any) -> SqlSource:
        raise psycopg.OperationalError

    with pytest.raises(psycopg.OperationalError):
        ChainSource([first, broken])

    assert opened[0]._connection.closed


def test_a_workbook_is_the_same_whether_one_run_wrote_it_or_many() -> None:
    openers = [numbers(1, 5), partial(open_rows, ["a", "b"]), numbers(1, 0), numbers(6, 9)]
    sheets = [Sheet(title=title, fields=[TEXT]) for title in ("One", "Two", "Three", "Four")]

    resumed = write(openers, sheets, stop_after_each_part=True)

    assert resumed == write(openers, sheets, stop_after_each_part=False)
    book = openpyxl.load_workbook(io.BytesIO(resumed))
    assert {sheet.title: [row[0] for row in sheet.iter_rows(values_only=True)] for sheet in book} == {
        "One": ["Text", "n1", "n2", "n3", "n4", "n5"],
        "Two": ["Text", "a", "b"],
        "Three": ["Text"],
        "Four": ["Text", "n6", "n7", "n8", "n9"],
    }


def write(openers: Sequence[Any], sheets: Sequence[Sheet], *, stop_after_each_part: bool) -> bytes:
    """The workbook, a part after each chunk; each part by a run of its own where asked."""
    store = MemoryStore()
    stored: tuple[StoredPart, ...] = ()
    last: Cursor | None = None
    while UPLOAD.key not in store.objects:
        before = stored[-1] if stored else None
        source = ChainSource(openers, after=before.cursor if before else None, last=last)
        last = source.last
        encoder = XlsxEncoder([TEXT], Options(), before.state if before else None, sheets=sheets)
        with store.open(UPLOAD, after=stored) as sink:
            for progress in loop.run(source, encoder, sink, part_size=lambda _: 1, after=before):
                stored += progress.parts
                if stop_after_each_part and progress.parts and not stored[-1].last:
                    sink.detach()
                    break
        source.close()
    return store.objects[UPLOAD.key]
