"""Workbooks of the size people ask for when they should not: more rows than a sheet has, and fifty columns.

With ``LARGE_WORKBOOKS=1`` alone: they take some minutes to read back.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import openpyxl
import pytest
from python_calamine import CalamineWorkbook

from exports_app.pipeline.types import Field, Kind
from tests.rendering import render

pytestmark = pytest.mark.skipif(not os.environ.get("LARGE_WORKBOOKS"), reason="LARGE_WORKBOOKS=1 runs it")

ROWS = 1_100_000
SECOND = ROWS - 1_048_575
"""Rows of the second sheet: the first has one row less than Excel, for its header."""
COLUMNS = 50


def test_rows_past_the_last_of_a_sheet_stand_on_a_second_one(tmp_path: Path) -> None:
    fields = [Field(name="id", label="ID", kind=Kind.INTEGER), Field(name="text", label="Text", kind=Kind.TEXT)]
    file = tmp_path / "rows.xlsx"
    file.write_bytes(render("xlsx", fields, f"SELECT n, 'row ' || n, n FROM generate_series(1, {ROWS}) AS n"))

    book = CalamineWorkbook.from_path(str(file))
    first, second = (book.get_sheet_by_index(n).to_python() for n in range(2))
    assert len(book.sheet_names) == 2
    assert (len(first), len(second)) == (1_048_576, SECOND + 1)
    assert (first[0], first[-1]) == (["ID", "Text"], [1_048_575.0, "row 1048575"])
    assert (second[0], second[1], second[-1]) == (
        ["ID", "Text"],
        [1_048_576.0, "row 1048576"],
        [1_100_000.0, "row 1100000"],
    )

    with closing(openpyxl.load_workbook(file, read_only=True)) as read:
        pairs = zip(read.worksheets, (1_048_575, SECOND + 1), strict=True)
        ends = [list(sheet.iter_rows(min_row=at, values_only=True)) for sheet, at in pairs]
    assert ends == [[(1_048_574, "row 1048574"), (1_048_575, "row 1048575")], [(1_100_000, "row 1100000")]]


def test_fifty_columns_keep_their_places_in_every_row(tmp_path: Path) -> None:
    fields = [Field(name=f"c{n}", label=f"Column {n}", kind=Kind.INTEGER) for n in range(COLUMNS)]
    file = tmp_path / "columns.xlsx"
    values = ", ".join(f"n * 100 + {n}" for n in range(COLUMNS))
    file.write_bytes(render("xlsx", fields, f"SELECT {values}, n FROM generate_series(1, 20000) AS n"))
    expected = [[n * 100 + column for column in range(COLUMNS)] for n in range(1, 20_001)]

    rows = CalamineWorkbook.from_path(str(file)).get_sheet_by_index(0).to_python()
    assert rows[0] == [f"Column {n}" for n in range(COLUMNS)]
    assert rows[1:] == expected
    with closing(openpyxl.load_workbook(file, read_only=True)) as read:
        found = read.worksheets[0].iter_rows(min_row=2, values_only=True)
        assert [list(row) for row in found] == expected
