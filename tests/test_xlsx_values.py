"""XLSX: numbers, days and times as cells, in any locale, and what no cell can hold."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from datetime import time, timedelta
from typing import Any

import openpyxl
import pytest

from exports_app.pipeline import errors
from exports_app.pipeline.formats import get_format
from exports_app.pipeline.formats import xlsx as xlsx_format
from exports_app.pipeline.types import Chunk, Field, Kind, Options
from tests.rendering import render, render_python
from tests.xlsx_cells import FIELDS, LOCAL, cells, one, sheet_xml, style_of

# Numbers


@pytest.mark.parametrize(
    ("kind", "expression", "value"),
    [
        (Kind.INTEGER, "999999999999999::bigint", 999_999_999_999_999),
        (Kind.INTEGER, "-999999999999999::bigint", -999_999_999_999_999),
        (Kind.INTEGER, "1000000000000000::bigint", "1000000000000000"),
        (Kind.INTEGER, "(-9223372036854775808)::bigint", "-9223372036854775808"),
        (Kind.INTEGER, "32767::smallint", 32767),
        (Kind.INTEGER, "12345678901234567890::numeric", "12345678901234567890"),
        (Kind.DECIMAL, "1234567890123.45", 1234567890123.45),
        (Kind.DECIMAL, "12345678901234.56", "12345678901234.56"),
        (Kind.DECIMAL, "0.14285714285714285714", "0.14285714285714285714"),
        (Kind.DECIMAL, "1.50000000000000000000", 1.5),
        (Kind.DECIMAL, "0.00000000000000000001", 1e-20),
        (Kind.DECIMAL, "-0.000000000000000000012345678901234567", "-0.000000000000000000012345678901234567"),
        (Kind.DECIMAL, "1e-50::numeric", 1e-50),
        (Kind.DECIMAL, "1000000000000000", "1000000000000000"),
        (Kind.DECIMAL, "999999999999999.0", 999_999_999_999_999),
        (Kind.DECIMAL, "'NaN'::numeric", "NaN"),
        (Kind.DECIMAL, "'-Infinity'::numeric", "-Infinity"),
        (Kind.FLOAT, "0.1::float8 + 0.2::float8", 0.30000000000000004),
        (Kind.FLOAT, "1.7976931348623157e308::float8", 1.7976931348623157e308),
        (Kind.FLOAT, "5e-324::float8", 5e-324),
        (Kind.FLOAT, "'NaN'::float8", "NaN"),
        (Kind.FLOAT, "'-Infinity'::float8", "-Infinity"),
        (Kind.FLOAT, "0.1::float4", 0.1),
    ],
)
def test_numbers_past_15_digits_are_text_and_others_are_exact(kind: Kind, expression: str, value: Any) -> None:
    assert one(kind, expression) == value


@pytest.mark.parametrize(
    ("kind", "expression", "style"),
    [
        (Kind.INTEGER, "99999999999", "General"),
        (Kind.INTEGER, "100000000000", "0"),
        (Kind.INTEGER, "-999999999999999", "0"),
        (Kind.INTEGER, "1000000000000000", "General"),  # text
        (Kind.DECIMAL, "99999999999.00", "General"),
        (Kind.DECIMAL, "99999999999.50", "0.0##"),
        (Kind.DECIMAL, "-123456789012.345", "0.0##"),
        (Kind.DECIMAL, "1e11::numeric", "0.0##"),
        (Kind.FLOAT, "1.5e11::float8", "0"),
        (Kind.FLOAT, "123456789012.5::float8", "General"),
        (Kind.FLOAT, "1e15::float8", "General"),
        (Kind.FLOAT, "2e11::float4", "0"),
    ],
)
def test_numbers_of_12_to_15_digits_show_all_of_them(kind: Kind, expression: str, style: str) -> None:
    assert style_of(kind, expression) == style


def test_a_decimal_column_without_places_shows_whole_numbers() -> None:
    fields = [Field(name="n", label="N", kind=Kind.DECIMAL, max_digits=15, decimal_places=0)]
    data = render("xlsx", fields, "SELECT 123456789012345::numeric(15, 0), 1")

    sheet = openpyxl.load_workbook(io.BytesIO(data)).active

    assert (sheet["A2"].value, sheet["A2"].number_format) == (123_456_789_012_345, "0")
    assert sheet.column_dimensions["A"].width == 18


# Days and times


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'1900-02-27'", "1900-02-27"),
        ("'1900-02-28'", "1900-02-28"),
        ("'1900-03-01'", LOCAL("1900-03-01")),
        ("'1900-03-02'", LOCAL("1900-03-02")),
        ("'0001-01-01'", "0001-01-01"),
        ("'9999-12-31'", LOCAL("9999-12-31")),
    ],
)
def test_no_day_is_wrong_around_the_leap_day_that_never_was(expression: str, value: Any) -> None:
    assert one(Kind.DATE, f"DATE {expression}") == value


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'1900-02-28 23:59:59.999999Z'", "1900-02-28T23:59:59.999999+00:00"),
        ("'1900-03-01 00:00:00Z'", LOCAL("1900-03-01")),
        ("'1970-01-01 00:00:01Z'", LOCAL("1970-01-01 00:00:01")),
        ("'2024-01-31 12:00:00.123Z'", LOCAL("2024-01-31 12:00:00.123")),
        ("'2024-01-31 23:59:59.999999Z'", LOCAL("2024-01-31 23:59:59.999")),
        ("'9999-12-31 23:59:59.999999Z'", LOCAL("9999-12-31 23:59:59.999")),
    ],
)
def test_moments_are_local_times_that_no_reader_rounds_into_the_next_second(expression: str, value: Any) -> None:
    assert one(Kind.DATETIME, f"TIMESTAMPTZ {expression}") == value


def test_microseconds_are_kept_as_far_as_a_serial_goes() -> None:
    fields = [Field(name="at", label="At", kind=Kind.DATETIME)]
    xml = sheet_xml(render("xlsx", fields, "SELECT TIMESTAMPTZ '2024-01-31 12:00:00.123456Z', 1"))

    serial = float(re.findall(r"<v>([^<]+)</v>", xml)[0])

    assert abs(serial - 45322 - (12 * 3600 + 0.123456) / 86_400) < 1e-11  # days; a microsecond is 1.16e-11


def test_moments_are_shown_in_the_zone_of_the_export() -> None:
    berlin = {"timezone": "Europe/Berlin"}

    assert one(Kind.DATETIME, "TIMESTAMPTZ '2024-10-27 00:30:00Z'", berlin) == LOCAL("2024-10-27 02:30:00")
    assert one(Kind.DATETIME, "TIMESTAMPTZ '2024-10-27 01:30:00Z'", berlin) == LOCAL("2024-10-27 02:30:00")
    assert one(Kind.DATETIME, "TIMESTAMPTZ '1900-02-28 23:00:00Z'", berlin) == LOCAL("1900-03-01")
    assert isinstance(one(Kind.DATETIME, "TIMESTAMPTZ '1900-02-28 22:59:59Z'", berlin), str)
    assert isinstance(one(Kind.DATETIME, "TIMESTAMPTZ '9999-12-31 23:00:00Z'", berlin), str)


def test_times_of_day_are_times() -> None:
    assert one(Kind.TIME, "TIME '00:00'") == time(0, 0)
    assert one(Kind.TIME, "TIME '23:59:59.999999'") == time(23, 59, 59, 999_000)
    assert one(Kind.TIME, "TIME '24:00'") == "24:00:00"


def test_durations_are_times_of_more_than_a_day_too() -> None:
    assert one(Kind.DURATION, "INTERVAL '100 days 00:00:00.5'") == timedelta(days=100, milliseconds=500)
    assert one(Kind.DURATION, "INTERVAL '-01:30:00'") == timedelta(hours=-1.5)
    assert one(Kind.DURATION, "INTERVAL '2958465 days'") == timedelta(days=2_958_465)
    assert one(Kind.DURATION, "INTERVAL '2958466 days'") == "255611462400"


@pytest.mark.parametrize(
    ("kind", "expression", "style"),
    [
        (Kind.DATE, "DATE '2024-01-31'", "yyyy-mm-dd"),
        (Kind.DATETIME, "TIMESTAMPTZ '2024-01-31 12:00Z'", "yyyy-mm-dd hh:mm:ss"),
        (Kind.DATETIME, "TIMESTAMPTZ '2024-01-31 12:00:00.5Z'", "yyyy-mm-dd hh:mm:ss.000"),
        (Kind.TIME, "TIME '12:00'", "hh:mm:ss"),
        (Kind.TIME, "TIME '12:00:00.5'", "hh:mm:ss.000"),
        (Kind.DURATION, "INTERVAL '12:00'", '[h]:mm:ss;-0.00000" d"'),
        (Kind.DURATION, "INTERVAL '0.5 seconds'", '[h]:mm:ss.000;-0.00000000" d"'),
        (Kind.DATE, "DATE '1900-01-31'", "General"),
    ],
)
def test_times_show_milliseconds_only_where_there_are_some(kind: Kind, expression: str, style: str) -> None:
    assert style_of(kind, expression) == style


@pytest.mark.parametrize(
    ("options", "style"),
    [
        ({"locale": "de"}, "dd.mm.yyyy hh:mm:ss"),
        ({"locale": "en_US"}, "m/d/yyyy hh:mm:ss"),
        ({"locale": "sv_SE"}, "yyyy-mm-dd hh:mm:ss"),
        ({"date_format": "d/M/yy"}, "d/m/yy hh:mm:ss"),
        ({"locale": "es", "date_format": "full"}, 'dddd, d "de" mmmm "de" yyyy hh:mm:ss'),
        ({"locale": "de", "date_format": "iso"}, "yyyy-mm-dd hh:mm:ss"),
        ({"decimal_separator": ","}, "yyyy-mm-dd hh:mm:ss"),
    ],
)
def test_a_locale_or_a_format_changes_how_dates_look_not_what_they_are(options: Mapping[str, Any], style: str) -> None:
    at = "TIMESTAMPTZ '2024-01-31 12:00Z'"

    assert style_of(Kind.DATETIME, at, options) == style
    assert one(Kind.DATETIME, at, options) == LOCAL("2024-01-31 12:00:00")


def test_a_german_workbook_has_typed_cells_and_a_comma_only_in_numbers_that_are_text() -> None:
    fields = [FIELDS[2], FIELDS[2], FIELDS[6], FIELDS[5]]
    query = "SELECT 1234.5, 0.14285714285714285714, TIMESTAMPTZ '2024-10-27 00:30Z', DATE '1899-12-31', 1"

    data = render("xlsx", fields, query, options={"locale": "de", "timezone": "Europe/Berlin"})

    assert cells(data)[1] == (1234.5, "0,14285714285714285714", LOCAL("2024-10-27 02:30:00"), "1899-12-31")


# Limits


def test_a_cell_of_32767_utf16_units_fits() -> None:
    assert one(Kind.TEXT, "repeat('x', 32767)") == "x" * 32_767
    assert one(Kind.TEXT, "repeat('é', 32767)") == "é" * 32_767
    assert one(Kind.TEXT, "repeat('&', 32767)") == "&" * 32_767
    assert one(Kind.TEXT, "repeat('🙂', 16383)") == "🙂" * 16_383


def test_a_longer_cell_ends_the_export_and_names_itself() -> None:
    query = "SELECT n, repeat('x', n), n FROM generate_series(32766, 32768) AS n"

    with pytest.raises(errors.FormatLimit) as caught:
        render("xlsx", FIELDS[:2], query)

    assert str(caught.value) == (
        "Row 4 has 32,768 characters in “Text”; a cell of an XLSX file holds 32,767. "
        "Choose another format, or truncate_cells=true to have such cells cut."
    )


def test_a_header_that_no_cell_holds_ends_the_export() -> None:
    with pytest.raises(errors.FormatLimit, match="The header “xxx"):
        render_python("xlsx", [Field(name="text", label="x" * 32_768, kind=Kind.TEXT)], [])


def test_cells_are_cut_when_asked_and_counted() -> None:
    rows = [("x" * 40_000,), ("y",), ("🙂" * 16_384,), ("a" + "🙂" * 16_383,), ("<\n" * 20_000,)]
    encoder = encode(FIELDS[1:2], rows, truncate_cells=True)
    data = render_python("xlsx", FIELDS[1:2], rows, {"truncate_cells": True})

    texts = [row[0] for row in cells(data)[1:]]

    assert texts == ["x" * 32_767, "y", "🙂" * 16_383, "a" + "🙂" * 16_383, ("<\n" * 20_000)[:32_767]]
    assert encoder.warnings() == [
        "3 cells were longer than a cell of an XLSX file can be, and cut at 32,767 characters."
    ]


def test_cut_cells_are_the_same_from_postgresql() -> None:
    query = "SELECT repeat('🙂', 20000) || chr(13), 1"
    rows = [("🙂" * 20_000 + "\r",)]

    options = {"truncate_cells": True}

    assert render("xlsx", FIELDS[1:2], query, options=options) == render_python("xlsx", FIELDS[1:2], rows, options)


def encode(fields: Sequence[Field], rows: Sequence[Sequence[Any]], **options: Any) -> xlsx_format.XlsxEncoder:
    """An encoder that has written ``rows``."""
    given = Options(**options)
    encoder = xlsx_format.XlsxEncoder(fields, given)
    encoder.start()
    data = get_format("xlsx").python(fields, given)(rows)
    encoder.write(Chunk(data=data, rows=len(rows), cursor=("1",)))
    return encoder
