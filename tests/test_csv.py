"""CSV, byte for byte."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from typing import Any

import pytest

from exports_app.pipeline import errors
from exports_app.pipeline.types import Field, Kind
from tests.rendering import render, render_python

FORMULA_STARTS = ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"]


def field(kind: Kind, label: str = "Value", **more: Any) -> Field:
    return Field(name=label.lower(), label=label, kind=kind, **more)


ID = field(Kind.INTEGER, "Id")
TEXT = field(Kind.TEXT, "Text")


def values(*texts: str | None) -> str:
    """A query of numbered texts."""
    rows = ", ".join("(%d, %s)" % (n, sql(text)) for n, text in enumerate(texts, 1))  # noqa: UP031 - SQL
    return f"SELECT n, t, n FROM (VALUES {rows}) AS v(n, t)"


def sql(text: str | None) -> str:
    if text is None:
        return "NULL::text"
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'::text"


def cell(value: str, kind: Kind, **more: Any) -> str:
    """What an SQL expression looks like in a cell, without the header."""
    options = more.pop("options", {})
    data = render("csv", [field(kind, **more)], f"SELECT {value}, 1", options={"header": False} | options)
    return data.decode().removesuffix("\n")


# Lines


def test_labels_are_the_header_and_each_row_is_a_line() -> None:
    data = render("csv", [ID, field(Kind.TEXT, "Full name")], values("Ada", "Grace"))
    assert data == b"Id,Full name\n1,Ada\n2,Grace\n"


def test_null_is_empty_and_the_empty_text_is_quoted() -> None:
    assert render("csv", [TEXT, TEXT], "SELECT NULL::text, '', 1") == b'Text,Text\n,""\n'


def test_only_what_has_to_be_quoted_is() -> None:
    texts = ['say "no"', "a,b", "a;b", "two\nlines", "two\r\nlines", " kept ", "it's", "🐘 née Müller", "\\.", "\\N"]
    assert render("csv", [ID, TEXT], values(*texts)).decode() == (
        "Id,Text\n"
        '1,"say ""no"""\n'
        '2,"a,b"\n'
        "3,a;b\n"
        '4,"two\nlines"\n'
        '5,"two\r\nlines"\n'
        "6, kept \n"
        "7,it's\n"
        "8,🐘 née Müller\n"
        "9,\\.\n"
        "10,\\N\n"
    )


def test_every_character_that_postgresql_holds_comes_back() -> None:
    characters = [chr(code) for code in (*range(1, 0x100), 0x2028, 0xFEFF, 0xFFFE, 0xFFFF, 0x1F600, 0x10FFFF)]
    data = render("csv", [ID, TEXT], values(*characters), options={"escape_formulas": False})
    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))[1:]
    assert [row[1] for row in rows] == characters


def test_columns_stand_in_the_order_asked_for_whatever_the_query_does() -> None:
    query = (
        "SELECT upper(o.name) || '!', count(i.id), o.id FROM (VALUES (2, 'b'), (1, 'a')) AS o(id, name) "
        "LEFT JOIN (VALUES (10, 1), (11, 1)) AS i(id, owner) ON i.owner = o.id GROUP BY o.id, o.name"
    )
    assert render("csv", [TEXT, ID], query) == b"Text,Id\nA!,2\nB!,0\n"


def test_no_rows_leave_the_header() -> None:
    assert render("csv", [ID, TEXT], values("never") + " WHERE false") == b"Id,Text\n"


def test_no_rows_and_no_header_leave_nothing() -> None:
    assert render("csv", [ID, TEXT], values("never") + " WHERE false", options={"header": False}) == b""


@pytest.mark.parametrize("part_size", [1, 40, 1 << 20])
def test_ties_within_the_key_lose_and_double_nothing_across_chunks_and_parts(part_size: int) -> None:
    query = "SELECT n, n / 3, n / 3, n FROM generate_series(1, 25) AS n"
    data = render(
        "csv", [ID, ID], query, keys=2, options={"header": False}, chunk_rows=2, part_size=part_size, resumed=True
    )
    assert data.decode() == "".join(f"{n},{n // 3}\n" for n in range(1, 26))


