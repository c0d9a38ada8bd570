"""csv, json and ndjson of generated values of every kind: PostgreSQL and Python give the same bytes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.types.json import Jsonb
from psycopg.types.range import Range

from exports_app.pipeline.formats.scalars import float_text
from exports_app.pipeline.types import Field, Kind
from tests.rendering import render, render_python

# Each example asks a real server; its speed is not what is tested.
properties = settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

TRICKY = [
    "",
    " ",
    "a,b",
    'say "no"',
    "two\nlines",
    "\r\n",
    "\t|;",
    "\\N",
    "\\.",
    "\\",
    "null",
    "=1+1",
    "\uff1d",
    "\ufeff=1",
    "\u200b -1",
    "\u200f",
    "x;=1",
    "'",
    "🐘",
]
PLAIN = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
texts = st.text(PLAIN, max_size=30) | st.sampled_from(TRICKY)
integers = st.integers(-(2**63), 2**63 - 1)
decimals = st.decimals(allow_nan=False, allow_infinity=False).filter(
    lambda number: abs(number.adjusted()) < 60 and int(number.as_tuple().exponent) > -80
) | st.sampled_from([Decimal("NaN"), Decimal("Infinity"), Decimal("-Infinity"), Decimal("-0.00"), Decimal("1E+3")])
moments = st.datetimes(timezones=st.just(UTC)) | st.builds(
    # Around the hours that clocks of Berlin, New York and Lord Howe leave out or repeat.
    lambda at, seconds: at + timedelta(seconds=seconds, microseconds=500_000),
    st.sampled_from([datetime(2024, 3, 31, 1, tzinfo=UTC), datetime(2024, 10, 27, 1, tzinfo=UTC)])
    | st.sampled_from([datetime(2024, 11, 3, 6, tzinfo=UTC), datetime(2024, 4, 6, 15, tzinfo=UTC)]),
    st.integers(-8_000, 8_000),
)
json_texts = texts | st.sampled_from([": a, b", '": ', "key ", ", ", "\n    "])
json_numbers = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
documents = st.recursive(
    st.none() | st.booleans() | json_numbers | json_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(json_texts, inner, max_size=3),
    max_leaves=10,
)

SCALARS: dict[Kind, tuple[str, st.SearchStrategy[Any]]] = {
    Kind.TEXT: ("text", texts),
    Kind.INTEGER: ("bigint", integers),
    Kind.DECIMAL: ("numeric", decimals),
    Kind.FLOAT: ("float8", st.floats() | st.floats(2**53, 1e30)),
    Kind.BOOLEAN: ("boolean", st.booleans()),
    Kind.DATE: ("date", st.dates()),
    Kind.DATETIME: ("timestamptz", moments),
    Kind.TIME: ("time", st.times()),
    Kind.DURATION: ("interval", st.timedeltas()),
    Kind.UUID: ("uuid", st.uuids()),
    Kind.BINARY: ("bytea", st.binary(max_size=130)),
    Kind.JSON: ("jsonb", documents),
}
RANGES: dict[str, st.SearchStrategy[Any]] = {
    "tstzrange": st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.just(UTC)),  # noqa: DTZ001
    "tsrange": st.datetimes(),
    "daterange": st.dates(max_value=date(9999, 12, 30)),
    "numrange": st.decimals(-(10**9), 10**9, places=2),
    "int8range": st.integers(-(10**9), 10**9),
}


def ranges_of(bounds: st.SearchStrategy[Any]) -> st.SearchStrategy[Range[Any]]:
    """Ranges of every form, the empty one included."""
    pairs = st.tuples(st.none() | bounds, st.none() | bounds).map(
        lambda pair: pair if None in pair else (min(pair), max(pair))
    )
    forms = st.sampled_from(["[)", "[]", "()", "(]"])
    return st.just(Range(empty=True)) | st.builds(lambda pair, form: Range(pair[0], pair[1], form), pairs, forms)


def nested(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Arrays of arrays, all of them of one length."""
    return st.integers(1, 3).flatmap(
        lambda size: st.lists(st.lists(st.none() | values, min_size=size, max_size=size), max_size=3)
    )


