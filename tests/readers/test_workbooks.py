"""Workbooks by eleven readers that nobody here wrote: every cell of a table of all kinds, wide ones, long ones."""

from __future__ import annotations

import os
import re
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.readers import table
from tests.readers.cells import Cell, Same, compare, expected
from tests.readers.conftest import LONG, WIDE, Node
from tests.readers.workbooks import JAVASCRIPT, LIBREOFFICE, PYTHON, Reader


def wide() -> list[list[Cell]]:
    """Past column AZ and past ZZ, every third cell empty."""
    header: list[Cell] = [f"column {n}" for n in range(1, WIDE + 1)]
    rows: list[list[Cell]] = [
        [float(n * 1000 + c) if (n + c) % 3 else None for c in range(1, WIDE + 1)] for n in range(1, 4)
    ]
    return [header, *rows]


def long() -> list[list[list[Cell]]]:
    """Sheets of nine rows and a header."""
    rows: list[list[Cell]] = [[float(n), f"row {n}"] for n in range(1, LONG + 1)]
    return [[["id", "value"], *rows[begin : begin + 9]] for begin in (0, 9, 18)]


def check_plain(read: Any, same: Same) -> None:
    """``read(name)`` gives the sheets of a workbook."""
    (found,) = read("all")
    compare(found, expected(), same)
    (found,) = read("wide")
    compare(found, wide(), same)
    sheets = read("long")
    assert len(sheets) == 3
    for each, rows in zip(sheets, long(), strict=True):
        compare(each, rows, same)


def check_texts(found: list[list[Any]], changed: dict[str, str]) -> None:
    """Every text as it was, or as this reader is known to make of it; pylightxl has no None."""
    assert [row[1] or "" for row in found[1:]] == [changed.get(text, text) for text in table.TEXTS]


@pytest.mark.parametrize("name", PYTHON)
def test_every_cell_by_readers_of_python(files: Path, name: str) -> None:
    reader: Reader = PYTHON[name]
    check_plain(lambda each: reader.read(files / f"{each}.xlsx"), reader.same)


@pytest.mark.parametrize("name", JAVASCRIPT)
def test_every_cell_by_readers_of_javascript(files: Path, node: Node, name: str) -> None:
    same, texts = JAVASCRIPT[name]
    names = ("all", "wide", "long", "texts")
    found = dict(zip(names, node(name, *[files / f"{each}.xlsx" for each in names]), strict=True))

    check_plain(lambda each: with_days(found[each]), same)
    check_texts(found["texts"][0], texts)


def with_days(sheets: list[list[list[Any]]]) -> list[list[list[Any]]]:
    """Dates as JSON has them, as dates again."""
    return [[[as_date(value) for value in row] for row in rows] for rows in sheets]


def as_date(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", value):
        return datetime.fromisoformat(value)
    return value


@pytest.mark.parametrize("name", PYTHON)
def test_every_text_by_readers_of_python(files: Path, name: str) -> None:
    (found,) = PYTHON[name].read(files / "texts.xlsx")
    check_texts(found, PYTHON[name].texts)


def test_every_cell_by_libreoffice(files: Path) -> None:
    if shutil.which("soffice") is None:
        message = "LibreOffice (Debian: libreoffice-calc) is not installed."
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    check_plain(lambda each: LIBREOFFICE.read(files / f"{each}.xlsx"), LIBREOFFICE.same)
    (found,) = LIBREOFFICE.read(files / "texts.xlsx")
    check_texts(found, LIBREOFFICE.texts)


def test_spans_of_time_keep_their_microseconds_in_the_file(files: Path) -> None:
    (found,) = PYTHON["xlsx2csv"].read(files / "all.xlsx")
    took = timedelta(days=float(found[6][list(table.KINDS).index("took")]))
    assert took == timedelta(microseconds=123_457)
