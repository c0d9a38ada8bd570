"""Parquet as readers see it: types, values, NULLs, row groups, and what it refuses."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pandas
import pytest
from pyarrow import parquet

from exports_app.pipeline import errors
from exports_app.pipeline.types import Field, Kind
from tests.rendering import render, render_python


def field(name: str, kind: Kind = Kind.TEXT, **values: Any) -> Field:
    return Field(name=name, label=name.title(), kind=kind, **values)


def read(data: bytes) -> Any:
    """The file as pyarrow reads it."""
    return parquet.read_table(io.BytesIO(data))


def one(kind: Kind, expression: str, options: dict[str, Any] | None = None, **values: Any) -> Any:
    """The only value of a file with one column and one row."""
    return read(render("parquet", [field("v", kind, **values)], f"SELECT {expression}, 1", options=options))["v"][
        0
    ].as_py()


PAYMENT = [
    field("id", Kind.INTEGER),
    field("reference", Kind.UUID),
    field("description"),
    field("amount", Kind.DECIMAL, max_digits=12, decimal_places=2),
    field("rate", Kind.FLOAT),
    field("booked_at", Kind.DATETIME),
    field("day", Kind.DATE),
    field("at", Kind.TIME),
    field("took", Kind.DURATION),
    field("settled", Kind.BOOLEAN),
    field("status", Kind.CHOICE, choices=(("S", "Settled"), ("F", "Failed"))),
    field("details", Kind.JSON),
    field("receipt", Kind.BINARY),
    field("tags", Kind.ARRAY, element=Kind.TEXT),
    field("days", Kind.ARRAY, element=Kind.DATE),
]
PAYMENTS = """
SELECT * FROM (VALUES
  (1::bigint, 'c4ca4238-a0b9-2382-0dcc-509a6f75849b'::uuid, 'said "yes",' || E'\\r\\n' || 'twice',
   12.50::numeric(12, 2),
   0.1::float8, '2024-10-27 00:30:00.5+00'::timestamptz, '2024-02-29'::date, '23:59:59.999999'::time,
   '1 day 00:00:00.25'::interval, true, 'S', '{"a": [1, null, {"b": "ü"}]}'::jsonb, '\\x00ff'::bytea,
   ARRAY['a "b"', '', NULL], ARRAY['0001-01-01', '9999-12-31']::date[], 1),
  (NULL, NULL, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, ''::bytea, '{}', NULL, 2)
) AS payments
"""
FIRST = {
    "id": 1,
    "reference": "c4ca4238-a0b9-2382-0dcc-509a6f75849b",
    "description": 'said "yes",\r\ntwice',
    "amount": Decimal("12.50"),
    "rate": 0.1,
    "booked_at": datetime(2024, 10, 27, 0, 30, 0, 500_000, tzinfo=UTC),
    "day": date(2024, 2, 29),
    "at": time(23, 59, 59, 999_999),
    "took": Decimal("86400.250000"),
    "settled": True,
    "status": "S",
    "details": '{"a":[1,null,{"b":"ü"}]}',
    "receipt": b"\x00\xff",
    "tags": ['a "b"', "", None],
    "days": [date(1, 1, 1), date(9999, 12, 31)],
}
SECOND = dict.fromkeys(FIRST) | {"description": "", "receipt": b"", "tags": []}


def test_each_kind_has_its_type() -> None:
    schema = read(render("parquet", PAYMENT, PAYMENTS)).schema

    assert {name: str(kind) for name, kind in zip(schema.names, schema.types, strict=True)} == {
        "id": "int64",
        "reference": "string",
        "description": "string",
        "amount": "decimal128(12, 2)",
        "rate": "double",
        "booked_at": "timestamp[us, tz=UTC]",
        "day": "date32[day]",
        "at": "time64[us]",
        "took": "decimal128(22, 6)",
        "settled": "bool",
        "status": "string",
        "details": "string",
        "receipt": "binary",
        "tags": "list<element: string>",
        "days": "list<element: date32[day]>",
    }


def test_pyarrow_reads_every_value_and_tells_null_from_empty() -> None:
    assert read(render("parquet", PAYMENT, PAYMENTS)).to_pylist() == [FIRST, SECOND]


def test_rows_of_python_values_give_the_same_file() -> None:
    rows = [
        (
            1,
            UUID("c4ca4238-a0b9-2382-0dcc-509a6f75849b"),
            'said "yes",\r\ntwice',
            Decimal("12.50"),
            0.1,
            datetime(2024, 10, 27, 0, 30, 0, 500_000, tzinfo=UTC),
            date(2024, 2, 29),
            time(23, 59, 59, 999_999),
            pandas.Timedelta(days=1, milliseconds=250).to_pytimedelta(),
            True,
            "S",
            {"a": [1, None, {"b": "ü"}]},
            b"\x00\xff",
            ['a "b"', "", None],
            [date(1, 1, 1), date(9999, 12, 31)],
        ),
        (None, None, "", *[None] * 9, b"", [], None),
    ]

    assert render_python("parquet", PAYMENT, rows) == render("parquet", PAYMENT, PAYMENTS)


def test_pandas_reads_it() -> None:
    frame = pandas.read_parquet(io.BytesIO(render("parquet", PAYMENT, PAYMENTS)), dtype_backend="pyarrow")

    assert frame["amount"][0] == Decimal("12.50")
    assert frame["booked_at"][0] == pandas.Timestamp("2024-10-27T00:30:00.5Z")
    assert frame["day"][0] == date(2024, 2, 29)
    assert list(frame["tags"][0]) == ['a "b"', "", None]
    assert frame["id"].isna().tolist() == [False, True]
    assert frame["description"].tolist() == ['said "yes",\r\ntwice', ""]


def test_duckdb_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "payments.parquet"
    file.write_bytes(render("parquet", PAYMENT, PAYMENTS))

    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        columns = database.execute(f"DESCRIBE SELECT * FROM '{file}'").fetchall()
        rows = database.execute(f"SELECT * EXCLUDE booked_at, booked_at::text FROM '{file}'").fetchall()

    assert [kind for _, kind, *_ in columns] == [
        "BIGINT", "VARCHAR", "VARCHAR", "DECIMAL(12,2)", "DOUBLE", "TIMESTAMP WITH TIME ZONE", "DATE", "TIME",
        "DECIMAL(22,6)", "BOOLEAN", "VARCHAR", "VARCHAR", "BLOB", "VARCHAR[]", "DATE[]",
    ]  # fmt: skip
    moments = [FIRST | {"booked_at": None}, SECOND]
    assert [row[:-1] for row in rows] == [
        tuple(value for name, value in row.items() if name != "booked_at") for row in moments
    ]
    assert [row[-1] for row in rows] == ["2024-10-27 00:30:00.5+00", None]


@pytest.mark.parametrize(
    ("kind", "expression", "value"),
    [
        (Kind.INTEGER, "9223372036854775807", 9223372036854775807),
        (Kind.INTEGER, "-9223372036854775808", -9223372036854775808),
        (Kind.FLOAT, "5e-324::float8", 5e-324),
        (Kind.FLOAT, "1.7976931348623157e308::float8", 1.7976931348623157e308),
        (Kind.FLOAT, "'-Infinity'::float8", float("-inf")),
        (Kind.FLOAT, "0.1::float4", 0.1),
        (Kind.DATE, "date '0001-01-01'", date(1, 1, 1)),
        (Kind.DATE, "date '9999-12-31'", date(9999, 12, 31)),
        (Kind.DATETIME, "timestamptz '0001-01-01 00:00+00'", datetime(1, 1, 1, tzinfo=UTC)),
        (Kind.DATETIME, "timestamptz '9999-12-31 23:59:59.999999+00'", datetime.max.replace(tzinfo=UTC)),
        (Kind.DATETIME, "timestamp '2024-06-01 12:00'", datetime(2024, 6, 1, 12, tzinfo=UTC)),
        (Kind.TIME, "time '00:00'", time(0)),
        (Kind.DURATION, "interval '-178000000 years'", Decimal("-5617252800000000.000000")),
        (Kind.DURATION, "interval '-0.000001 s'", Decimal("-0.000001")),
        (Kind.TEXT, "E'\\ufeffmarked'", "\ufeffmarked"),
        (Kind.TEXT, "E'\\r'", "\r"),
        (Kind.TEXT, "E'\\\\.'", "\\."),
        (Kind.TEXT, "repeat('x', 5000000)", "x" * 5_000_000),
    ],
)
def test_extremes_arrive_as_they_are(kind: Kind, expression: str, value: Any) -> None:
    assert one(kind, expression) == value


@pytest.mark.parametrize(
    ("digits", "places", "kind", "value"),
    [
        (5, 2, "decimal128(5, 2)", Decimal("1.50")),
        (38, 10, "decimal128(38, 10)", Decimal("1.5000000000")),
        (None, 4, "decimal128(38, 4)", Decimal("1.5000")),
        (None, None, "string", "1.50"),
        (39, 2, "string", "1.50"),
    ],
)
def test_decimals_have_the_digits_of_their_field(digits: int | None, places: int | None, kind: str, value: Any) -> None:
    column = field("v", Kind.DECIMAL, max_digits=digits, decimal_places=places)

    table = read(render("parquet", [column], "SELECT 1.50, 1"))

    assert str(table["v"].type) == kind
    assert table["v"].to_pylist() == [value]


@pytest.mark.parametrize(
    ("element", "expression", "kind", "value"),
    [
        (Kind.INTEGER, "ARRAY[1, NULL, 9223372036854775807]", "int64", [1, None, 9223372036854775807]),
        (Kind.FLOAT, "'{0.1, Infinity}'::float8[]", "double", [0.1, float("inf")]),
        (Kind.DECIMAL, "'{1.5, NULL}'::numeric[]", "decimal128(12, 2)", [Decimal("1.50"), None]),
        (Kind.BOOLEAN, "ARRAY[true, NULL, false]", "bool", [True, None, False]),
        (Kind.DATETIME, "'{2024-01-01 12:00+01}'::timestamptz[]", "timestamp[us, tz=UTC]",
         [datetime(2024, 1, 1, 11, tzinfo=UTC)]),
        (Kind.TIME, "'{12:00:00.5, NULL}'::time[]", "time64[us]", [time(12, 0, 0, 500_000), None]),
        (Kind.DURATION, "ARRAY[interval '1.5 s', NULL]", "decimal128(22, 6)", [Decimal("1.5"), None]),
        (Kind.BINARY, "ARRAY['\\x00ff'::bytea, '', NULL]", "binary", [b"\x00\xff", b"", None]),
        (Kind.BINARY, "'{}'::bytea[]", "binary", []),
        (Kind.CHOICE, "ARRAY['S']", "string", ["S"]),
    ],
)  # fmt: skip
def test_arrays_are_lists_of_their_elements(element: Kind, expression: str, kind: str, value: Any) -> None:
    column = field("v", Kind.ARRAY, element=element, max_digits=12, decimal_places=2)

    table = read(render("parquet", [column], f"SELECT {expression}, 1 UNION ALL SELECT NULL, 2"))

    assert str(table["v"].type) == f"list<element: {kind}>"
    assert table["v"].to_pylist() == [value, None]


@pytest.mark.parametrize(
    ("element", "expression", "value"),
    [
        (Kind.ARRAY, "ARRAY[[1, 2], [3, 4]]", "[[1,2],[3,4]]"),
        (Kind.JSON, "ARRAY['{\"a\": 1}'::jsonb]", '[{"a":1}]'),
        (None, "ARRAY[1, NULL]", "[1,null]"),
    ],
)
def test_arrays_without_a_column_type_are_json(element: Kind | None, expression: str, value: str) -> None:
    assert one(Kind.ARRAY, expression, element=element) == value


@pytest.mark.parametrize(
    ("column", "expression"),
    [
        (field("fee", Kind.DECIMAL, max_digits=12, decimal_places=2), "'NaN'::numeric"),
        (field("fee", Kind.DECIMAL, max_digits=12, decimal_places=2), "12345678901.00"),
        (field("fee", Kind.DECIMAL, max_digits=12, decimal_places=2), "1.234"),
        (field("fee", Kind.INTEGER), "9223372036854775808"),
        (field("fee", Kind.DATETIME), "'infinity'::timestamptz"),
        (field("fee", Kind.DATETIME), "'0044-03-15 12:00 BC'::timestamptz"),
        (field("fee", Kind.DATE), "'10000-01-01'::date"),
        (field("fee", Kind.TIME), "'24:00'::time"),
        (field("fee", Kind.ARRAY, element=Kind.INTEGER), "ARRAY[[1], [2]]"),
        (field("fee", Kind.ARRAY, element=Kind.DATE), "ARRAY['infinity'::date]"),
    ],
)
def test_a_value_that_its_type_cannot_hold_ends_the_export_and_names_the_column(column: Field, expression: str) -> None:
    with pytest.raises(errors.FormatLimit, match=r"The column fee has a value that Parquet's .* cannot hold") as caught:
        render("parquet", [field("id", Kind.INTEGER), column], f"SELECT 7, {expression}, 1")

    assert caught.value.__cause__ is not None


def test_decimal_strings_hold_what_decimals_do_not() -> None:
    options = {"decimal_strings": True}

    assert one(Kind.DECIMAL, "'NaN'::numeric", options, max_digits=12, decimal_places=2) == "NaN"


def test_a_timezone_changes_the_clock_and_not_the_moment() -> None:
    data = render("parquet", [field("at", Kind.DATETIME)], "SELECT timestamptz '2024-10-27 00:30+00', 1",
                  options={"timezone": "Europe/Berlin"})  # fmt: skip

    assert str(read(data)["at"].type) == "timestamp[us, tz=Europe/Berlin]"
    assert read(data)["at"][0].as_py().isoformat() == "2024-10-27T02:30:00+02:00"


def test_choices_can_be_labels() -> None:
    choices = (("S", "Settled"), ("F", "Failed"))

    assert one(Kind.CHOICE, "'S'::text", {"choice_labels": True}, choices=choices) == "Settled"


def test_no_rows_still_have_their_types() -> None:
    table = read(render("parquet", PAYMENT, f"SELECT * FROM ({PAYMENTS}) AS p WHERE false"))

    assert table.num_rows == 0
    assert table.schema == read(render("parquet", PAYMENT, PAYMENTS)).schema


def test_names_may_be_any_text() -> None:
    names = ['a "quoted", name', "b.list.element", "ß\n", "1", "2"]

    table = read(render("parquet", [field(name) for name in names], "SELECT 'a', 'b', 'c', 'd', 'e', 1"))

    assert table.to_pylist() == [dict(zip(names, "abcde", strict=True))]
