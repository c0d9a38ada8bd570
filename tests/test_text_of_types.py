"""Columns of PostgreSQL's further types in CSV and NDJSON, as the types print themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from exports_app.pipeline import errors
from exports_app.pipeline.types import Field, Kind
from tests.rendering import connect, render

NUMBER = Field(name="n", label="N", kind=Kind.INTEGER)


def field(kind: Kind = Kind.TEXT, **more: Any) -> Field:
    return Field(name="v", label="V", kind=kind, **more)


def cells(value: str, column: Field, **options: Any) -> tuple[str, Any]:
    """The value in a cell of CSV, quotes of the format included, and in NDJSON."""
    query = f"SELECT {value}, 7, 1"
    line = render("csv", [column, NUMBER], query, options={"header": False, **options})
    row = render("ndjson", [column, NUMBER], query, options=options)
    return line.decode().removesuffix(",7\n"), json.loads(row)["v"]


@pytest.fixture(scope="module", autouse=True)
def types() -> Iterator[None]:
    """A composite type, an enum and domains over types whose cast to text says less."""
    with connect() as opened:
        opened.execute("CREATE TYPE texts_point AS (x int, label text)")
        opened.execute("CREATE TYPE texts_mood AS ENUM ('sad', 'glad')")
        opened.execute("CREATE DOMAIN texts_code AS char(6)")
        opened.execute("CREATE DOMAIN texts_price AS money")
        opened.execute("CREATE DOMAIN texts_inner_price AS texts_price")
    yield
    with connect() as opened:
        opened.execute("DROP DOMAIN texts_inner_price; DROP DOMAIN texts_price; DROP DOMAIN texts_code")
        opened.execute("DROP TYPE texts_mood; DROP TYPE texts_point")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("'$1,234.50'::money", "1234.50"),
        ("'$0.05'::money", "0.05"),
        ("1234567::texts_price", "1234567.00"),
        ("99::texts_inner_price", "99.00"),
        ("'ab'::char(5)", "ab   "),
        ("'ab'::texts_code", "ab    "),
        ("B'0101'", "0101"),
        ("B'101'::varbit", "101"),
        ("'10.0.0.1'::inet", "10.0.0.1"),
        ("'10.0.0.1/24'::inet", "10.0.0.1/24"),
        ("'2001:db8::1'::inet", "2001:db8::1"),
        ("'10.0.0.0/8'::cidr", "10.0.0.0/8"),
        ("'08:00:2B:01:02:03'::macaddr", "08:00:2b:01:02:03"),
        ("'08:00:2b:ff:fe:01:02:03'::macaddr8", "08:00:2b:ff:fe:01:02:03"),
        ("to_tsvector('simple', 'fat cats')", "'cats':2 'fat':1"),
        ("'fat & cat'::tsquery", "'fat' & 'cat'"),
        ("'16/B374D848'::pg_lsn", "16/B374D848"),
        ("'x'::\"char\"", "x"),
        ("1234::oid", "1234"),
        ("'pg_class'::regclass", "pg_class"),
        ("'abc'::name", "abc"),
        ("'glad'::texts_mood", "glad"),
        ("'[1,4)'::int4range", "[1,4)"),
        ("point(1, 2.5)", "(1,2.5)"),
        ("NULL::money", ""),
    ],
)
def test_text_is_what_the_type_prints(value: str, text: str) -> None:
    quoted = f'"{text}"' if "," in text else text
    assert cells(value, field()) == (quoted, text or (None if value.startswith("NULL") else text))


def test_a_composite_value_and_a_document_keep_their_own_quotes() -> None:
    assert cells("ROW(1, 'a b')::texts_point", field()) == ('"(1,""a b"")"', '(1,"a b")')
    assert cells("""'{"a": "b"}'::jsonb::text""", field()) == ('"{""a"": ""b""}"', '{"a": "b"}')


def test_money_is_a_number_where_the_orm_takes_it_for_one() -> None:
    assert cells("'$1,234.50'::money", field(Kind.DECIMAL)) == ("1234.50", 1234.5)
    assert cells("'-$0.05'::money", field(Kind.DECIMAL)) == ("-0.05", -0.05)


@pytest.mark.parametrize(
    ("range_type", "value", "text"),
    [
        ("daterange", "'[2024-01-01,2024-02-01)'", "[2024-01-01,2024-02-01)"),
        ("int4range", "'(1,4]'", "[2,5)"),
        ("numrange", "'[1.50,2.50]'", "[1.50,2.50]"),
        ("int8range", "'empty'", "empty"),
        ("tstzrange", "'[2024-01-01 00:00+00,2024-07-01 12:30:00.5+00)'",
         "[2024-01-01T00:00:00+00:00,2024-07-01T12:30:00.5+00:00)"),
        ("tstzrange", "'(,2024-07-01 12:30:00+00]'", "(,2024-07-01T12:30:00+00:00]"),
        ("tstzrange", "'[2024-01-01 00:00+00,infinity)'", "[2024-01-01T00:00:00+00:00,infinity)"),
        ("tstzrange", "'empty'", "empty"),
        ("tsrange", "'[2024-01-01 00:00,2024-02-01 12:30:00.25)'", "[2024-01-01T00:00:00,2024-02-01T12:30:00.25)"),
        ("int4multirange", "'{[1,3),[7,9)}'", "{[1,3),[7,9)}"),
        ("datemultirange", "'{[2024-01-01,2024-01-03)}'", "{[2024-01-01,2024-01-03)}"),
        ("tstzmultirange", "'{[2024-01-01 00:00+00,2024-01-02 00:00+00),[2024-02-01 00:00+00,)}'",
         "{[2024-01-01T00:00:00+00:00,2024-01-02T00:00:00+00:00),[2024-02-01T00:00:00+00:00,)}"),
        ("tstzmultirange", "'{}'", "{}"),
        ("tsmultirange", "'{[2024-01-01 00:00,2024-01-02 00:00)}'", "{[2024-01-01T00:00:00,2024-01-02T00:00:00)}"),
    ],
)  # fmt: skip
def test_ranges_have_iso_forms(range_type: str, value: str, text: str) -> None:
    shown = cells(f"{value}::{range_type}", field(range_type=range_type))
    assert shown == (f'"{text}"' if "," in text else text, text)


def test_ranges_of_datetimes_are_in_the_zone_asked_for_also_in_arrays() -> None:
    column = field(range_type="tstzrange")
    value = "'[2024-01-01 00:00+00,2024-07-01 00:00+00)'::tstzrange"
    berlin = "[2024-01-01T01:00:00+01:00,2024-07-01T02:00:00+02:00)"
    assert cells(value, column, timezone="Europe/Berlin") == (f'"{berlin}"', berlin)
    assert cells("NULL::tstzrange", column, timezone="Europe/Berlin") == ("", None)
    array = field(Kind.ARRAY, element=Kind.TEXT, range_type="tstzrange")
    assert cells(f"ARRAY[{value}, NULL]", array, timezone="Europe/Berlin")[1] == [berlin, None]


@pytest.mark.parametrize(
    ("element", "value", "shown"),
    [
        (Kind.DATETIME, "'{{2024-01-31 12:00+00,NULL},{2024-07-31 12:00+00,infinity}}'::timestamptz[]",
         [["2024-01-31T13:00:00+01:00", None], ["2024-07-31T14:00:00+02:00", "infinity"]]),
        (Kind.DECIMAL, "'{{1.50,NaN},{NULL,-2}}'::numeric[]", [[1.5, "NaN"], [None, -2]]),
        (Kind.BOOLEAN, "'{{true},{NULL}}'::boolean[]", [[True], [None]]),
        (Kind.DURATION, "'{{1 minute,1.5 s},{NULL,1 day}}'::interval[]", [[60, 1.5], [None, 86400]]),
        (Kind.BINARY, "ARRAY[['\\xff'::bytea]]", [["/w=="]]),
        (Kind.JSON, "ARRAY[['{\"a\": [1]}'::jsonb], [NULL::jsonb]]", [[{"a": [1]}], [None]]),
        (Kind.DURATION, "'{{{1 s,2 s},{3 s,4 s}},{{5 s,6 s},{7 s,8 s}}}'::interval[]",
         [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]),
        (Kind.DURATION, "'[0:1][5:6]={{1 s,2 s},{3 s,4 s}}'::interval[]", [[1, 2], [3, 4]]),
        (Kind.DURATION, "'{}'::interval[]", []),
        (Kind.DURATION, "NULL::interval[]", None),
    ],
)  # fmt: skip
def test_nested_arrays_keep_their_dimensions_and_forms(element: Kind, value: str, shown: Any) -> None:
    column = field(Kind.ARRAY, element=element, nested=True)
    line, in_json = cells(value, column, timezone="Europe/Berlin")
    assert in_json == shown
    assert json.loads(line[1:-1].replace('""', '"') if line.startswith('"') else line or "null") == shown


PATHS = [
    ("'\"Köln\"'", "Köln", "Köln"),
    ("'12'", "12", 12),
    ("'-1.50'", "-1.50", -1.5),
    ("'true'", "true", True),
    ("'null'", "", None),
    ("NULL", "", None),
    ("'\"\"'", '""', ""),
    ('\'{"a": [1, "x"]}\'', '"{""a"":[1,""x""]}"', {"a": [1, "x"]}),
    ("'[]'", "[]", []),
    ("'\"=1+1\"'", "'=1+1", "=1+1"),
]


@pytest.mark.parametrize(("value", "line", "in_json"), PATHS)
def test_a_string_within_a_document_is_its_text(value: str, line: str, in_json: Any) -> None:
    assert cells(f"{value}::jsonb", field(Kind.JSON, json_path=True)) == (line, in_json)


def test_averages_and_quotients_end_with_their_last_digit() -> None:
    decimal, number = field(Kind.DECIMAL, trimmed=True), field(Kind.FLOAT, trimmed=True)
    assert cells("2.5000000000000000::numeric", decimal) == ("2.5", 2.5)
    assert cells("100.00::numeric", decimal) == ("100", 100)
    assert cells("2.5000000000000000::numeric", number) == ("2.5", 2.5)
    assert cells("0.1::float4", number) == ("0.1", 0.1)
    assert cells("1e300::float8", number) == ("1e+300", 1e300)


# Documents that no text can hold


@pytest.mark.parametrize(
    ("document", "version"),
    [('{"a": "\\u0000"}', 0), ('["\\\\\\u0000"]', 0), ('"\\ud83d"', 160_000), ("1e200000", 160_000)],
)
@pytest.mark.parametrize("format_name", ["csv", "ndjson", "xlsx", "parquet"])
def test_a_document_that_no_text_holds_is_named_by_row_and_column(
    format_name: str, document: str, version: int, connection: psycopg.Connection[Any]
) -> None:
    if connection.info.server_version < version:
        pytest.skip("PostgreSQL 16 is the first that can tell which document it is.")
    literal = document.replace("'", "''")
    query = f"""SELECT CASE WHEN n = 123 THEN '{literal}' ELSE '{{"ok": "\\\\u0000"}}' END::json, n, n
                  FROM generate_series(1, 300) AS n"""
    with pytest.raises(errors.FormatLimit, match=r"The column 1 holds JSON .* the row with the key 123\."):
        render(format_name, [field(Kind.JSON), NUMBER], query, chunk_rows=100)
