"""XLSX: what readers that nobody here wrote see in the cells."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal

import openpyxl
import pandas
import pytest
from python_calamine import CalamineWorkbook

from exports_app.pipeline import errors
from exports_app.pipeline.formats import get_format
from exports_app.pipeline.formats import xlsx as xlsx_format
from exports_app.pipeline.types import Chunk, Field, Kind, Options
from tests.rendering import render, render_python

NAMES = ("id", "text", "amount", "ratio", "paid", "day", "at", "clock", "took")
KINDS = (
    *(Kind.INTEGER, Kind.TEXT, Kind.DECIMAL, Kind.FLOAT, Kind.BOOLEAN),
    *(Kind.DATE, Kind.DATETIME, Kind.TIME, Kind.DURATION),
)
FIELDS = [Field(name=name, label=name.capitalize(), kind=kind) for name, kind in zip(NAMES, KINDS, strict=True)]
local = datetime.fromisoformat
"""What spreadsheets have: a date and a time without a zone."""
ROW = """
    SELECT 7, 'Straße', 1.50, 0.1::float8, true, DATE '2024-02-29', TIMESTAMPTZ '2024-01-31 12:00:00Z',
           TIME '12:34:56', INTERVAL '26:00:01', 1
"""


def cells(data: bytes) -> list[tuple[Any, ...]]:
    """All rows of the first sheet as openpyxl reads them."""
    return list(openpyxl.load_workbook(io.BytesIO(data)).worksheets[0].iter_rows(values_only=True))


def one(kind: Kind, expression: str, options: Mapping[str, Any] | None = None, **field: Any) -> Any:
    """The only cell of a file whose only row holds ``expression``."""
    fields = [Field(name="value", label="Value", kind=kind, **field)]
    (_, (value,)) = cells(render("xlsx", fields, f"SELECT {expression}, 1", options=options))
    return value


def style_of(kind: Kind, expression: str, options: Mapping[str, Any] | None = None) -> str:
    """The number format of that cell."""
    data = render("xlsx", [Field(name="value", label="Value", kind=kind)], f"SELECT {expression}, 1", options=options)
    return str(openpyxl.load_workbook(io.BytesIO(data)).active["A2"].number_format)


def sheet_xml(data: bytes) -> str:
    """The first sheet as it stands in the archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read("xl/worksheets/sheet1.xml").decode()


# Readers


def test_openpyxl_sees_every_kind_typed() -> None:
    header, row = cells(render("xlsx", FIELDS, ROW))

    assert header == ("Id", "Text", "Amount", "Ratio", "Paid", "Day", "At", "Clock", "Took")
    assert row == (
        *(7, "Straße", 1.5, 0.1, True, local("2024-02-29"), local("2024-01-31 12:00:00")),
        *(time(12, 34, 56), timedelta(days=1, hours=2, seconds=1)),
    )
    assert [type(value) for value in row[:5]] == [int, str, float, float, bool]


def test_openpyxl_reads_it_in_read_only_mode() -> None:
    book = openpyxl.load_workbook(io.BytesIO(render("xlsx", FIELDS[:2], "SELECT 1, 'a', 1")), read_only=True)

    assert list(book.active.iter_rows(values_only=True)) == [("Id", "Text"), (1, "a")]
    book.close()


def test_calamine_sees_every_kind_typed() -> None:
    rows = CalamineWorkbook.from_filelike(io.BytesIO(render("xlsx", FIELDS, ROW))).get_sheet_by_index(0).to_python()

    assert rows[1] == [
        *(7.0, "Straße", 1.5, 0.1, True, date(2024, 2, 29), local("2024-01-31 12:00:00")),
        *(time(12, 34, 56), timedelta(days=1, hours=2, seconds=1)),
    ]


