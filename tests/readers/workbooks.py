"""Readers of workbooks: how each is asked, and what it makes of a cell."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
import polars
import pylightxl
from python_calamine import CalamineWorkbook
from xlsx2csv import Xlsx2csv

from tests.readers import table
from tests.readers.cells import SECOND, Same, as_text, raw, typed, typed_or_number

Sheets = list[list[list[Any]]]


NONE: dict[str, str] = {}
UNDONE = {"\ufffe": "_xFFFE_"}
"""By those that undo ``_xHHHH_`` where it stands for a character of XML 1.1."""
LOST = dict.fromkeys([*table.ESCAPED, *table.ENTITIES], "")
"""By pylightxl, which knows no inline strings: others read these texts right nowhere else."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One of Python's."""

    read: Callable[[Path], Sheets]
    same: Same
    texts: dict[str, str]
    """What it makes of those that it does not read as they were."""


def by_openpyxl(file: Path) -> Sheets:
    return [
        [list(row) for row in sheet.iter_rows(values_only=True)] for sheet in openpyxl.load_workbook(file).worksheets
    ]


def by_openpyxl_read_only(file: Path) -> Sheets:
    book = openpyxl.load_workbook(file, read_only=True)
    found = [[list(row) for row in sheet.iter_rows(values_only=True)] for sheet in book.worksheets]
    book.close()
    return found


def by_calamine(file: Path) -> Sheets:
    book = CalamineWorkbook.from_path(str(file))
    return [book.get_sheet_by_name(name).to_python() for name in book.sheet_names]


def by_xlsx2csv(file: Path) -> Sheets:
    # Its own number formats show six decimals and no seconds.
    book = Xlsx2csv(str(file), ignore_formats=["date", "time", "float"])
    return [_csv_of(book, number) for number in range(1, len(book.workbook.sheets) + 1)]


def _csv_of(book: Any, number: int) -> list[list[Any]]:
    text = io.StringIO()
    book.convert(text, sheetid=number)
    return list(csv.reader(io.StringIO(text.getvalue(), newline="")))


def by_pylightxl(file: Path) -> Sheets:
    book = pylightxl.readxl(str(file))
    names = sorted(book.ws_names, key=lambda name: (len(name), name))  # it keeps them in no order
    return [[list(row) for row in book.ws(name).rows] for name in names]


def by_polars(file: Path) -> Sheets:
    # Columns of one type each are what a data frame has; as text, each cell shows what it is.
    frames = polars.read_excel(file, sheet_id=0, has_header=False, infer_schema_length=0)
    return [[list(row) for row in frame.rows()] for frame in frames.values()]


def by_libreoffice(file: Path) -> Sheets:
    """As shown on its screen."""
    # Comma, double quote, UTF-8, from the first line on; all sheets (-1), each to a file of its own.
    filter_ = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,true,false,false,-1"
    with tempfile.TemporaryDirectory() as folder:
        command = ["soffice", "--headless", "--convert-to", filter_, "--outdir", folder, str(file)]
        subprocess.run(command, env=os.environ | {"HOME": folder}, capture_output=True, check=True, timeout=180)
        made = sorted(Path(folder).glob("*.csv"), key=lambda each: (len(each.name), each.name))
        return [list(csv.reader(io.StringIO(each.read_bytes().decode(), newline=""))) for each in made]


PYTHON = {
    "openpyxl": Reader(read=by_openpyxl, same=typed, texts=table.ESCAPED),
    "openpyxl, read_only": Reader(read=by_openpyxl_read_only, same=typed, texts=table.ESCAPED),
    "calamine": Reader(read=by_calamine, same=typed, texts=UNDONE),
    "xlsx2csv": Reader(read=by_xlsx2csv, same=raw, texts=table.ESCAPED | {"a\r\nb": "a\nb"}),
    # Times to the second, and of spans what is left of whole days.
    "pylightxl": Reader(
        read=by_pylightxl,
        same=as_text("%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "h:m:s", modulo=1, within=SECOND),
        texts=LOST,
    ),
    # Times and spans are moments from 1899-12-31 on, numbers have nine decimals.
    "polars": Reader(
        read=by_polars,
        same=as_text("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", zeros=(0, 1)),
        texts=UNDONE,
    ),
}
LIBREOFFICE = Reader(
    read=by_libreoffice,
    same=as_text(*("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "h:m:s", "d"), within=SECOND, digits=1e-9),
    texts={"a\r\nb": "a\nb"},
)
JAVASCRIPT: dict[str, tuple[Same, dict[str, str]]] = {
    "exceljs": (typed, table.ESCAPED),
    "xlsx": (typed, NONE),
    "read-excel-file": (typed, NONE),
    "xlsx-populate": (typed_or_number, table.ESCAPED),
    "xlsx-stream-reader": (raw, table.ESCAPED),
}