CHOICES = (("A", 'Label "A"'), ("B", "=B, b"))
COLUMNS: list[tuple[Field, str, st.SearchStrategy[Any]]] = [
    *((Field(name=kind, label=kind, kind=kind), type_, values) for kind, (type_, values) in SCALARS.items()),
    *(
        (
            Field(name=f"{kind} list", label=kind, kind=Kind.ARRAY, element=kind),
            f"{type_}[]",
            st.lists(st.none() | values),
        )
        for kind, (type_, values) in SCALARS.items()
    ),
    (
        Field(name="lists of lists", label="=lists", kind=Kind.ARRAY, element=Kind.ARRAY),
        "bigint[]",
        st.lists(st.lists(st.none() | integers, min_size=2, max_size=2), max_size=3),
    ),
    (Field(name="choice", label="c", kind=Kind.CHOICE, choices=CHOICES), "text", st.sampled_from(["A", "B", "-x"])),
    (
        Field(name="number", label="n", kind=Kind.CHOICE, element=Kind.INTEGER, choices=(("-1", "one"),)),
        "int",
        st.integers(-2, 2),
    ),
    (
        Field(name="rate", label="r", kind=Kind.CHOICE, element=Kind.DECIMAL, choices=(("0.2", "=full"), ("1", "I"))),
        "numeric",
        st.sampled_from([Decimal("0.20"), Decimal("1.000"), Decimal("-1"), Decimal(0)]),
    ),
    (
        Field(name="letters", label="l", kind=Kind.ARRAY, element=Kind.TEXT, choices=CHOICES),
        "text[]",
        st.lists(st.none() | st.sampled_from(["A", "B", "-x"])),
    ),
    *(
        (Field(name=name, label=name, kind=Kind.TEXT, range_type=name), name, ranges_of(bounds))
        for name, bounds in RANGES.items()
    ),
    *(
        (Field(name=f"nested {kind}", label=kind, kind=Kind.ARRAY, element=kind, nested=True), f"{type_}[]", nested(of))
        for kind, (type_, of) in SCALARS.items()
        if kind in (Kind.DATETIME, Kind.DECIMAL, Kind.BOOLEAN, Kind.DURATION)
    ),
    (Field(name="path", label="p", kind=Kind.JSON, json_path=True), "jsonb", documents),
    (Field(name="quotient", label="q", kind=Kind.DECIMAL, trimmed=True), "numeric", decimals),
    (Field(name="mean", label="m", kind=Kind.FLOAT, trimmed=True), "float8", st.floats()),
    (Field(name="safe", label="s", kind=Kind.TEXT, guarded=False), "text", texts),
]
FIELDS = [field for field, _, _ in COLUMNS]
rows = st.lists(st.tuples(*[st.none() | values for _, _, values in COLUMNS]), max_size=4)
zones = st.none() | st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"])

machine_options = st.fixed_dictionaries(
    {"timezone": zones, "choice_labels": st.booleans(), "decimal_strings": st.booleans()}
)
csv_options = st.fixed_dictionaries(
    {
        "timezone": zones,
        "choice_labels": st.booleans(),
        "delimiter": st.sampled_from(",;\t|"),
        "line_ending": st.sampled_from(["lf", "crlf"]),
        "escape_formulas": st.none() | st.booleans(),
        "bom": st.booleans(),
        "header": st.booleans(),
        "row_count_footer": st.booleans(),
        "locale": st.none() | st.sampled_from(["de", "en_US", "fr", "ja"]),
        "date_format": st.none() | st.sampled_from(["iso", "short", "long", "full", "yyyy/M/d", "EEE dd MMM yy"]),
        "decimal_separator": st.none() | st.sampled_from(".,"),
    }
)


def as_query(given_rows: Sequence[Sequence[Any]], connection: psycopg.Connection[Any]) -> str:
    """The rows as a query, numbered by a last column."""
    lines = [
        sql.SQL("SELECT {}, {}").format(
            sql.SQL(", ").join(
                [_literal(value, field, type_) for value, (field, type_, _) in zip(row, COLUMNS, strict=True)]
            ),
            sql.Literal(number),
        )
        for number, row in enumerate(given_rows)
    ]
    if not lines:
        nothing = sql.SQL(", ").join([sql.SQL("NULL::" + type_) for _, type_, _ in COLUMNS])
        return sql.SQL("SELECT {}, 1 WHERE false").format(nothing).as_string(connection)
    return sql.SQL(" UNION ALL ").join(lines).as_string(connection)