@pytest.mark.parametrize("engine", ["openpyxl", "calamine"])
def test_pandas_sees_columns_of_their_types(engine: Literal["openpyxl", "calamine"]) -> None:
    query = "SELECT * FROM (VALUES (1, 'a', 1.5, DATE '2024-02-29', 1), (2, NULL, NULL, NULL, 2)) AS v"
    fields = [FIELDS[0], FIELDS[1], FIELDS[2], FIELDS[5]]

    frame = pandas.read_excel(io.BytesIO(render("xlsx", fields, query)), engine=engine)

    assert [str(kind) for kind in frame.dtypes] == ["int64", "str", "float64", "datetime64[us]"]
    assert frame["Day"][0] == pandas.Timestamp(2024, 2, 29)
    assert frame.isna().sum().to_dict() == {"Id": 0, "Text": 1, "Amount": 1, "Day": 1}


def test_xlsx2csv_finds_all_rows(tmp_path: Any) -> None:
    file = tmp_path / "a.xlsx"
    query = "SELECT n, 'x' || n, n FROM generate_series(1, 3) AS n"
    file.write_bytes(render("xlsx", [FIELDS[0], FIELDS[1]], query))

    read = subprocess.run(
        [sys.executable, "-c", "import xlsx2csv; xlsx2csv.main()", str(file)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert read.stdout == "Id,Text\n1,x1\n2,x2\n3,x3\n"


def test_programs_that_guess_types_by_the_first_parts_find_them_there() -> None:
    with zipfile.ZipFile(io.BytesIO(render("xlsx", FIELDS[:1], "SELECT 1, 1"))) as archive:
        names = [entry.filename for entry in sorted(archive.infolist(), key=lambda entry: entry.header_offset)]

    # libmagic: the first is of the package, one of the next three of a workbook
    assert names[0] == "_rels/.rels"
    assert any(name.startswith("xl/") for name in names[1:4])


# The sheet


def test_the_header_is_bold_and_frozen_and_filters_all_rows() -> None:
    query = "SELECT n, 'x', n FROM generate_series(1, 41) AS n"

    sheet = openpyxl.load_workbook(io.BytesIO(render("xlsx", FIELDS[:2], query))).active

    assert [cell.font.b for cell in sheet[1]] == [True, True]
    assert sheet["A2"].font.b is False
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:B42"
    assert sheet.title == "Export"


def test_headers_are_escaped_like_text() -> None:
    fields = [Field(name="a", label="A & <b>\n_x0041_ =1", kind=Kind.TEXT)]

    header = sheet_xml(render("xlsx", fields, "SELECT NULL::text, 1")).split('<row r="2">')[0]

    assert ">A &amp; &lt;b&gt;&#10;_x005F_x0041_ =1</t>" in header


def test_columns_are_as_wide_as_their_kind_or_their_header() -> None:
    fields = [
        Field(name="id", label="Id", kind=Kind.UUID),
        Field(name="day", label="Day of the last settlement", kind=Kind.DATE),
        Field(name="text", label="x" * 200, kind=Kind.TEXT),
    ]

    sheet = openpyxl.load_workbook(io.BytesIO(render("xlsx", fields, "SELECT NULL, NULL, NULL, 1"))).active

    assert [sheet.column_dimensions[letter].width for letter in "ABC"] == [38, 29, 53]


def test_without_rows_there_is_a_header() -> None:
    data = render("xlsx", FIELDS, f"SELECT * FROM ({ROW}) AS row WHERE false")

    assert cells(data) == [("Id", "Text", "Amount", "Ratio", "Paid", "Day", "At", "Clock", "Took")]
    assert openpyxl.load_workbook(io.BytesIO(data)).active.auto_filter.ref == "A1:I1"


def test_null_cells_hold_their_place_and_differ_from_empty_text() -> None:
    query = "SELECT * FROM (VALUES (NULL::int, '', 1), (2, NULL, 2), (NULL, NULL, 3), (4, 'x', 4)) AS v"

    assert cells(render("xlsx", FIELDS[:2], query))[1:] == [(None, ""), (2, None), (None, None), (4, "x")]


def test_more_columns_than_fit_into_one_number_of_forms_keep_their_order() -> None:
    fields = [Field(name=f"c{n}", label=f"C{n}", kind=Kind.INTEGER) for n in range(70)]
    values = ["NULL::int" if n % 3 == 0 else str(n) for n in range(70)]

    row = cells(render("xlsx", fields, f"SELECT {', '.join(values)}, 1"))[1]

    assert list(row) == [None if n % 3 == 0 else n for n in range(70)]


# Text


@pytest.mark.parametrize(
    "text",
    ["007", "1234567890123456", "=1+1", "-1", "+4930", "@x", "TRUE", "1e5", "2024-01-31", "#N/A", "'x", "", " "],
)
def test_text_stays_text(text: str) -> None:
    quoted = text.replace("'", "''")

    assert one(Kind.TEXT, f"'{quoted}'::text") == text


def test_formulas_are_text_to_the_reader() -> None:
    data = render("xlsx", FIELDS[1:2], "SELECT '=HYPERLINK(\"http://x\")', 1")

    assert openpyxl.load_workbook(io.BytesIO(data)).active["A2"].data_type == "s"
    assert "<f>" not in sheet_xml(data)


@pytest.mark.parametrize("text", ["  both  ", "two  blanks", "line\nbreak\n", "\ttab\t", "a\\nb \\\\ \\t \\"])
def test_white_space_and_backslashes_are_kept(text: str) -> None:
    assert one(Kind.TEXT, "E'" + text.replace("\\", "\\\\") + "'") == text


@pytest.mark.parametrize("text", ["<b>&amp;</b>", "]]>", "\"quoted\" 'x'", "é 日本 🙂 \u0085\u2028 \ufdd0"])
def test_xml_and_all_scripts_are_text(text: str) -> None:
    quoted = text.replace("'", "''")

    assert one(Kind.TEXT, f"'{quoted}'::text") == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a\r\nb", "a_x000D_&#10;b"),
        ("bell\x07", "bell_x0007_"),
        ("\x01\x1f\x7f", "_x0001__x001F_\x7f"),
        ("_x000D_", "_x005F_x000D_"),
        ("_x00e9_", "_x005F_x00e9_"),
        ("_x12_ _X0041_ x0041_ _x004", "_x12_ _X0041_ x0041_ _x004"),
        ("_x0041\r", "_x005F_x0041_x000D_"),  # the escape's underscore would have completed the pattern
        ("__x0041_x0042_", "__x005F_x0041_x005F_x0042_"),
        ("\t", "&#9;"),
    ],
)
def test_what_xml_cannot_hold_is_written_as_excel_writes_it(text: str, written: str) -> None:
    in_sql = render("xlsx", FIELDS[1:2], f"SELECT '{text}', 1")
    in_python = render_python("xlsx", FIELDS[1:2], [(text,)])

    assert f">{written}</t>" in sheet_xml(in_sql)
    assert in_sql == in_python
    assert CalamineWorkbook.from_filelike(io.BytesIO(in_sql)).get_sheet_by_index(0).to_python()[1] == [text]


