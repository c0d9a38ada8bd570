"""XLSX: typed cells in worksheets that are deflated as they come, in a workbook whose other parts openpyxl makes.

``xlsx_cells`` says what each kind looks like in SQL and in Python, ``xlsx_rows`` makes XML of rows, ``xlsx_parts``
everything around the rows, ``xlsx_zip`` the archive. The workbook's own part stands behind the sheets, because how
many there are is known last; zip and OPC leave the order free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openpyxl.utils import get_column_letter

from exports_app.pipeline import errors
from exports_app.pipeline.formats.xlsx_cells import python_cell, python_forms, sql_cell, sql_forms
from exports_app.pipeline.formats.xlsx_parts import (
    DEFAULT_TITLE,
    Style,
    first_parts,
    last_parts,
    sheet_head,
    sheet_tail,
    sheet_title,
    style_numbers,
)
from exports_app.pipeline.formats.xlsx_rows import MAX_CELL_UNITS, SheetRows, text_cell
from exports_app.pipeline.formats.xlsx_zip import ZipStream
from exports_app.pipeline.types import Chunk, Field, Format, Options, RowRenderer, Sheet, SqlRows

MAX_ROWS = 1_048_576
"""Of a worksheet, its header included ("Excel specifications and limits")."""
MAX_COLUMNS = 16_384
_COPY_ESCAPES = str.maketrans(
    {"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
)


def sql(fields: Sequence[Field], options: Options) -> SqlRows:
    """The row's forms, then its cells, as COPY's text format has them."""
    cells = [sql_cell(field, f"c{n}", options) for n, field in enumerate(fields, 1)]
    return SqlRows(
        expressions=(sql_forms(cells), *(cell.value for cell in cells)),
        copy_options="FORMAT text, NULL ''",  # the forms tell NULL from the empty text
        delimiter=b"\t",
        joint=b"\n",
        end=b"",
    )


def python(fields: Sequence[Field], options: Options) -> RowRenderer:
    """The same lines from Python's values."""
    cells = [python_cell(field, options) for field in fields]

    def line(row: Sequence[Any]) -> str:
        said = [cell(value) for value, cell in zip(row, cells, strict=True)]
        texts = [text.translate(_COPY_ESCAPES) for _, text in said]
        return "\t".join([python_forms([form for form, _ in said]), *texts])

    return lambda rows: "\n".join([line(row) for row in rows]).encode()


@dataclass(slots=True, kw_only=True)
class _Written:
    """A worksheet, or as much of it as there is."""

    title: str
    table: int
    """Which of the encoder's sheets its rows belong to."""
    rows: int = 1
    """Its header included."""


