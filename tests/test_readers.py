"""The flights of 2013 in every format, read back by readers that nobody here wrote: all cells and types as they were.

20,000 rows by default; ``ALL_FLIGHTS=1`` takes all 336,776.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pandas
import pytest
from pyarrow import parquet
from python_calamine import CalamineWorkbook

from exports_app.pipeline.types import Field, Kind
from tests.flights.check import flights_csv
from tests.rendering import connect, render

LIMIT = None if os.environ.get("ALL_FLIGHTS") else 20_000
COLUMNS = {
    "id": Kind.INTEGER,
    "dep_time": Kind.INTEGER,
    "dep_delay": Kind.FLOAT,
    "carrier": Kind.TEXT,
    "tailnum": Kind.TEXT,
    "origin": Kind.TEXT,
    "distance": Kind.DECIMAL,
    "early": Kind.BOOLEAN,
    "day": Kind.DATE,
    "time_hour": Kind.DATETIME,
}
FIELDS = [
    Field(name=name, label=name, kind=kind, max_digits=8 if kind is Kind.DECIMAL else None, decimal_places=1)
    for name, kind in COLUMNS.items()
]
QUERY = f"SELECT {', '.join(COLUMNS)}, id FROM readers_flight"

Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def flights() -> Iterator[Rows]:
    """The table, and its rows as psycopg gives them."""
    with connect() as connection:
        connection.execute("DROP TABLE IF EXISTS readers_flight, readers_raw")
        header, _, _ = flights_csv().partition(b"\n")
        raw = ", ".join(f"{name} text" for name in header.decode().strip().split(","))
        connection.execute(f"CREATE TABLE readers_raw ({raw})")
        with connection.cursor().copy("COPY readers_raw FROM STDIN (FORMAT csv, HEADER, NULL 'NA')") as copy:
            copy.write(flights_csv())
        connection.execute(
            f"""
            CREATE TABLE readers_flight AS
            SELECT row_number() OVER () AS id, dep_time::int, dep_delay::float8, carrier, tailnum, origin,
                   distance::numeric(8, 1), dep_delay::float8 < 0 AS early,
                   make_date(year::int, month::int, day::int) AS day, time_hour::timestamptz
              FROM readers_raw LIMIT {LIMIT or "ALL"}
            """
        )
        connection.execute("ALTER TABLE readers_flight ADD PRIMARY KEY (id)")
        connection.commit()
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM readers_flight ORDER BY id").fetchall()
        yield rows
        connection.execute("DROP TABLE readers_flight, readers_raw")


def text(value: Any) -> str:
    """The text form of the contract, by hand."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


@pytest.mark.parametrize("compressed", [False, True])
def test_csv_by_the_standard_library(flights: Rows, compressed: bool) -> None:
    data = render("csv", FIELDS, QUERY, options={"escape_formulas": False}, gzip=compressed)
    lines = list(csv.reader(io.StringIO((gzip.decompress(data) if compressed else data).decode(), newline="")))
    assert lines[0] == list(COLUMNS)
    assert lines[1:] == [[text(value) for value in row] for row in flights]


def test_csv_by_pandas_and_duckdb(flights: Rows, tmp_path: Path) -> None:
    file = tmp_path / "flights.csv"
    file.write_bytes(render("csv", FIELDS, QUERY))
    frame = pandas.read_csv(file, parse_dates=["time_hour"], keep_default_na=False, na_values={"dep_time": [""]})
    assert frame["distance"].sum() == float(sum(row[6] for row in flights))
    assert list(frame["time_hour"]) == [row[9] for row in flights]
    found = (
        duckdb.connect()
        .execute(
            f"SELECT id, dep_time, dep_delay, tailnum, early, day, epoch(time_hour) FROM read_csv('{file}', nullstr='')"
        )
        .fetchall()
    )
    assert found == [(row[0], row[1], row[2], row[4], row[7], row[8], row[9].timestamp()) for row in flights]


