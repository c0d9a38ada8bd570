"""The formula guard against what hides a start, and the cells that no guard can protect."""

from __future__ import annotations

import csv
import io
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exports_app.pipeline import loop
from exports_app.pipeline.formats.csv import CsvEncoder
from exports_app.pipeline.formats.formulas import count_split_formulas, sql_guard
from exports_app.pipeline.formats.gzip import GzipEncoder
from exports_app.pipeline.sinks.memory import MemoryStore
from exports_app.pipeline.types import Chunk, Field, Kind, Options
from tests.rendering import ONE_PART, UPLOAD, render, render_python

TEXT = Field(name="t", label="T", kind=Kind.TEXT)
NUMBER = Field(name="n", label="N", kind=Kind.INTEGER)
properties = settings(
    max_examples=150, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip

HIDDEN = {
    "byte order mark": "\ufeff", "zero-width space": "\u200b", "non-joiner": "\u200c", "joiner": "\u200d",
    "left-to-right mark": "\u200e", "right-to-left override": "\u202e", "isolate": "\u2066", "word joiner": "\u2060",
    "soft hyphen": "\u00ad", "blank": " ", "no-break space": "\u00a0", "ideographic space": "\u3000",
    "thin space": "\u2009", "Hangul filler": "\u3164", "variation selector": "\ufe0f", "Mongolian": "\u180e",
    "Arabic letter mark": "\u061c", "line separator": "\u2028", "vertical tab": "\x0b", "bell": "\x07", "C1": "\x85",
    "three": "\ufeff\u200b ",
}  # fmt: skip
ALEPH = "\u05d0"
SEEN = [
    "\u0301=1",
    "\u2800=1",
    "a\u200b=1",
    "\ufeffx=1",
    f"\u200f{ALEPH}",
    "\u200b",
    " ",
    " a",
    "\u00a01",
    "'=1",
    "\u2212",
]


def shown(text: str, **options: Any) -> str:
    """The text in a cell, read back."""
    row = ((text, 1),)
    data = render_python("csv", [TEXT, NUMBER], row, {"header": False, **options})
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    assert render("csv", [TEXT, NUMBER], f"SELECT E'{escaped}', 1, 1", options={"header": False, **options}) == data
    return next(csv.reader(io.StringIO(data.decode(), newline="")))[0]


@pytest.mark.parametrize("start", ["=1", "+1", "-1", "@x", "\t", "\uff1d1", "\uff0d1"])
@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
def test_nothing_invisible_hides_a_start(hidden: str, start: str) -> None:
    assert shown(f"{hidden}{start}") == f"'{hidden}{start}"
    assert shown(f"{hidden}{start}", escape_formulas=False) == f"{hidden}{start}"


@pytest.mark.parametrize("text", SEEN)
def test_what_begins_with_something_else_stays(text: str) -> None:
    assert shown(text) == text


def test_labels_are_guarded_alike() -> None:
    fields = [
        Field(name=f"n{n}", label=label, kind=Kind.INTEGER) for n, label in enumerate(["\ufeff=1", "\u200b\uff0bx"])
    ]
    assert render("csv", fields, "SELECT 1, 2, 1").decode().splitlines()[0] == "'\ufeff=1,'\u200b\uff0bx"


@properties
@given(text=st.text("=+-@\t\r\n\uff1d\ufeff\u200b \u00a0\u00adaé\u05d0🐘'\"", max_size=5) | st.text(max_size=3))
def test_sql_and_python_guard_the_same(text: str, connection: psycopg.Connection[Any]) -> None:
    text = text.replace("\x00", "")
    found = connection.execute(f"SELECT {sql_guard('t')} FROM (SELECT %s::text) AS v(t)", [text]).fetchone()
    assert found is not None
    assert render_python("csv", [TEXT, NUMBER], [(text, 1)], {"header": False}) == (
        render_python("csv", [TEXT, NUMBER], [(found[0], 1)], {"header": False, "escape_formulas": False})
    )


@pytest.mark.parametrize(
    "text",
    [
        "to do:\n- milk\n- bread\n+ eggs",
        "> On Monday Ada wrote:\n> =SUM(A1)\n=1+1\n-- \nGrace",
        "a\r\n=b",
        "x\n@someone, have a look",
        "\u2022 one\n\t- two",
    ],
)
def test_a_line_within_a_cell_is_no_start(text: str) -> None:
    assert shown(text) == text


# Other delimiters


def counted(data: str, delimiter: str = ",") -> int:
    return count_split_formulas(data.encode(), delimiter.encode())


@pytest.mark.parametrize(
    ("data", "delimiter", "cells"),
    [
        ("1,x;=2+1;\n", ",", 1),
        ('1,"x, y;=2+1;"\n', ",", 1),
        ('1,";=1 "";=2 ;=3",;-1,"a"\n', ",", 2),
        ('"a ""q"" b;+1"\n"c;@d"\n', ",", 2),
        ("x\t=1,y;=1,z;\uff1d1\n", ",", 3),
        ('"x;""=1"",y"\n', ",", 1),
        ("x;y,=1,a;b-\nc;\n=d;e\n", ",", 0),
        ("x,=1;y\n", ";", 1),
        ("x;=1;y\n", ";", 0),
        ("x,=1|y;=1|z\t-\n", "|", 3),
        ("x,=1\ty;=1\n", "\t", 2),
        ('"two\nlines;=1"\r\nx;=1\r\n', ",", 2),
        ("", ",", 0),
    ],
)
def test_cells_that_another_delimiter_splits_into_formulas_are_counted(data: str, delimiter: str, cells: int) -> None:
    assert counted(data, delimiter) == cells


WARNING = (
    "{} text that a spreadsheet set to another delimiter than a comma would split and run as a formula; "
    "no prefix can prevent that. xlsx is safe from it."
)


def test_such_cells_keep_their_text_and_are_told_of() -> None:
    encoder = CsvEncoder([TEXT, NUMBER], Options(), None)
    assert encoder.start() == b"T,N\n"
    assert encoder.write(Chunk(data=b"x;=2+1;,1\n", rows=1, cursor=("1",))) == b"x;=2+1;,1\n"
    assert encoder.warnings() == [WARNING.format("1 cell has")]
    encoder.write(Chunk(data=b"a;-,1\nb;+,2\nc,3\n", rows=3, cursor=("4",)))
    assert encoder.warnings() == [WARNING.format("3 cells have")]


def test_the_count_goes_on_behind_a_part_and_through_gzip() -> None:
    first = CsvEncoder([TEXT, NUMBER], Options(), None)
    first.write(Chunk(data=b"x;=1,1\n", rows=1, cursor=("1",)))
    second = GzipEncoder(CsvEncoder([TEXT, NUMBER], Options(), first.state()), resumed=True)
    second.write(Chunk(data=b"y;=1,2\n", rows=1, cursor=("2",)))
    assert second.warnings() == [WARNING.format("2 cells have")]
    assert second.state() == {"split_formulas": 2}


def test_a_file_without_them_says_nothing_and_keeps_no_state() -> None:
    encoder = CsvEncoder([TEXT, NUMBER], Options(), None)
    encoder.write(Chunk(data=b"x; y,1\n", rows=1, cursor=("1",)))
    assert (encoder.warnings(), encoder.state()) == ([], {})


def test_without_a_guard_nothing_is_counted() -> None:
    encoder = CsvEncoder([TEXT, NUMBER], Options(escape_formulas=False), None)
    encoder.write(Chunk(data=b"x;=1,1\n", rows=1, cursor=("1",)))
    assert encoder.warnings() == []


def test_labels_count_as_well() -> None:
    encoder = CsvEncoder([Field(name="t", label="a;=b", kind=Kind.TEXT)], Options(), None)
    encoder.start()
    assert encoder.warnings() == [WARNING.format("1 cell has")]


def test_a_great_many_are_not_counted_to_the_end() -> None:
    encoder = CsvEncoder([TEXT, NUMBER], Options(), None)
    for _ in range(3):
        encoder.write(Chunk(data=b"x;=1,1\n" * 6_000, rows=6_000, cursor=("1",)))
    assert encoder.warnings() == [WARNING.format("10,000 cells or more have")]
    assert encoder.state() == {"split_formulas": 12_000}


class OneChunk:
    """A source of one chunk."""

    def __init__(self, data: bytes) -> None:
        self._chunks = [Chunk(data=data, rows=1, cursor=("1",))]

    def read(self, limit: int) -> Chunk | None:
        return self._chunks.pop() if self._chunks else None

    def close(self) -> None:
        pass


def test_the_loop_reports_it() -> None:
    encoder = GzipEncoder(CsvEncoder([TEXT, NUMBER], Options(), None))
    with MemoryStore().open(UPLOAD) as sink:
        last = list(loop.run(OneChunk(b"x;=1,1\n"), encoder, sink, part_size=lambda _: ONE_PART))[-1]
    assert last.warnings == (WARNING.format("1 cell has"),)