class XlsxEncoder:
    """Worksheets one after the other. Rows past the end of one go on in the next, ``Title 2``, header and all.

    ``sheets`` are the tables of a workbook that has several; ``fields`` are then those of the first one, and each
    chunk says whose rows it has. Raises ``errors.FormatLimit`` for a cell that Excel cannot hold.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        options: Options,
        state: Mapping[str, Any] | None = None,
        *,
        sheets: Sequence[Sheet] = (),
    ) -> None:
        self._tables = sheets or (Sheet(title=DEFAULT_TITLE, fields=fields),)
        self._titles: list[str] = []
        for each in self._tables:
            self._titles.append(sheet_title(each.title, self._titles))
        self._options = options
        self._styles = style_numbers(options)
        self._zip = ZipStream.resume(state["zip"]) if state else ZipStream()
        self._written = [_Written(**each) for each in state["sheets"]] if state else []
        self._truncated: int = state["truncated"] if state else 0
        self._rows = self._writer(self._written[-1].table if self._written else 0)

    def start(self) -> bytes:
        parts = [self._zip.add(name, data) for name, data in first_parts(self._options)]
        return b"".join([*parts, self._begin_sheet(0)])

    def write(self, chunk: Chunk) -> bytes:
        pieces = [self._turn_to(chunk.sheet)]
        lines = self._rows.lines(chunk.data) if chunk.rows else []
        while lines:
            if not self._left():
                pieces += [self._end_sheet(), self._begin_sheet(chunk.sheet)]
            sheet, room = self._written[-1], self._left()
            pieces.append(self._zip.write(self._rows.xml(lines[:room], sheet.rows + 1)))
            sheet.rows += len(lines[:room])
            lines = lines[room:]
        return b"".join(pieces)

    def cut(self) -> bytes:
        return self._zip.cut()

    def finish(self, rows: int) -> bytes:
        pieces = [self._turn_to(len(self._tables) - 1), self._end_sheet()]
        sheets = [(each.title, len(self._tables[each.table].fields), each.rows) for each in self._written]
        pieces += [self._zip.add(name, data) for name, data in last_parts(self._options, sheets)]
        return b"".join([*pieces, self._zip.finish()])

    def state(self) -> dict[str, Any]:
        return {
            "zip": self._zip.state(),
            "sheets": [{"title": each.title, "table": each.table, "rows": each.rows} for each in self._written],
            "truncated": self._cells_cut(),
        }

    def room(self) -> int | None:
        """Rows that still fit into this worksheet; into a new one where it is full."""
        return self._left() or MAX_ROWS - 1

    def warnings(self) -> list[str]:
        """What the file does not hold as the data have it."""
        cut = self._cells_cut()
        if not cut:
            return []
        cells = "1 cell was" if cut == 1 else f"{cut:,} cells were"
        return [f"{cells} longer than a cell of an XLSX file can be, and cut at 32,767 characters."]

    def _cells_cut(self) -> int:
        return self._truncated + self._rows.truncated

    def _left(self) -> int:
        return MAX_ROWS - self._written[-1].rows if self._written else 0

    def _writer(self, table: int) -> SheetRows:
        return SheetRows(self._tables[table].fields, self._options, self._styles)

    def _turn_to(self, table: int) -> bytes:
        """Begin the worksheet of ``table``, and those before it that have no rows."""
        pieces = []
        while (current := self._written[-1].table) < table:
            pieces += [self._end_sheet(), self._begin_sheet(current + 1)]
        return b"".join(pieces)

    def _begin_sheet(self, table: int) -> bytes:
        self._truncated = self._cells_cut()
        self._rows = self._writer(table)
        self._written.append(_Written(title=self._title(table), table=table))
        fields = self._tables[table].fields
        head = self._zip.begin(f"xl/worksheets/sheet{len(self._written)}.xml")
        return head + self._zip.write(sheet_head(fields, self._options) + _header(fields, self._styles[Style.HEADER]))

    def _title(self, table: int) -> str:
        number = 1 + sum(each.table == table for each in self._written)
        if number == 1:
            return self._titles[table]
        taken = {*self._titles, *(each.title for each in self._written)}
        return sheet_title(self._titles[table], taken, number)

    def _end_sheet(self) -> bytes:
        sheet = self._written[-1]
        return self._zip.write(sheet_tail(len(self._tables[sheet.table].fields), sheet.rows)) + self._zip.end()


def _header(fields: Sequence[Field], style: int) -> bytes:
    for field in fields:
        if len(field.label.encode("utf-16-le")) > 2 * MAX_CELL_UNITS:
            raise errors.FormatLimit(f"The header “{field.label[:30]}…” is longer than a cell of an XLSX file can be.")
    cells = [text_cell(b"%b1" % get_column_letter(n).encode(), style, each.label) for n, each in enumerate(fields, 1)]
    return b'<row r="1">' + b"".join(cells) + b"</row>"


FORMAT = Format(
    name="xlsx",
    labelled=True,
    extension="xlsx",
    content_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    sql=sql,
    python=python,
    encoder=XlsxEncoder,
    text=False,
    sheets=True,
    max_columns=MAX_COLUMNS,
    sheet_rows=MAX_ROWS - 1,
    cell_units=MAX_CELL_UNITS,
    options=frozenset({"choice_labels", "date_format", "decimal_separator", "locale", "timezone", "truncate_cells"}),
)
