"""Parquet by its three readers: values and types of the whole table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars
import pytest
from pyarrow import parquet

from tests.readers import table

NAMES = list(table.KINDS)


def by_pyarrow(file: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = parquet.read_table(file).to_pylist()
    return rows


def by_polars(file: Path) -> list[dict[str, Any]]:
    return list(polars.read_parquet(file).to_dicts())


def by_duckdb(file: Path) -> list[dict[str, Any]]:
    # DuckDB makes moments of Python only where pytz is installed.
    query = 'SELECT * REPLACE (epoch_us("at") AS "at") FROM read_parquet(?)'
    rows = [dict(zip(NAMES, row, strict=True)) for row in duckdb.connect().execute(query, [str(file)]).fetchall()]
    zero = datetime(1970, 1, 1, tzinfo=UTC)
    return [row | {"at": row["at"] and zero + timedelta(microseconds=row["at"])} for row in rows]


@pytest.mark.parametrize("read", [by_pyarrow, by_polars, by_duckdb])
def test_every_value(files: Path, read: Any) -> None:
    found = read(files / "all.parquet")

    assert [list(row) for row in found] == [NAMES] * len(table.ROWS)
    assert [as_made(row) for row in found] == [as_written(row) for row in table.ROWS]


def as_made(row: dict[str, Any]) -> list[Any]:
    """A span of time is a decimal of seconds."""
    seconds = row["took"]
    span = timedelta(microseconds=int(seconds.scaleb(6))) if isinstance(seconds, Decimal) else seconds
    return list((row | {"took": span}).values())


def as_written(row: tuple[Any, ...]) -> list[Any]:
    """A document is its text."""
    return list((dict(zip(NAMES, row, strict=True)) | {"doc": table.JSON_TEXTS.get(row[0])}).values())
