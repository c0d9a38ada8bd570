"""The parts of a workbook that hold no rows, made by openpyxl: styles, theme, workbook, relationships, sheet heads."""

from __future__ import annotations

import re
import unicodedata
import zipfile
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import lru_cache
from io import BytesIO
from typing import Any

from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from exports_app.pipeline.formats import locale
from exports_app.pipeline.formats.labels import shown_kind
from exports_app.pipeline.types import Field, Kind, Options

MAX_TITLE_UNITS = 31
"""UTF-16 units of a worksheet's name ("Excel specifications and limits")."""
NOT_IN_TITLES = re.compile(r"[\[\]:*?/\\]")
RESERVED_TITLE = "history"
"""Excel keeps this name for itself."""
DEFAULT_TITLE = "Export"

WIDTHS = {
    Kind.INTEGER: 17,
    Kind.FLOAT: 17,
    Kind.DECIMAL: 18,
    Kind.BOOLEAN: 9,
    Kind.DATE: 12,
    Kind.DATETIME: 20,
    Kind.TIME: 10,
    Kind.DURATION: 12,
    Kind.UUID: 38,
    Kind.JSON: 40,
    Kind.BINARY: 40,
}
"""Width of a column in characters, by what it holds; numbers of 15 digits would be ``####`` where they do not fit."""
TEXT_WIDTH = 24
MIN_DECIMAL_WIDTH = 14
MAX_LABEL_WIDTH = 50
FILTER_BUTTON = 3  # characters that the button hides of a header

EXCEL_LETTERS = {letters: letters.lower() for letters in ("yyyy", "yy", "M", "MM", "MMM", "MMMM", "d", "dd")} | {
    "y": "yyyy",
    "E": "ddd",
    "EEE": "ddd",
    "EEEE": "dddd",
}
"""CLDR's letters and those of Excel's format codes."""
PLAIN_IN_FORMATS = re.compile("[ .,/:-]*")
"""Text that needs no quotes in a format code."""
CACHED = 16
"""Sets of options whose parts are kept: openpyxl takes some 10 ms for them, which small exports would notice."""

FIRST_PARTS = ("_rels/.rels", "docProps/app.xml", "docProps/core.xml", "xl/theme/theme1.xml", "xl/styles.xml")
"""Before the sheets: they do not depend on them, and programs that guess a file's type look at the first few."""
LAST_PARTS = ("xl/workbook.xml", "xl/_rels/workbook.xml.rels", "[Content_Types].xml")


class Style(StrEnum):
    """How a cell is shown; names a cell format of the workbook."""

    HEADER = "header"
    LONG = "long"
    LONG_DECIMAL = "long_decimal"
    DATE = "date"
    DATETIME = "datetime"
    DATETIME_FRACTION = "datetime_fraction"
    TIME = "time"
    TIME_FRACTION = "time_fraction"
    DURATION = "duration"
    DURATION_FRACTION = "duration_fraction"


def number_formats(options: Options) -> dict[Style, str]:
    """Format codes of Excel for the kinds that are numbers underneath.

    Dates look as the locale or ``date_format`` has them; names of months come in the language of who opens the file.
    Excel shows a negative time as ``####``, so a negative duration is shown in days; its value is the same.
    """
    day, clock = _day_format(options), "hh:mm:ss"
    return {
        Style.LONG: "0",
        Style.LONG_DECIMAL: "0.0##",
        Style.DATE: day,
        Style.DATETIME: f"{day} {clock}",
        Style.DATETIME_FRACTION: f"{day} {clock}.000",
        Style.TIME: clock,
        Style.TIME_FRACTION: f"{clock}.000",
        Style.DURATION: '[h]:mm:ss;-0.00000" d"',
        Style.DURATION_FRACTION: '[h]:mm:ss.000;-0.00000000" d"',
    }


def _day_format(options: Options) -> str:
    shown = locale.conventions(options)
    if shown is None:
        return "yyyy-mm-dd"
    return "".join([EXCEL_LETTERS[letters] if letters else _quoted(text) for letters, text in shown.tokens()])


def _quoted(text: str) -> str:
    return text if PLAIN_IN_FORMATS.fullmatch(text) else f'"{text}"'


@lru_cache(maxsize=CACHED)
def style_numbers(options: Options) -> dict[Style, int]:
    """The number by which a cell names each style; the same in every workbook with these options."""
    return _with_styles(_workbook(), options)