def test_the_two_noncharacters_that_xml_forbids_are_escaped_alike() -> None:
    # calamine decodes escapes of control characters only
    in_sql = render("xlsx", FIELDS[1:2], "SELECT '\ufffe\uffff\ufffd', 1")

    assert ">_xFFFE__xFFFF_\ufffd</t>" in sheet_xml(in_sql)
    assert in_sql == render_python("xlsx", FIELDS[1:2], [("\ufffe\uffff\ufffd",)])


def test_kinds_without_a_type_of_their_own_are_text() -> None:
    expected = {
        Kind.UUID: ("'0189a7c2-0000-7000-8000-000000000001'::uuid", "0189a7c2-0000-7000-8000-000000000001"),
        Kind.JSON: ('\'{"a": [1, "x: y"]}\'::jsonb', '{"a":[1,"x: y"]}'),
        Kind.ARRAY: ("ARRAY[1, NULL, 3]", "[1,null,3]"),
        Kind.BINARY: ("'\\x00ff'::bytea", "AP8="),
        Kind.CHOICE: ("'A'::text", "A"),
    }

    assert {kind: one(kind, expression) for kind, (expression, _) in expected.items()} == {
        kind: text for kind, (_, text) in expected.items()
    }


def test_choices_are_shown_by_their_labels_when_asked() -> None:
    choices = (("S", "Settled & <paid>"), ("P", "Pending"))

    assert one(Kind.CHOICE, "'S'::text", {"choice_labels": True}, choices=choices) == "Settled & <paid>"
    assert one(Kind.CHOICE, "'S'::text", choices=choices) == "S"