def test_texts_as_keys_are_in_the_order_of_the_database_and_may_hold_anything() -> None:
    keys = ["a", "a,b", 'a"b', "a\x1fb", "a\nb", "ä", "🐘", "\\", ""]
    rows = ", ".join(f"({sql(key)})" for key in keys)
    query = f"SELECT k, k FROM (VALUES {rows}) AS v(k)"
    data = render("csv", [TEXT], query, options={"header": False}, chunk_rows=1, part_size=1, resumed=True)
    assert sorted(row[0] for row in csv.reader(io.StringIO(data.decode(), newline=""))) == sorted(keys)


@pytest.mark.parametrize("key", ["NULLIF(n, 2)", "n % 2"])
@pytest.mark.parametrize("format_name", ["csv", "json", "ndjson"])
def test_a_key_that_is_null_or_doubled_is_refused(format_name: str, key: str) -> None:
    with pytest.raises(errors.BadKey):
        render(format_name, [ID], f"SELECT n, {key} FROM generate_series(1, 3) AS n")


# Options


@pytest.mark.parametrize(
    ("delimiter", "line"),
    [
        (",", b';,"a,b",|,\t\n'),
        (";", b'";";a,b;|;\t\n'),
        ("|", b';|a,b|"|"|\t\n'),
        ("\t", b';\ta,b\t|\t"\t"\n'),
    ],
)
def test_each_delimiter_quotes_only_itself(delimiter: str, line: bytes) -> None:
    options = {"delimiter": delimiter, "header": False, "escape_formulas": False}
    assert render("csv", [TEXT] * 4, "SELECT ';', 'a,b', '|', E'\\t', 1", options=options) == line


def test_a_byte_order_mark_stands_first_when_asked_for() -> None:
    assert render("csv", [ID], "SELECT 1, 1", options={"bom": True}) == b"\xef\xbb\xbfId\n1\n"


def test_crlf_ends_lines_and_leaves_values_alone() -> None:
    options = {"line_ending": "crlf", "row_count_footer": True}
    data = render("csv", [ID, TEXT], values("a", "b\nc"), options=options, chunk_rows=1)
    assert data == b'Id,Text\r\n1,a\r\n2,"b\nc"\r\n# streamed_rows=2\r\n'


def test_the_footer_counts_all_rows_of_all_runs() -> None:
    query = "SELECT n, n FROM generate_series(1, 12) AS n"
    data = render(
        "csv", [ID], query, options={"row_count_footer": True}, chunk_rows=2, part_size=1, resumed=True, limit=11
    )
    assert data.endswith(b"10\n11\n# streamed_rows=11\n")


# Formulas


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(start: str) -> None:
    data = render("csv", [TEXT], f"SELECT {sql(start + '1+1')}, 1", options={"header": False})
    assert next(csv.reader(io.StringIO(data.decode(), newline=""))) == [f"'{start}1+1"]


def test_the_header_is_guarded_as_well() -> None:
    fields = [field(Kind.TEXT, "=1+1"), field(Kind.INTEGER, "-n"), field(Kind.TEXT, "plain")]
    assert render("csv", fields, "SELECT '', 1, '', 1").splitlines()[0] == b"'=1+1,'-n,plain"


def test_numbers_are_never_guarded() -> None:
    choice = field(Kind.CHOICE, "Choice", element=Kind.INTEGER, choices=(("-1", "-one"),))
    fields = [ID, field(Kind.DECIMAL, "D"), field(Kind.FLOAT, "F"), field(Kind.DURATION, "S"), choice]
    query = "SELECT -1, -2.50, -0.5::float8, interval '-1 second', -1, 1"
    assert render("csv", fields, query, options={"header": False}) == b"-1,-2.50,-0.5,-1,-1\n"


def test_choices_and_their_labels_are_guarded() -> None:
    choice = field(Kind.CHOICE, "Choice", choices=(("@a", "@label"), ("b", "=B")))
    query = "SELECT c, c FROM (VALUES ('@a'), ('b')) AS v(c)"
    assert render("csv", [choice], query, options={"header": False}) == b"'@a\nb\n"
    assert render("csv", [choice], query, options={"header": False, "choice_labels": True}) == b"'@label\n'=B\n"