@pytest.mark.parametrize("name", ["json", "ndjson"])
def test_json_by_the_standard_library(flights: Rows, name: str) -> None:
    data = render(name, FIELDS, QUERY)
    rows = (
        json.loads(data, parse_float=Decimal)
        if name == "json"
        else [json.loads(line, parse_float=Decimal) for line in data.splitlines()]
    )
    assert list(rows[0]) == list(COLUMNS)
    for found, row in zip(rows, flights, strict=True):
        assert list(found.values()) == [
            text(value) if isinstance(value, str | datetime) or hasattr(value, "isoformat") else value for value in row
        ]


def test_parquet_by_pyarrow_and_duckdb(flights: Rows, tmp_path: Path) -> None:
    file = tmp_path / "flights.parquet"
    file.write_bytes(render("parquet", FIELDS, QUERY))
    table = parquet.read_table(file)
    assert [str(kind) for kind in table.schema.types] == [
        *("int64", "int64", "double", "string", "string", "string"),
        *("decimal128(8, 1)", "bool", "date32[day]", "timestamp[us, tz=UTC]"),
    ]
    assert [tuple(row.values()) for row in table.to_pylist()] == flights
    totals = duckdb.connect().execute(f"SELECT count(*), sum(distance) FROM '{file}'").fetchall()
    assert totals == [(len(flights), sum(row[6] for row in flights))]


def excel(value: Any) -> Any:
    """What a cell gives back: numbers are numbers, moments are local to UTC, a day is its midnight."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - workbooks know no zones
    return float(value) if isinstance(value, Decimal) else value


def test_xlsx_by_openpyxl(flights: Rows) -> None:
    data = render("xlsx", FIELDS, QUERY)
    sheet = openpyxl.load_workbook(io.BytesIO(data), read_only=True).worksheets[0]
    rows = sheet.iter_rows(values_only=True)
    assert next(rows) == tuple(COLUMNS)
    for found, row in zip(rows, flights, strict=True):
        assert found == tuple(excel(value) for value in row)


def test_xlsx_by_calamine_and_xlsx2csv(flights: Rows, tmp_path: Path) -> None:
    file = tmp_path / "flights.xlsx"
    file.write_bytes(render("xlsx", FIELDS, QUERY))
    rows = CalamineWorkbook.from_path(str(file)).get_sheet_by_index(0).to_python()
    assert rows[0] == list(COLUMNS)
    for found, row in zip(rows[1:], flights, strict=True):
        # calamine gives a date-time at midnight as a date
        found[8:] = [value if isinstance(value, datetime) else excel(value) for value in found[8:]]
        assert found == ["" if value is None else excel(value) for value in row]
    command = [sys.executable, "-c", "import xlsx2csv; xlsx2csv.main()", str(file)]
    lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    assert len(lines) == len(flights) + 1
    assert lines[1].split(",")[:6] == [text(value) for value in flights[0][:6]]


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice (Debian: libreoffice-calc) is not installed")
def test_xlsx_by_libreoffice(flights: Rows, tmp_path: Path) -> None:
    file = tmp_path / "flights.xlsx"
    file.write_bytes(render("xlsx", FIELDS, QUERY, limit=2_000))
    subprocess.run(
        ["soffice", "--headless", "--convert-to", "csv", "--outdir", str(tmp_path), str(file)],
        env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True,
        check=True,
        timeout=180,
    )
    lines = list(csv.reader((tmp_path / "flights.csv").read_text().splitlines()))
    assert lines[0] == list(COLUMNS)
    for found, row in zip(lines[1:], flights[:2_000], strict=True):
        moment = row[9].astimezone(UTC)
        assert found[:6] == [text(value) for value in row[:6]]
        assert found[7] == ("" if row[7] is None else str(row[7]).upper())
        assert Decimal(found[6]) == row[6]
        assert abs(datetime.fromisoformat(found[9]) - moment.replace(tzinfo=None)) < timedelta(seconds=1)
