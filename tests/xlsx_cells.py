"""A workbook of one row of each kind, and its cells as openpyxl reads them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import openpyxl

from exports_app.pipeline.types import Field, Kind
from tests.rendering import render

NAMES = ("id", "text", "amount", "ratio", "paid", "day", "at", "clock", "took")
KINDS = (
    *(Kind.INTEGER, Kind.TEXT, Kind.DECIMAL, Kind.FLOAT, Kind.BOOLEAN),
    *(Kind.DATE, Kind.DATETIME, Kind.TIME, Kind.DURATION),
)
FIELDS = [Field(name=name, label=name.capitalize(), kind=kind) for name, kind in zip(NAMES, KINDS, strict=True)]
LOCAL = datetime.fromisoformat
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