def test_the_guard_is_off_when_asked_and_for_columns_known_to_be_safe() -> None:
    fields = [TEXT, field(Kind.TEXT, "-safe", guarded=False)]
    query = "SELECT '=a', '=b', 1"
    assert render("csv", fields, query) == b"Text,'-safe\n'=a,=b\n"
    assert render("csv", fields, query, options={"escape_formulas": False}) == b"Text,-safe\n=a,=b\n"


# Kinds


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Kind.INTEGER, "-9223372036854775808", "-9223372036854775808"),
        (Kind.INTEGER, "7::int2", "7"),
        (Kind.FLOAT, "1e15::float8", "1e+15"),
        (Kind.FLOAT, "123456789012345::float8", "123456789012345"),
        (Kind.FLOAT, "0.0001::float8", "0.0001"),
        (Kind.FLOAT, "0.00001::float8", "1e-05"),
        (Kind.FLOAT, "'-0'::float8", "-0"),
        (Kind.FLOAT, "0.1::float4", "0.1"),
        (Kind.FLOAT, "'NaN'::float8", "NaN"),
        (Kind.FLOAT, "'-Infinity'::float8", "-Infinity"),
        (Kind.DECIMAL, "1.50::numeric", "1.50"),
        (Kind.DECIMAL, "'NaN'::numeric", "NaN"),
        (Kind.DECIMAL, "12345678901234567890123456789.0001", "12345678901234567890123456789.0001"),
        (Kind.BOOLEAN, "true", "true"),
        (Kind.BOOLEAN, "false", "false"),
        (Kind.DATE, "DATE '0001-01-01'", "0001-01-01"),
        (Kind.DATE, "DATE '9999-12-31'", "9999-12-31"),
        (Kind.DATE, "DATE '0044-03-15 BC'", "0044-03-15 BC"),
        (Kind.DATE, "DATE 'infinity'", "infinity"),
        (Kind.DATETIME, "TIMESTAMPTZ '2024-01-31 12:00:00.123456+00'", "2024-01-31T12:00:00.123456+00:00"),
        (Kind.DATETIME, "TIMESTAMPTZ '2024-01-31 12:00:00.5+01'", "2024-01-31T11:00:00.5+00:00"),
        (Kind.DATETIME, "TIMESTAMP '2024-01-31 12:00:00'", "2024-01-31T12:00:00+00:00"),
        (Kind.DATETIME, "TIMESTAMPTZ '0001-01-01 00:00:00+00'", "0001-01-01T00:00:00+00:00"),
        (Kind.DATETIME, "TIMESTAMPTZ '9999-12-31 23:59:59.999999+00'", "9999-12-31T23:59:59.999999+00:00"),
        (Kind.DATETIME, "TIMESTAMPTZ '-infinity'", "-infinity"),
        (Kind.DATETIME, "TIMESTAMPTZ '0044-03-15 12:00:00+00 BC'", "0044-03-15T12:00:00+00:00 BC"),
        (Kind.TIME, "TIME '12:00'", "12:00:00"),
        (Kind.TIME, "TIME '23:59:59.000001'", "23:59:59.000001"),
        (Kind.DURATION, "INTERVAL '1 day 00:00:00.5'", "86400.5"),
        (Kind.DURATION, "INTERVAL '-00:00:00.000001'", "-0.000001"),
        (Kind.DURATION, "INTERVAL '999999999 days 23:59:59.999999'", "86399999999999.999999"),
        (Kind.UUID, "'C9BF9E57-1685-4C89-BAFB-FF5AF830BE8A'::uuid", "c9bf9e57-1685-4c89-bafb-ff5af830be8a"),
        (Kind.BINARY, "'\\x'::bytea", '""'),
        (Kind.BINARY, "'\\x00ff10'::bytea", "AP8Q"),
        (Kind.JSON, "'null'::jsonb", "null"),
        (Kind.JSON, "'\"a\"'::jsonb", '"""a"""'),
        (Kind.JSON, '\'{"b": [1, 2.50, null], "a": {}}\'::jsonb', '"{""a"":{},""b"":[1,2.50,null]}"'),
        (Kind.JSON, "'[1, 2]'::json", '"[1,2]"'),
        (Kind.ARRAY, "ARRAY[1, NULL, 3]", '"[1,null,3]"'),
        (Kind.ARRAY, "ARRAY[['a', 'b'], ['c,', NULL]]", '"[[""a"",""b""],[""c,"",null]]"'),
        (Kind.ARRAY, "'{}'::text[]", "[]"),
        (Kind.TEXT, "'a@b.example'::varchar(20)", "a@b.example"),
    ],
)
def test_each_kind_has_its_text_form(kind: Kind, value: str, text: str) -> None:
    assert cell(value, kind) == text


