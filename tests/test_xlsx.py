"""XLSX: what readers that nobody here wrote see in the cells."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal

import openpyxl
import pandas
import pytest
from python_calamine import CalamineWorkbook

from exports_app.pipeline.types import Field, Kind
from tests.rendering import render, render_python
from tests.xlsx_cells import FIELDS, LOCAL, ROW, cells, one, sheet_xml

# Readers


def test_openpyxl_sees_every_kind_typed() -> None:
    header, row = cells(render("xlsx", FIELDS, ROW))

    assert header == ("Id", "Text", "Amount", "Ratio", "Paid", "Day", "At", "Clock", "Took")
    assert row == (
        *(7, "Straße", 1.5, 0.1, True, LOCAL("2024-02-29"), LOCAL("2024-01-31 12:00:00")),
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
        *(7.0, "Straße", 1.5, 0.1, True, date(2024, 2, 29), LOCAL("2024-01-31 12:00:00")),
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

    assert f">{written}</" in sheet_xml(in_sql)
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


# From Python


def test_rows_from_python_are_the_same_file() -> None:
    row = (
        *(7, "Straße", Decimal("1.50"), 0.1, True, date(2024, 2, 29), datetime(2024, 1, 31, 12, tzinfo=UTC)),
        *(time(12, 34, 56), timedelta(hours=26, seconds=1)),
    )

    assert render_python("xlsx", FIELDS, [row]) == render("xlsx", FIELDS, ROW)


def test_text_with_a_nul_can_only_come_from_python() -> None:
    assert ">a_x0000_b</t>" in sheet_xml(render_python("xlsx", FIELDS[1:2], [("a\0b",)]))
