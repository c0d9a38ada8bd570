"""Lines of COPY's text format to rows of sheet XML, a chunk at a time.

PostgreSQL could write the XML itself, but sheet XML is two and a half times the data: building, sending and reading
it costs both sides more than the one split and the one ``%`` per row here, which know nothing of types (the row's
forms choose the template). Escaping looks at the chunk as a whole and touches only lines that need it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from exports_app.pipeline import errors
from exports_app.pipeline.formats.labels import shown_kind
from exports_app.pipeline.formats.xlsx_cells import Form, forms_of
from exports_app.pipeline.formats.xlsx_parts import Style
from exports_app.pipeline.types import Field, Kind, Options

MAX_CELL_UNITS = 32_767
"""UTF-16 units that a cell may hold ("Excel specifications and limits")."""
BATCH_ROWS = 64
"""Rows made at once: a third quicker than one by one, and than thousands, whose cells no cache holds."""
MAX_TEMPLATES = 2_000
"""Templates kept: as many patterns of NULLs as rows may alternate between."""

TEXT_CELL = b'<c t="inlineStr"><is><t xml:space="preserve">%b</t></is></c>'
CONTROLS = bytes(code for code in range(0x20) if code not in b"\t\n")
"""Not characters of XML 1.0, or (CR) changed by its parsers; TAB and LF come as COPY's escapes."""
COPY_ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"&#10;", b"r": b"\r", b"t": b"&#9;", b"v": b"\v", b"\\": b"\\"}

_COPY_ESCAPE = re.compile(rb"\\(.)")
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b-\x1f]|\xef\xbf[\xbe\xbf]")
_LOOKS_ESCAPED = re.compile(rb"_(?=x[0-9A-Fa-f]{4}(?:_|[\x00-\x08\x0b-\x1f]|\xef\xbf[\xbe\xbf]))")
"""What Excel would take for an escape, also where the underscore behind it is only about to be written. Nothing else
may be escaped so, and neither may TAB and LF, while CR must be ([MS-OI29500] 2.1.1747)."""
_EXCEL_ESCAPE = re.compile("_x([0-9A-F]{4})_")

_STYLES = {
    (Kind.DATE, Form.VALUE): Style.DATE,
    (Kind.DATETIME, Form.VALUE): Style.DATETIME,
    (Kind.DATETIME, Form.FRACTION): Style.DATETIME_FRACTION,
    (Kind.TIME, Form.VALUE): Style.TIME,
    (Kind.TIME, Form.FRACTION): Style.TIME_FRACTION,
    (Kind.DURATION, Form.VALUE): Style.DURATION,
    (Kind.DURATION, Form.FRACTION): Style.DURATION_FRACTION,
}
_NUMBERS = frozenset({Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT})


class SheetRows:
    """Rows of one table. Raises ``errors.FormatLimit`` for a cell that is too long, or cuts it with
    ``truncate_cells``."""

    def __init__(self, fields: Sequence[Field], options: Options, styles: Mapping[Style, int]) -> None:
        self._fields = fields
        self._templates = _Templates([shown_kind(field, options) for field in fields], styles)
        self._truncate = options.truncate_cells
        self.truncated = 0
        """Cells cut so far."""

    def xml(self, lines: list[bytes], number: int) -> bytes:
        """The rows of ``lines`` (see ``lines_of``); ``number``: that of the first one in its sheet."""
        if max(map(len, lines)) > MAX_CELL_UNITS:
            lines = [self._limited(line, row) for row, line in enumerate(lines, number)]
        batches = range(0, len(lines), BATCH_ROWS)
        return b"".join([self._batch(lines[begin : begin + BATCH_ROWS], number + begin) for begin in batches])

    def _batch(self, lines: list[bytes], number: int) -> bytes:
        """One split and one ``%`` for all of them; the number of each row takes the place of its forms."""
        cells: list[Any] = b"\t".join(lines).split(b"\t")
        width, templates = len(self._fields) + 1, self._templates
        template = b"".join([templates[forms] for forms in cells[::width]])
        cells[::width] = range(number, number + len(lines))
        return template % tuple(cells)

    def _limited(self, line: bytes, number: int) -> bytes:
        """The line with every cell within Excel's limit. A cell is never longer than the bytes of its line."""
        if len(line) <= MAX_CELL_UNITS:
            return line
        forms, *cells = line.split(b"\t")
        for place, cell in enumerate(cells):
            if len(cell) > MAX_CELL_UNITS:
                cells[place] = self._limited_cell(cell, number, self._fields[place])
        return b"\t".join([forms, *cells])

    def _limited_cell(self, cell: bytes, number: int, field: Field) -> bytes:
        text = _unescaped(cell)
        units = len(text.encode("utf-16-le")) // 2
        if units <= MAX_CELL_UNITS:
            return cell
        if not self._truncate:
            raise errors.FormatLimit(
                f"Row {number:,} has {units:,} characters in “{field.label}”; a cell of an XLSX file holds "
                f"{MAX_CELL_UNITS:,}. Choose another format, or truncate_cells=true to have such cells cut."
            )
        self.truncated += 1
        # A surrogate pair that the cut falls into goes with it.
        return escaped(text.encode("utf-16-le")[: 2 * MAX_CELL_UNITS].decode("utf-16-le", "ignore"))