@pytest.mark.parametrize(
    ("element", "value", "text"),
    [
        (Kind.DATETIME, "ARRAY[TIMESTAMPTZ '2024-01-31 12:00+00']", '"[""2024-01-31T12:00:00+00:00""]"'),
        (Kind.DURATION, "ARRAY[INTERVAL '1 minute', NULL]", '"[60,null]"'),
        (Kind.BINARY, "ARRAY['\\xff'::bytea]", '"[""/w==""]"'),
        (Kind.JSON, "ARRAY['{\"a\": [1, 2]}'::jsonb]", '"[{""a"":[1,2]}]"'),
        (Kind.BOOLEAN, "ARRAY[true, false]", '"[true,false]"'),
        (Kind.DECIMAL, "ARRAY[1.50, 'NaN']", '"[1.50,""NaN""]"'),
        (Kind.DURATION, "NULL::interval[]", '""'),
        (Kind.DURATION, "'{}'::interval[]", "[]"),
    ],
)
def test_elements_of_arrays_have_their_json_form(element: Kind, value: str, text: str) -> None:
    assert cell(value, Kind.ARRAY, element=element) == text


def test_long_binary_is_not_wrapped() -> None:
    assert cell("decode(repeat('00', 100), 'hex')", Kind.BINARY) == "A" * 134 + "=="


def test_addresses_have_no_netmask_that_nobody_stored() -> None:
    assert cell("'192.168.0.1'::inet", Kind.TEXT, guarded=False) == "192.168.0.1"


@pytest.mark.parametrize("count", [3, 40], ids=["few choices", "many"])
def test_a_choice_is_its_stored_value_or_its_label(count: int) -> None:
    choices = tuple((str(n), f"Number {n}") for n in range(1, count + 1))
    query = "SELECT n, n FROM (VALUES (1), (3), (99)) AS v(n)"
    fields = [field(Kind.CHOICE, "N", element=Kind.INTEGER, choices=choices)]
    assert render("csv", fields, query) == b"N\n1\n3\n99\n"
    assert render("csv", fields, query, options={"choice_labels": True}) == b"N\nNumber 1\nNumber 3\n99\n"


@pytest.mark.parametrize("labels", [False, True])
def test_boolean_choices_are_true_and_false(labels: bool) -> None:
    choice = field(Kind.CHOICE, "Paid", element=Kind.BOOLEAN, choices=(("true", "Yes"), ("false", "No")))
    data = render("csv", [choice], "SELECT b, b FROM (VALUES (true), (false)) v(b)", options={"choice_labels": labels})
    assert data == (b"Paid\nNo\nYes\n" if labels else b"Paid\nfalse\ntrue\n")


# gzip

LINES = "SELECT n, md5(n::text), n FROM generate_series(1, 30000) AS n"


def test_gzip_has_a_member_for_each_part_and_the_same_rows() -> None:
    plain = render("csv", [ID, TEXT], LINES, chunk_rows=1_000)
    packed = render("csv", [ID, TEXT], LINES, chunk_rows=1_000, gzip=True, part_size=200_000, resumed=True)
    assert gzip.decompress(packed) == plain
    assert members(packed) > 1
    assert len(packed) < len(plain) * 0.7


def test_gzip_of_nothing_is_still_a_gzip_file() -> None:
    packed = render("ndjson", [ID], "SELECT 1, 1 WHERE false", gzip=True)
    assert gzip.decompress(packed) == b""
    assert members(packed) == 1


def members(data: bytes) -> int:
    count = 0
    while data:
        member = zlib.decompressobj(wbits=31)
        member.decompress(data)
        data = member.unused_data
        count += 1
    return count


# Python's side


def test_python_refuses_to_cut_what_is_no_integer() -> None:
    with pytest.raises(ValueError, match="'d'"):
        render_python("csv", [ID], [[1.5]])
