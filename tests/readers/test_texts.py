"""CSV, JSON and NDJSON by those who read them every day: every cell of the table as the contract writes it."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas
import polars
import pytest

from exports_app.pipeline.types import Kind
from tests.readers import table
from tests.readers.conftest import Node
from tests.rendering import connect

NAMES = list(table.KINDS)


def text(kind: Kind, value: Any) -> str | None:
    """A value as CSV has it, by hand. Documents and arrays are literals of the table."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"{Decimal(value // timedelta(microseconds=1)).scaleb(-6).normalize():f}"
    if isinstance(value, date | time):
        return value.isoformat()
    return {0.1: "0.1", -1.5: "-1.5", 1e300: "1e+300", 0.0: "0"}[value] if isinstance(value, float) else str(value)


def texts() -> list[list[str | None]]:
    """The table as CSV has it, NULL apart from the empty text."""
    return [[documents(kind, row[0]) or text(kind, value) for kind, value in pairs(row)] for row in table.ROWS]


def pairs(row: tuple[Any, ...]) -> list[tuple[Kind, Any]]:
    return [
        (kind, None if kind in (Kind.JSON, Kind.ARRAY) else value)
        for kind, value in zip(table.KINDS.values(), row, strict=True)
    ]


def documents(kind: Kind, number: int) -> str | None:
    return {Kind.JSON: table.JSON_TEXTS, Kind.ARRAY: table.ARRAY_TEXTS}.get(kind, {}).get(number)


def without_null(rows: list[list[str | None]]) -> list[list[str]]:
    """As readers see it that do not tell NULL from the empty text."""
    return [[each or "" for each in row] for row in rows]


def values() -> list[list[Any]]:
    """The table as JSON has it: numbers exact, documents as they are, all else as CSV has it."""
    plain = (Kind.INTEGER, Kind.DECIMAL, Kind.BOOLEAN, Kind.JSON, Kind.ARRAY, Kind.TEXT, Kind.UUID)
    rows: list[list[Any]] = []
    for row in table.ROWS:
        cells = zip(table.KINDS.values(), row, strict=True)
        rows.append([each if kind in plain else number(kind, each) for kind, each in cells])
    return rows


def number(kind: Kind, value: Any) -> Any:
    if value is None or kind not in (Kind.FLOAT, Kind.DURATION):
        return text(kind, value)
    return Decimal(text(kind, value) or "")


# CSV


def test_csv_by_the_standard_library(files: Path) -> None:
    rows = list(csv.reader(io.StringIO((files / "all.csv").read_bytes().decode(), newline="")))

    assert rows == [NAMES, *without_null(texts())]


def test_csv_by_pandas(files: Path) -> None:
    frame = pandas.read_csv(files / "all.csv", dtype=str, keep_default_na=False)

    assert list(frame.columns) == NAMES
    assert frame.to_numpy().tolist() == without_null(texts())


def test_csv_by_polars(files: Path) -> None:
    frame = polars.read_csv(files / "all.csv", infer_schema=False)

    assert frame.columns == NAMES
    assert without_null([list(row) for row in frame.rows()]) == without_null(texts())


def test_csv_by_duckdb(files: Path) -> None:
    query = "SELECT * FROM read_csv(?, all_varchar = true, header = true, allow_quoted_nulls = false)"

    assert [list(row) for row in duckdb.connect().execute(query, [str(files / "all.csv")]).fetchall()] == texts()


def test_csv_by_copy_from(files: Path) -> None:
    with connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        columns = ", ".join([f"{name} {type_}" for name, type_ in table.TYPES.items()])
        connection.execute(f"CREATE TEMP TABLE copied ({columns.replace('text[]', 'jsonb')})".encode())
        with connection.cursor().copy("COPY copied FROM STDIN (FORMAT csv, HEADER MATCH)") as copy:
            copy.write((files / "all.csv").read_bytes())
        found = connection.execute("SELECT * FROM copied ORDER BY id").fetchall()

    assert [[str(each) if each is not None and name == "ref" else each for name, each in zip(NAMES, row, strict=True)]
            for row in found] == [list(row) for row in table.ROWS]  # fmt: skip


def test_csv_by_papa_parse(files: Path, node: Node) -> None:
    assert node("papaparse", files / "all.csv") == [[[NAMES, *without_null(texts())]]]


# JSON


def parsed(name: str, data: bytes) -> list[dict[str, Any]]:
    read = json.JSONDecoder(parse_float=Decimal).decode
    text = data.decode()
    found: list[dict[str, Any]] = read(text) if name == "json" else [read(line) for line in text.split("\n") if line]
    return found


@pytest.mark.parametrize("name", ["json", "ndjson"])
def test_json_by_the_standard_library(files: Path, name: str) -> None:
    rows = parsed(name, (files / f"all.{name}").read_bytes())

    assert [list(row) for row in rows] == [NAMES] * len(table.ROWS)
    assert [list(row.values()) for row in rows] == values()


COMMON = ["id", "label", "active", "day", "at", "clock", "ref", "last"]
"""Columns that a data frame keeps as they are; it makes floats of the other numbers, and types of its own of lists."""


def common() -> list[list[Any]]:
    return [[dict(zip(NAMES, row, strict=True))[name] for name in COMMON] for row in values()]


@pytest.mark.parametrize("name", ["json", "ndjson"])
def test_json_by_pandas(files: Path, name: str) -> None:
    frame = pandas.read_json(files / f"all.{name}", lines=name == "ndjson", dtype=False, precise_float=True)
    found = frame[COMMON].astype(object).where(frame[COMMON].notna(), None)

    assert found.to_numpy().tolist() == common()
    assert [each for each in frame["ratio"] if each == each] == [0.1, -1.5, 1e300, 0.0]


@pytest.mark.parametrize("name", ["json", "ndjson"])
def test_json_by_polars(files: Path, name: str) -> None:
    # A document that is an object here and a list there has no type of polars.
    schema: dict[str, Any] = dict.fromkeys(COMMON, polars.String)
    schema |= {"id": polars.Int64, "active": polars.Boolean, "big": polars.Int64, "tags": polars.List(polars.String)}
    read = polars.read_json if name == "json" else polars.read_ndjson
    frame = read(files / f"all.{name}", schema=schema)

    assert [list(row) for row in frame.select(COMMON).rows()] == common()
    for column in ("big", "tags"):
        assert frame[column].to_list() == [row[NAMES.index(column)] for row in table.ROWS]


@pytest.mark.parametrize(("name", "kind"), [("json", "array"), ("ndjson", "newline_delimited")])
def test_json_by_duckdb(files: Path, name: str, kind: str) -> None:
    columns = ", ".join([f"'{each}': '{KIND_OF.get(each, 'VARCHAR')}'" for each in NAMES])
    shown = ", ".join([f'"{each}"' for each in (*COMMON, "big", "amount", "tags")])
    query = f"SELECT {shown} FROM read_json(?, format = '{kind}', columns = {{{columns}}})"
    found = duckdb.connect().execute(query, [str(files / f"all.{name}")]).fetchall()
    wanted = [[row[NAMES.index(each)] for each in ("big", "amount", "tags")] for row in table.ROWS]

    assert [list(row) for row in found] == [[*first, *last] for first, last in zip(common(), wanted, strict=True)]


KIND_OF = {"id": "BIGINT", "big": "BIGINT", "amount": "DECIMAL(14, 2)", "active": "BOOLEAN", "tags": "VARCHAR[]"}


def test_times_keep_their_microseconds(files: Path) -> None:
    row = parsed("ndjson", (files / "all.ndjson").read_bytes())[4]

    assert row["at"] == datetime(2024, 2, 29, 23, 59, 59, 123_456, tzinfo=UTC).isoformat()