@lru_cache(maxsize=CACHED)
def first_parts(options: Options) -> list[tuple[str, bytes]]:
    """What stands before the first sheet."""
    book = _workbook()
    book.create_sheet("1")
    _with_styles(book, options)
    return _saved(book, FIRST_PARTS)


def last_parts(options: Options, sheets: Iterable[tuple[str, int, int]]) -> list[tuple[str, bytes]]:
    """What stands behind the last sheet. ``sheets``: title, columns and rows (its header included) of each."""
    book = _workbook()
    for title, columns, rows in sheets:
        book.create_sheet(title).auto_filter.ref = area(columns, rows)
    return _saved(book, LAST_PARTS)


def sheet_head(fields: Sequence[Field], options: Options) -> bytes:
    """A worksheet up to its first row: frozen header, widths."""
    book = _workbook()
    sheet = book.create_sheet("1")
    sheet.freeze_panes = "A2"
    for number, field in enumerate(fields, 1):
        sheet.column_dimensions[get_column_letter(number)].width = _width(field, options)
    xml = dict(_saved(book, ["xl/worksheets/sheet1.xml"]))["xl/worksheets/sheet1.xml"]
    head = xml[: xml.index(b"<sheetData")]
    # Where the data end is not known yet; a reader that trusted openpyxl's guess would see one cell.
    return re.sub(rb"<dimension [^>]*>", b"", head) + b"<sheetData>"


def sheet_tail(columns: int, rows: int) -> bytes:
    """A worksheet behind its last row: the filter over all of it."""
    return f'</sheetData><autoFilter ref="{area(columns, rows)}"/></worksheet>'.encode()


def area(columns: int, rows: int) -> str:
    """The cells from the first to the last."""
    return f"A1:{get_column_letter(columns)}{rows}"


def sheet_title(wanted: str, taken: Iterable[str], number: int = 1) -> str:
    """A name that Excel takes, unlike all ``taken``; sheets that continue a table are numbered from 2."""
    clean = "".join([" " if unicodedata.category(each) == "Cc" else each for each in wanted])
    clean = " ".join(NOT_IN_TITLES.sub(" ", clean).split()).strip("'") or DEFAULT_TITLE
    if clean.lower() == RESERVED_TITLE:
        clean = f"{clean} 1"
    used = {title.lower() for title in taken}
    while True:
        suffix = f" {number}" if number > 1 else ""
        title = _shortened(clean, MAX_TITLE_UNITS - len(suffix)) + suffix
        if title.lower() not in used:
            return title
        number += 1


def _shortened(text: str, units: int) -> str:
    return text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore").rstrip(" '")


def _width(field: Field, options: Options) -> int:
    label = min(len(field.label), MAX_LABEL_WIDTH) + FILTER_BUTTON
    kind = shown_kind(field, options)
    wanted = WIDTHS.get(kind, TEXT_WIDTH)
    if kind is Kind.DECIMAL and field.max_digits is not None:
        wanted = min(wanted, max(MIN_DECIMAL_WIDTH, field.max_digits + 3))  # its sign, its point, and some air
    return max(label, wanted)


def _workbook() -> Any:
    book = Workbook()
    book.remove(book.active)
    book.properties.creator = None
    book.calculation.fullCalcOnLoad = False  # nothing to calculate; Excel would ask whether to save the changes
    return book


def _with_styles(book: Any, options: Options) -> dict[Style, int]:
    sheet = book.worksheets[0] if book.worksheets else book.create_sheet("1")
    header = sheet.cell(1, 1)
    header.font = Font(name="Calibri", family=2, size=11, bold=True, scheme="minor")
    numbers = {Style.HEADER: header.style_id}
    for column, (style, code) in enumerate(number_formats(options).items(), 2):
        cell = sheet.cell(1, column)
        cell.number_format = code
        numbers[style] = cell.style_id
    return numbers


def _saved(book: Any, names: Sequence[str]) -> list[tuple[str, bytes]]:
    file = BytesIO()
    book.save(file)
    with zipfile.ZipFile(file) as archive:
        parts = [(name, archive.read(name)) for name in names]
    # openpyxl writes its clock's time; the same rows shall give the same bytes.
    return [(name, re.sub(rb"<dcterms:.*</dcterms:\w+>", b"", data)) for name, data in parts]
