"""Parquet of the same values: the same file from PostgreSQL and from Python, cell for cell what they were."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.types.json import Jsonb
from pyarrow import parquet

from exports_app.pipeline.types import Field, Kind
from tests.rendering import connect, json_of, render, render_python

# Each example asks a real server; its speed is not what is tested.
properties = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40) | st.sampled_from(
    ["", "\\N", "\\.", "\ufeffa", "\n", "\r\n", '"', '""', ",", "null", "NULL", "NaN", "t", " a ", "\x1f", "\u2028"]
)
decimals = st.decimals(-(10**10) + 1, 10**10 - 1, places=2)
exact = st.decimals(allow_nan=False).filter(
    lambda number: not number.is_finite() or -60 < number.adjusted() < 60
) | st.just(Decimal("NaN"))
json_values = json_of(texts)
STORED: dict[Kind, tuple[str, st.SearchStrategy[Any]]] = {
    Kind.TEXT: ("text", texts),
    Kind.INTEGER: ("bigint", st.integers(-(2**63), 2**63 - 1)),
    Kind.DECIMAL: ("numeric(12, 2)", decimals),
    Kind.FLOAT: ("float8", st.floats()),
    Kind.BOOLEAN: ("boolean", st.booleans()),
    Kind.DATE: ("date", st.dates()),
    Kind.DATETIME: ("timestamptz", st.datetimes(timezones=st.just(UTC))),
    Kind.TIME: ("time", st.times()),
    Kind.DURATION: ("interval", st.timedeltas(timedelta(days=-99_999_999), timedelta(days=99_999_999))),
    Kind.UUID: ("uuid", st.uuids()),
    Kind.CHOICE: ("text", st.sampled_from(["A", "B", "unknown"])),
    Kind.BINARY: ("bytea", st.binary(max_size=40)),
}
"""Type in the database and values, of all kinds that a list may hold."""


def _column(name: str, kind: Kind, element: Kind | None = None) -> Field:
    return Field(name=name, label=name, kind=kind, element=element, max_digits=12, decimal_places=2)


COLUMNS: list[tuple[Field, str, st.SearchStrategy[Any]]] = [
    *[(_column(kind, kind), name, values) for kind, (name, values) in STORED.items()],
    *[
        (_column(f"{kind}s", Kind.ARRAY, kind), f"{name}[]", st.lists(st.none() | values, max_size=4))
        for kind, (name, values) in STORED.items()
    ],
    (_column("json", Kind.JSON), "jsonb", json_values),
    (Field(name="exact", label="", kind=Kind.DECIMAL), "numeric", exact),
]
FIELDS = [field for field, _, _ in COLUMNS]
rows = st.lists(st.tuples(*[st.none() | values for _, _, values in COLUMNS]), min_size=1, max_size=5)

SEEN: dict[Kind, Callable[[Any], Any]] = {
    Kind.UUID: str,
    Kind.DURATION: lambda value: Decimal(value // timedelta(microseconds=1)).scaleb(-6),
    Kind.FLOAT: lambda value: "NaN" if math.isnan(value) else value,
}
"""Where a cell differs from the value that it was made of; NaN, which equals nothing, as text."""


@pytest.fixture(scope="module")
def connection() -> Iterator[psycopg.Connection[Any]]:
    """One connection for all examples, its texts of times in UTC."""
    with connect() as opened:
        opened.autocommit = True
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


def query_of(given_rows: Sequence[Sequence[Any]]) -> str:
    """The rows as a query, numbered by a last column."""
    lines = [
        sql.SQL("({}, {})").format(
            sql.SQL(", ").join([_literal(*each) for each in zip(COLUMNS, row, strict=True)]), sql.Literal(number)
        )
        for number, row in enumerate(given_rows)
    ]
    return sql.SQL("SELECT * FROM (VALUES {}) AS v").format(sql.SQL(", ").join(lines)).as_string()


def _literal(column: tuple[Field, str, Any], value: Any) -> sql.Composable:
    shown = Jsonb(value) if column[0].kind is Kind.JSON and value is not None else value
    if isinstance(shown, int | float | Decimal):
        shown = str(shown)
    if column[0].element is Kind.BINARY and value is not None:  # psycopg's own literal doubles each quote in them
        shown = [None if each is None else f"\\x{each.hex()}" for each in value]
    return sql.SQL("{}::{}").format(sql.Literal(shown), sql.SQL(column[1]))


def cells(data: bytes) -> list[tuple[Any, ...]]:
    """The rows as pyarrow reads them, NaN as text."""
    table = parquet.read_table(io.BytesIO(data))
    columns = [
        [_without_nan(value) for value in values.to_pylist()] if "double" in str(values.type) else values.to_pylist()
        for values in table.columns
    ]
    return list(zip(*columns, strict=True))


def _without_nan(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nan(each) for each in value]
    return "NaN" if value is not None and math.isnan(value) else value


def seen(field: Field, value: Any) -> Any:
    """What a reader shall see of a value."""
    if value is None:
        return None
    if field.kind is Kind.ARRAY:
        return [seen(_column(field.name, field.element or Kind.TEXT), each) for each in value]
    return SEEN.get(field.kind, lambda each: each)(value)


@properties
@given(rows=rows)
@example(rows=[(None,) * len(COLUMNS)])
def test_postgresql_and_python_give_the_same_file(
    connection: psycopg.Connection[Any], rows: list[tuple[Any, ...]]
) -> None:
    query = query_of(rows)
    stored = [row[:-1] for row in connection.execute(query.encode()).fetchall()]

    assert render_python("parquet", FIELDS, stored) == render("parquet", FIELDS, query)


@properties
@given(rows=rows)
def test_readers_see_the_values_that_were_stored(rows: list[tuple[Any, ...]]) -> None:
    found = cells(render("parquet", FIELDS, query_of(rows)))

    plain = len(COLUMNS) - 2
    for row, cell in zip(rows, found, strict=True):
        assert cell[:plain] == tuple(
            seen(field, value) for field, value in zip(FIELDS[:plain], row[:plain], strict=True)
        )
        assert [None if text is None else json.loads(text) for text in cell[plain : plain + 1]] == [row[plain]]
        assert str(cell[-1]) == str(row[-1]) or Decimal(cell[-1]) == row[-1]


def test_moments_read_back_with_their_zone() -> None:
    at = datetime(2024, 3, 31, 1, 0, tzinfo=UTC)
    data = render(
        "parquet", [_column("at", Kind.DATETIME)], f"SELECT timestamptz '{at}', 1", options={"timezone": "Asia/Tokyo"}
    )

    assert cells(data) == [(at,)]