def lines_of(data: bytes) -> list[bytes]:
    """The lines of a chunk, their cells escaped for XML and without COPY's own escapes."""
    for plain, entity in ((b"&", b"&amp;"), (b"<", b"&lt;"), (b">", b"&gt;")):
        if plain in data:
            data = data.replace(plain, entity)
    lines = data.split(b"\n")
    if _may_look_escaped(data) or _has_forbidden(data):
        return [_forbidden_escaped(_copied(line)) for line in lines]
    if b"\\" in data:
        return [_forbidden_escaped(_copied(line)) if b"\\" in line else line for line in lines]
    return lines


# One byte is found ten times as fast as two, and often settles it.


def _may_look_escaped(data: bytes) -> bool:
    return b"_" in data and b"_x" in data


def _has_forbidden(data: bytes) -> bool:
    return len(data.translate(None, CONTROLS)) != len(data) or (
        b"\xef" in data and (b"\xef\xbf\xbe" in data or b"\xef\xbf\xbf" in data)
    )


def escaped(text: str) -> bytes:
    """Text as it stands in a cell's XML."""
    data = text.encode().replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")
    return _forbidden_escaped(data).replace(b"\n", b"&#10;").replace(b"\t", b"&#9;")


def _copied(line: bytes) -> bytes:
    """A line as it was before COPY escaped it, but for what would end the line or the cell."""
    line = line.replace(b"\\n", b"&#10;") if b"\\\\" not in line else line
    return _COPY_ESCAPE.sub(lambda match: COPY_ESCAPES[match[1]], line) if b"\\" in line else line


def _forbidden_escaped(data: bytes) -> bytes:
    """What XML cannot hold as Excel writes it, ``_xHHHH_`` (ECMA-376 22.9.2.19), and what only looks like that."""
    if _may_look_escaped(data):
        data = _LOOKS_ESCAPED.sub(b"_x005F_", data)
    if _has_forbidden(data):
        data = _FORBIDDEN.sub(lambda match: b"_x%04X_" % ord(match[0].decode()), data)
    return data


def _unescaped(cell: bytes) -> str:
    """The text of a cell again."""
    return _EXCEL_ESCAPE.sub(lambda match: chr(int(match[1], 16)), html.unescape(cell.decode()))


class _Templates(dict[bytes, bytes]):
    """A row's XML by the row's forms, made when they first occur."""

    def __init__(self, kinds: Sequence[Kind], styles: Mapping[Style, int]) -> None:
        super().__init__()
        self._cells = [[_cell(kind, form, styles) for form in Form] for kind in kinds]

    def __missing__(self, forms: bytes) -> bytes:
        if len(self) >= MAX_TEMPLATES:
            self.clear()
        each = zip(self._cells, forms_of(forms.decode(), len(self._cells)), strict=True)
        # Rows have their number, for xlsx2csv skips those without; cells are counted by all readers we know of.
        self[forms] = template = b'<row r="%d">' + b"".join([cells[form] for cells, form in each]) + b"</row>"
        return template


def _cell(kind: Kind, form: Form, styles: Mapping[Style, int]) -> bytes:
    if form is Form.NULL:
        return b"<c/>%.0b"  # holds the place; the empty cell is swallowed
    if form is Form.TEXT:
        return TEXT_CELL
    if kind is Kind.BOOLEAN:
        return b'<c t="b"><v>%b</v></c>'
    if kind in _NUMBERS:
        return b"<c><v>%b</v></c>"
    style = _STYLES.get((kind, form))
    return TEXT_CELL if style is None else b'<c s="%d"><v>%%b</v></c>' % styles[style]
