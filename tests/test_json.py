"""JSON and NDJSON, byte for byte."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from exports_app.pipeline.types import Field, Kind
from tests.rendering import render, render_python


def field(kind: Kind, name: str = "v", **more: Any) -> Field:
    return Field(name=name, label=name.upper(), kind=kind, **more)


ID = field(Kind.INTEGER, "id")
TEXT = field(Kind.TEXT, "text")


def value(expression: str, kind: Kind, **more: Any) -> str:
    """The JSON that PostgreSQL makes of an SQL expression."""
    options = more.pop("options", {})
    data = render("ndjson", [field(kind, **more)], f"SELECT {expression}, 1", options=options)
    return data.decode().removeprefix('{"v":').removesuffix("}\n")


# The container

THREE = "SELECT n, CASE WHEN n <> 2 THEN 'row ' || n END, n FROM generate_series(1, 3) AS n"


def test_json_is_one_array_with_a_row_a_line() -> None:
    assert render("json", [ID, TEXT], THREE) == (
        b'[\n{"id":1,"text":"row 1"},\n{"id":2,"text":null},\n{"id":3,"text":"row 3"}\n]\n'
    )


def test_ndjson_is_a_row_a_line() -> None:
    assert render("ndjson", [ID, TEXT], THREE) == (
        b'{"id":1,"text":"row 1"}\n{"id":2,"text":null}\n{"id":3,"text":"row 3"}\n'
    )


def test_no_rows_are_an_empty_array_and_an_empty_file() -> None:
    assert render("json", [ID, TEXT], THREE + " WHERE n > 3") == b"[]\n"
    assert render("ndjson", [ID, TEXT], THREE + " WHERE n > 3") == b""


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("format_name", ["json", "ndjson"])
def test_a_file_that_was_continued_at_every_part_is_the_same(format_name: str, packed: bool) -> None:
    query = "SELECT n, md5(n::text), n FROM generate_series(1, 20000) AS n"
    whole = render(format_name, [ID, TEXT], query)
    parts = render(format_name, [ID, TEXT], query, chunk_rows=1_000, part_size=100_000, resumed=True, gzip=packed)
    assert (gzip.decompress(parts) if packed else parts) == whole


def test_an_array_that_is_cut_before_its_first_row_and_after_its_last_is_whole() -> None:
    query = "SELECT n, n FROM generate_series(1, 2) AS n"
    assert render("json", [ID], query, chunk_rows=1, part_size=1, resumed=True) == b'[\n{"id":1},\n{"id":2}\n]\n'


def test_a_limit_ends_the_array() -> None:
    assert render("json", [ID, TEXT], THREE, limit=1) == b'[\n{"id":1,"text":"row 1"}\n]\n'


# Keys


def test_keys_are_names_of_any_length_with_any_characters() -> None:
    name = "n" * 64 + 'é"\\\n🐘'
    data = render("ndjson", [field(Kind.INTEGER, name)], "SELECT 1, 1")
    assert data.decode() == '{"' + "n" * 64 + 'é\\"\\\\\\n🐘":1}\n'


def test_a_row_may_have_eight_hundred_columns() -> None:
    fields = [field(Kind.TEXT, f"column_{n}") for n in range(800)]
    data = render("ndjson", fields, f"SELECT {', '.join(['NULL::text'] * 799)}, 'last', 1")
    assert json.loads(data) == {f"column_{n}": None for n in range(799)} | {"column_799": "last"}


# Values


def test_strings_are_escaped_as_json_wants_and_no_more() -> None:
    controls = "(SELECT string_agg(chr(n), '' ORDER BY n) FROM generate_series(1, 31) AS n)"
    assert value(controls + " || E'\"\\\\/\\x7f\\u2028é🐘\\uFFFF'", Kind.TEXT) == (
        '"\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\b\\t\\n\\u000b\\f\\r\\u000e\\u000f'
        "\\u0010\\u0011\\u0012\\u0013\\u0014\\u0015\\u0016\\u0017"
        "\\u0018\\u0019\\u001a\\u001b\\u001c\\u001d\\u001e\\u001f"
        '\\"\\\\/\x7f\u2028é🐘\uffff"'
    )


@pytest.mark.parametrize("text", ["null", "\\N", "", " ", "\\.", "\\\\", "a\\", "{}", "=1+1"])
def test_texts_that_mean_something_elsewhere_are_texts(text: str) -> None:
    escaped = text.replace("\\", "\\\\")
    data = render("ndjson", [TEXT, ID], f"SELECT E'{escaped}', 1, 1")
    assert json.loads(data) == {"text": text, "id": 1}


@pytest.mark.parametrize(
    ("kind", "expression", "text"),
    [
        (Kind.INTEGER, "-9223372036854775808", "-9223372036854775808"),
        (Kind.FLOAT, "1e20::float8", "1e+20"),
        (Kind.FLOAT, "0.1::float4", "0.1"),
        (Kind.FLOAT, "'NaN'::float8", '"NaN"'),
        (Kind.FLOAT, "'-Infinity'::float8", '"-Infinity"'),
        (Kind.DECIMAL, "1.50::numeric(9, 2)", "1.50"),
        (Kind.DECIMAL, "0.1234567890123456789012345678901234567890", "0.1234567890123456789012345678901234567890"),
        (Kind.DECIMAL, "'NaN'::numeric", '"NaN"'),
        (Kind.DECIMAL, "'Infinity'::numeric", '"Infinity"'),
        (Kind.BOOLEAN, "true", "true"),
        (Kind.BOOLEAN, "NULL::boolean", "null"),
        (Kind.DATE, "DATE '0001-01-01'", '"0001-01-01"'),
        (Kind.DATE, "DATE 'infinity'", '"infinity"'),
        (Kind.DATETIME, "TIMESTAMPTZ '2024-01-31 12:00:00.5+00'", '"2024-01-31T12:00:00.5+00:00"'),
        (Kind.DATETIME, "TIMESTAMP '9999-12-31 23:59:59.999999'", '"9999-12-31T23:59:59.999999+00:00"'),
        (Kind.DATETIME, "TIMESTAMPTZ '-infinity'", '"-infinity"'),
        (Kind.TIME, "TIME '12:00:00.1'", '"12:00:00.1"'),
        (Kind.DURATION, "INTERVAL '1 day 0.000001 s'", "86400.000001"),
        (Kind.UUID, "'C9BF9E57-1685-4C89-BAFB-FF5AF830BE8A'::uuid", '"c9bf9e57-1685-4c89-bafb-ff5af830be8a"'),
        (Kind.BINARY, "decode(repeat('ff', 60), 'hex')", '"' + "/" * 80 + '"'),
        (Kind.TEXT, "NULL::text", "null"),
        (Kind.TEXT, "'x'::varchar", '"x"'),
    ],
)
def test_each_kind_has_its_json(kind: Kind, expression: str, text: str) -> None:
    assert value(expression, kind) == text


def test_decimals_are_strings_when_asked_for_also_in_arrays() -> None:
    options = {"decimal_strings": True}
    assert value("1.50", Kind.DECIMAL, options=options) == '"1.50"'
    assert value("'NaN'::numeric", Kind.DECIMAL, options=options) == '"NaN"'
    assert (
        value("ARRAY[[1.50], [NULL]]::numeric[]", Kind.ARRAY, element=Kind.DECIMAL, options=options)
        == '[["1.50"],[null]]'
    )


@pytest.mark.parametrize(
    ("document", "compact"),
    [
        ("null", "null"),
        ("[]", "[]"),
        ("{}", "{}"),
        ("[[], {}, [[]]]", "[[],{},[[]]]"),
        ('": a, b"', '": a, b"'),
        ('{"a b": "c, d: e"}', '{"a b":"c, d: e"}'),
        (
            '{"a": [1.50, -0.0, 1e2, true, null, "\\\\", "\\"x\\": y"]}',
            '{"a":[1.50,0.0,100,true,null,"\\\\","\\"x\\": y"]}',
        ),
        ('{"key ": 1, "": ": x", "q\\"": ", "}', '{"":": x","q\\"":", ","key ":1}'),
        ('[": x", " , ", "\\n    y"]', '[": x"," , ","\\n    y"]'),
        (
            '{"a": {"b": {"c": {"d": {"e": {"f": [{"g": "h, i"}]}}}}}}',
            '{"a":{"b":{"c":{"d":{"e":{"f":[{"g":"h, i"}]}}}}}}',
        ),
        ("[[[[[[[[[[1, 2]]]]]]]]]]", "[[[[[[[[[[1,2]]]]]]]]]]"),
        ('"\\u0001\\u001f\\u007f"', '"\\u0001\\u001f\x7f"'),
    ],
)
def test_json_is_embedded_as_it_is_without_blanks(document: str, compact: str) -> None:
    escaped = document.replace("\\", "\\\\")
    assert value(f"E'{escaped}'::jsonb", Kind.JSON) == compact
    assert value(f"E'{escaped}'::json", Kind.JSON) == compact


def test_choices_are_stored_values_of_their_kind_or_labels() -> None:
    fields = [field(Kind.CHOICE, element=Kind.INTEGER, choices=(("1", 'the "first"'),))]
    query = "SELECT n, n FROM generate_series(1, 2) AS n"
    assert render("ndjson", fields, query) == b'{"v":1}\n{"v":2}\n'
    labels = render("ndjson", fields, query, options={"choice_labels": True})
    assert labels == b'{"v":"the \\"first\\""}\n{"v":"2"}\n'


def test_datetimes_are_in_the_asked_zone_with_the_offset_of_that_moment() -> None:
    query = (
        "SELECT at, ARRAY[at], n FROM (VALUES (1, TIMESTAMPTZ '2024-10-27 00:30+00'), "
        "(2, '2024-10-27 01:30+00'), (3, NULL)) AS v(n, at)"
    )
    fields = [field(Kind.DATETIME, "at"), field(Kind.ARRAY, "all", element=Kind.DATETIME)]
    assert render("ndjson", fields, query, options={"timezone": "Europe/Berlin"}) == (
        b'{"at":"2024-10-27T02:30:00+02:00","all":["2024-10-27T02:30:00+02:00"]}\n'
        b'{"at":"2024-10-27T02:30:00+01:00","all":["2024-10-27T02:30:00+01:00"]}\n'
        b'{"at":null,"all":[null]}\n'
    )


def test_addresses_are_texts_without_a_netmask() -> None:
    assert value("'10.0.0.1'::inet", Kind.TEXT, guarded=False) == '"10.0.0.1"'


def test_what_python_makes_of_numbers_that_json_has_not() -> None:
    document = {"a": float("nan"), "b": [float("-inf"), 1e22, 1e-7, -0.0]}
    data = render_python("ndjson", [field(Kind.JSON)], [[document]])
    assert data == b'{"v":{"a":"NaN","b":["-Infinity",10000000000000000000000,0.0000001,0.0]}}\n'