def _literal(value: Any, field: Field, type_: str) -> sql.Composable:
    if value is not None and field.kind is Kind.JSON:
        value = Jsonb(value)
    elif value is not None and field.element is Kind.JSON:
        value = [each if each is None else Jsonb(each) for each in value]
    elif isinstance(value, float):
        value = str(value)  # as a number it would be numeric first, which has no -0
    return sql.SQL("({})::" + type_).format(sql.Literal(value))


def as_loaded(
    given_rows: Sequence[Sequence[Any]], query: str, connection: psycopg.Connection[Any]
) -> list[tuple[Any, ...]]:
    """The rows with JSON and ranges as the database gives them back, in its order; all else as it was generated."""
    loaded = connection.execute(query.encode()).fetchall()
    changed = [Kind.JSON in (field.kind, field.element) or field.range_type is not None for field in FIELDS]
    return [
        tuple(back if is_changed else value for value, back, is_changed in zip(row, stored, changed, strict=False))
        for row, stored in zip(given_rows, sorted(loaded, key=lambda row: int(row[-1])), strict=True)
    ]


@pytest.mark.parametrize("format_name", ["json", "ndjson"])
@properties
@given(given_rows=rows, options=machine_options)
def test_json_from_both_sides_is_the_same(
    format_name: str,
    given_rows: list[tuple[Any, ...]],
    options: dict[str, Any],
    connection: psycopg.Connection[Any],
) -> None:
    query = as_query(given_rows, connection)
    data = render(format_name, FIELDS, query, options=options, chunk_rows=2)
    assert data == render_python(format_name, FIELDS, as_loaded(given_rows, query, connection), options, chunk_rows=3)
    read = json.loads(data) if format_name == "json" else [json.loads(line) for line in data.split(b"\n")[:-1]]
    assert [row["text"] for row in read] == [row[0] for row in given_rows]
    assert [row["integer"] for row in read] == [row[1] for row in given_rows]
    assert [list(row) for row in read] == [[field.name for field in FIELDS]] * len(given_rows)


@properties
@given(given_rows=rows, options=csv_options)
def test_csv_from_both_sides_is_the_same(
    given_rows: list[tuple[Any, ...]], options: dict[str, Any], connection: psycopg.Connection[Any]
) -> None:
    query = as_query(given_rows, connection)
    data = render("csv", FIELDS, query, options=options, chunk_rows=2)
    assert data == render_python("csv", FIELDS, as_loaded(given_rows, query, connection), options, chunk_rows=3)
    text = io.StringIO(data.decode("utf-8-sig" if options["bom"] else "utf-8"), newline="")
    assert len(list(csv.reader(text, delimiter=options["delimiter"]))) == (
        len(given_rows) + options["header"] + options["row_count_footer"]
    )


@properties
@given(values=st.lists(st.floats() | st.floats(2**53, 1e40) | st.integers(2**53, 2**90).map(float), max_size=200))
def test_floats_are_printed_as_postgresql_prints_them(values: list[float], connection: psycopg.Connection[Any]) -> None:
    printed = connection.execute("SELECT v::text FROM unnest(%s::float8[]) AS v", [values]).fetchall()
    assert [text for (text,) in printed] == [float_text(value) for value in values]


@pytest.mark.parametrize("value", [1e23, 9e22, 2.0**63, 5e-324, 1.7976931348623157e308, 9007199254740993.0, -1e23])
def test_floats_halfway_between_neighbours_as_well(value: float, connection: psycopg.Connection[Any]) -> None:
    printed = connection.execute("SELECT %s::float8::text", [repr(value)]).fetchone()
    assert printed == (float_text(value),)


@properties
@given(at=st.datetimes(timezones=st.just(UTC)), zone=st.sampled_from(["Europe/Berlin", "America/St_Johns"]))
def test_a_zoned_datetime_is_the_same_moment(at: datetime, zone: str) -> None:
    fields = [Field(name="at", label="at", kind=Kind.DATETIME)]
    data = render_python("csv", fields, [[at]], {"timezone": zone, "header": False})
    shown = datetime.fromisoformat(data.decode().removesuffix("\n"))
    assert shown == at
    assert shown.utcoffset() in (timedelta(), at.astimezone(ZoneInfo(zone)).utcoffset()) if at.year > 1 else True