def test_choices_of_numbers_are_numbers_and_their_labels_text() -> None:
    choices = (("1", "Low"), ("2", "High"))

    assert one(Kind.CHOICE, "2", choices=choices, element=Kind.INTEGER) == 2
    assert one(Kind.CHOICE, "2", {"choice_labels": True}, choices=choices, element=Kind.INTEGER) == "High"


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


# Days and times


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'1900-02-27'", "1900-02-27"),
        ("'1900-02-28'", "1900-02-28"),
        ("'1900-03-01'", local("1900-03-01")),
        ("'1900-03-02'", local("1900-03-02")),
        ("'0001-01-01'", "0001-01-01"),
        ("'9999-12-31'", local("9999-12-31")),
    ],
)
def test_no_day_is_wrong_around_the_leap_day_that_never_was(expression: str, value: Any) -> None:
    assert one(Kind.DATE, f"DATE {expression}") == value


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'1900-02-28 23:59:59.999999Z'", "1900-02-28T23:59:59.999999+00:00"),
        ("'1900-03-01 00:00:00Z'", local("1900-03-01")),
        ("'1970-01-01 00:00:01Z'", local("1970-01-01 00:00:01")),
        ("'2024-01-31 12:00:00.123Z'", local("2024-01-31 12:00:00.123")),
        ("'2024-01-31 23:59:59.999999Z'", local("2024-01-31 23:59:59.999")),
        ("'9999-12-31 23:59:59.999999Z'", local("9999-12-31 23:59:59.999")),
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

    assert one(Kind.DATETIME, "TIMESTAMPTZ '2024-10-27 00:30:00Z'", berlin) == local("2024-10-27 02:30:00")
    assert one(Kind.DATETIME, "TIMESTAMPTZ '2024-10-27 01:30:00Z'", berlin) == local("2024-10-27 02:30:00")
    assert one(Kind.DATETIME, "TIMESTAMPTZ '1900-02-28 23:00:00Z'", berlin) == local("1900-03-01")
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
    assert one(Kind.DATETIME, at, options) == local("2024-01-31 12:00:00")


def test_a_german_workbook_has_typed_cells_and_a_comma_only_in_numbers_that_are_text() -> None:
    fields = [FIELDS[2], FIELDS[2], FIELDS[6], FIELDS[5]]
    query = "SELECT 1234.5, 0.14285714285714285714, TIMESTAMPTZ '2024-10-27 00:30Z', DATE '1899-12-31', 1"

    data = render("xlsx", fields, query, options={"locale": "de", "timezone": "Europe/Berlin"})

    assert cells(data)[1] == (1234.5, "0,14285714285714285714", local("2024-10-27 02:30:00"), "1899-12-31")


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


# From Python


def test_rows_from_python_are_the_same_file() -> None:
    row = (
        *(7, "Straße", Decimal("1.50"), 0.1, True, date(2024, 2, 29), datetime(2024, 1, 31, 12, tzinfo=UTC)),
        *(time(12, 34, 56), timedelta(hours=26, seconds=1)),
    )

    assert render_python("xlsx", FIELDS, [row]) == render("xlsx", FIELDS, ROW)


def test_text_with_a_nul_can_only_come_from_python() -> None:
    assert ">a_x0000_b</t>" in sheet_xml(render_python("xlsx", FIELDS[1:2], [("a\0b",)]))
