"""XLSX of the same values: from PostgreSQL and from Python byte for byte, and cell for cell what they were."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import psycopg
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.types.json import Jsonb

from exports_app.pipeline.types import Field, Kind
from tests.rendering import json_of, render, render_python
from tests.xlsx_cells import sheet_xml

MILLISECOND = timedelta(milliseconds=1)
local = datetime.fromisoformat
"""What spreadsheets have: a date and a time without a zone."""
# Each example asks a real server; its speed is not what is tested.
properties = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40) | st.sampled_from(
    ["_x000D_", "_x005F_\r", "_x0041", "\\N", "\\", "\\n", "\t\n\r", " a ", "=1", "\ufffe\uffff", "<&>\"'", "]]>"]
)
decimals = (
    st.decimals(allow_nan=False, allow_infinity=False).filter(
        lambda number: -60 < number.adjusted() < 60 and int(number.as_tuple().exponent) > -80
    )
    | st.just(Decimal("NaN"))
    | st.sampled_from([Decimal(10) ** n + offset for n in (14, 15, 16) for offset in (-1, 0, 1)])
)
datetimes = st.datetimes(timezones=st.just(UTC)) | st.datetimes(
    local("1900-02-27"), local("1900-03-02"), timezones=st.just(UTC)
)
dates = st.dates() | st.dates(date(1900, 2, 27), date(1900, 3, 2))
durations = st.timedeltas(timedelta(days=-3_000_000), timedelta(days=3_000_000))
json_values = json_of(texts)
VALUES: dict[Kind, tuple[str, st.SearchStrategy[Any]]] = {
    Kind.TEXT: ("text", texts),
    Kind.INTEGER: ("bigint", st.integers(-(2**63), 2**63 - 1) | st.integers(10**15 - 2, 10**15 + 2)),
    Kind.DECIMAL: ("numeric", decimals),
    Kind.FLOAT: ("float8", st.floats()),
    Kind.BOOLEAN: ("boolean", st.booleans()),
    Kind.DATE: ("date", dates),
    Kind.DATETIME: ("timestamptz", datetimes),
    Kind.TIME: ("time", st.times() | st.just(time.max)),
    Kind.DURATION: ("interval", durations),
    Kind.UUID: ("uuid", st.uuids()),
    Kind.JSON: ("jsonb", json_values),
    Kind.ARRAY: ("text[]", st.lists(texts | st.none(), max_size=4)),
    Kind.CHOICE: ("text", st.sampled_from(["A", "B", "unknown"])),
    Kind.BINARY: ("bytea", st.binary(max_size=40)),
}
FIELDS = [Field(name=kind, label=kind, kind=kind, choices=(("A", "Label <A>"), ("B", "Label B"))) for kind in VALUES]
rows = st.lists(st.tuples(*[st.none() | strategy for _, strategy in VALUES.values()]), min_size=1, max_size=5)


def query_of(given_rows: Sequence[Sequence[Any]]) -> str:
    """The rows as a query, numbered by a last column."""
    lines = [
        sql.SQL("({}, {})").format(
            sql.SQL(", ").join([_literal(kind, value) for kind, value in zip(VALUES, row, strict=True)]),
            sql.Literal(number),
        )
        for number, row in enumerate(given_rows)
    ]
    return sql.SQL("SELECT * FROM (VALUES {}) AS v").format(sql.SQL(", ").join(lines)).as_string()


def _literal(kind: Kind, value: Any) -> sql.Composable:
    shown = Jsonb(value) if kind is Kind.JSON and value is not None else value
    if isinstance(shown, float) and not math.isfinite(shown):
        shown = str(shown)
    return sql.SQL("({})::{}").format(sql.Literal(shown), sql.SQL(VALUES[kind][0]))


def stored(connection: psycopg.Connection[Any], query: str) -> list[tuple[Any, ...]]:
    """The same rows as Python has them when they come out of the database."""
    return [row[:-1] for row in connection.execute(query.encode()).fetchall()]


@properties
@given(
    rows=rows, options=st.sampled_from([{}, {"timezone": "Europe/Berlin"}, {"choice_labels": True}, {"locale": "de"}])
)
@example(rows=[(None,) * len(VALUES)], options={})
def test_postgresql_and_python_give_the_same_bytes(
    connection: psycopg.Connection[Any], rows: list[tuple[Any, ...]], options: Mapping[str, Any]
) -> None:
    query = query_of(rows)

    in_sql = render("xlsx", FIELDS, query, options=options)
    in_python = render_python("xlsx", FIELDS, stored(connection, query), options)

    assert sheet_xml(in_sql) == sheet_xml(in_python)  # which shows what differs
    assert in_sql == in_python


@properties
@given(rows=rows)
def test_every_cell_is_what_it_was(connection: psycopg.Connection[Any], rows: list[tuple[Any, ...]]) -> None:
    query = query_of(rows)
    book = openpyxl.load_workbook(io.BytesIO(render("xlsx", FIELDS, query)))

    _, *read = book.active.iter_rows(values_only=True)

    for row, before in zip(read, stored(connection, query), strict=True):
        for kind, cell, value in zip(VALUES, row, before, strict=True):
            if value is None:
                assert cell is None
            elif kind in EXPECTED:
                EXPECTED[kind](cell, value)


def same_text(cell: Any, value: str) -> None:
    assert re.sub("_x([0-9A-F]{4})_", lambda match: chr(int(match[1], 16)), cell) == value


def same_integer(cell: Any, value: int) -> None:
    assert cell == (value if abs(value) < 10**15 else str(value))
    assert type(cell) is (int if abs(value) < 10**15 else str)


def same_decimal(cell: Any, value: Decimal) -> None:
    digits = len(value.normalize().as_tuple().digits) if value.is_finite() else 99
    if isinstance(cell, str):
        assert digits > 15 or abs(value) >= 10**15
        assert cell == f"{value:f}"
    else:
        assert digits <= 15
        assert Decimal(repr(cell)) == value


def same_float(cell: Any, value: float) -> None:
    names = {math.inf: "Infinity", -math.inf: "-Infinity"}
    assert cell == ("NaN" if math.isnan(value) else names.get(value, value))


def same_boolean(cell: Any, value: bool) -> None:
    assert cell is value


def same_date(cell: Any, value: date) -> None:
    typed = value >= date(1900, 3, 1)
    assert cell == (datetime.combine(value, time()) if typed else value.isoformat())


def same_datetime(cell: Any, value: datetime) -> None:
    naive = value.replace(tzinfo=None)
    if naive < local("1900-03-01"):
        assert datetime.fromisoformat(cell) == value
    else:
        assert abs(cell - naive) <= MILLISECOND
        assert cell.replace(microsecond=0) == naive.replace(microsecond=0)


def same_time(cell: Any, value: time) -> None:
    assert abs(datetime.combine(date.min, cell) - datetime.combine(date.min, value)) <= MILLISECOND


def same_duration(cell: Any, value: timedelta) -> None:
    if abs(value) < timedelta(days=2_958_466):
        assert abs(cell - value) <= MILLISECOND
    else:
        assert Decimal(cell) == Decimal(value // timedelta(microseconds=1)) / 1_000_000


EXPECTED: Mapping[Kind, Callable[[Any, Any], None]] = {
    Kind.TEXT: same_text,
    Kind.CHOICE: same_text,
    Kind.INTEGER: same_integer,
    Kind.DECIMAL: same_decimal,
    Kind.FLOAT: same_float,
    Kind.BOOLEAN: same_boolean,
    Kind.DATE: same_date,
    Kind.DATETIME: same_datetime,
    Kind.TIME: same_time,
    Kind.DURATION: same_duration,
    Kind.UUID: lambda cell, value: same_text(cell, str(value)),
}


@properties
@given(
    at=st.datetimes(local("1900-03-02"), local("9999-12-30"), timezones=st.just(UTC)),
    zone=st.sampled_from(["Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Europe/Amsterdam", "Pacific/Apia"]),
)
def test_moments_stand_in_local_time(at: datetime, zone: str) -> None:
    field = Field(name="at", label="At", kind=Kind.DATETIME)

    data = render_python("xlsx", [field], [(at,)], {"timezone": zone})

    local = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    (_, (cell,)) = openpyxl.load_workbook(io.BytesIO(data)).active.iter_rows(values_only=True)
    assert abs(cell - local) <= MILLISECOND


def test_naive_moments_are_utc_and_aware_ones_are_moved() -> None:
    field = Field(name="at", label="At", kind=Kind.DATETIME)
    moments = [
        local("2024-01-31 12:00"),
        datetime(2024, 1, 31, 12, tzinfo=UTC),
        datetime(2024, 1, 31, 14, tzinfo=timezone(timedelta(hours=2))),
    ]

    data = render_python("xlsx", [field], [(moment,) for moment in moments])

    _, *read = openpyxl.load_workbook(io.BytesIO(data)).active.iter_rows(values_only=True)
    assert read == [(local("2024-01-31 12:00"),)] * 3
