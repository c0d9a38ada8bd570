"""Lines of COPY's text format to rows of sheet XML, a chunk at a time.

PostgreSQL could write the XML itself, but sheet XML is two and a half times the data: building, sending and reading
it costs both sides more than the one split and the one ``%`` per batch here, which know nothing of types (a row's
forms choose its template). Escaping is a few passes over the chunk as a whole, and most of them find nothing.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence

from openpyxl.utils import get_column_letter

from exports_app.pipeline import errors
from exports_app.pipeline.formats.labels import shown_kind
from exports_app.pipeline.formats.xlsx_cells import Form, forms_of, with_form
from exports_app.pipeline.formats.xlsx_parts import Style
from exports_app.pipeline.types import Field, Kind, Options

MAX_CELL_UNITS = 32_767
"""UTF-16 units that a cell may hold ("Excel specifications and limits")."""
BATCH_ROWS = 64
"""Rows made at once: a third quicker than one by one, and than thousands, whose cells no cache holds."""
MAX_TEMPLATES = 2_000
"""Templates kept: as many patterns of NULLs as rows may alternate between."""

TEXT_CELL = b'<c r="%b"%b t="str"><v xml:space="preserve">%b</v></c>'
"""Reference, style and text. A formula's result without the formula: all readers know it, pylightxl knows no other."""
INLINE_CELL = b'<c r="%b"%b t="inlineStr"><is><t xml:space="preserve">%b</t></is></c>'
"""For text that some read right in here alone: LibreOffice and polars undo ``_xHHHH_`` nowhere else, and exceljs
takes ``&lt;`` in a result for ``<``."""
INLINED = re.compile(rb"_x[0-9A-F]{4}_|&amp;(?:amp|lt|gt|quot|apos);")
"""What such text has in XML."""
ROW = b"\x01"
"""Stands in templates for the number of the row, which every cell's reference has: most readers ask for it."""
ENTITIES = {b"&": b"&amp;", b"<": b"&lt;", b">": b"&gt;"}
CONTROLS = bytes(code for code in range(0x20) if code not in b"\t\n")
"""Not characters of XML 1.0, or (CR) changed by its parsers; TAB and LF come as COPY's escapes."""
COPY_ESCAPES = dict(zip(b"bfnrtv", (b"\b", b"\f", b"&#10;", b"\r", b"&#9;", b"\v"), strict=True))
"""What stands for what behind a backslash, but for the backslash itself."""
NONCHARACTERS = {"\ufffe".encode(): b"_xFFFE_", "\uffff".encode(): b"_xFFFF_"}

_NO_CONTROLS = bytes(code for code in range(0x100) if code not in CONTROLS)
_LOOKS_ESCAPED = re.compile(rb"_(?=x[0-9A-Fa-f]{4}(?:_|[\x00-\x08\x0b-\x1f]|\xef\xbf[\xbe\xbf]))")
"""What Excel would take for an escape, also where the underscore behind it is only about to be written. Nothing else
may be escaped so, and neither may TAB and LF, while CR must be ([MS-OI29500] 2.1.1747)."""
_EXCEL_ESCAPE = re.compile("_x([0-9A-F]{4})_")

_STYLES = {
    (Kind.INTEGER, Form.DETAILED): Style.LONG,
    (Kind.DECIMAL, Form.DETAILED): Style.LONG_DECIMAL,
    (Kind.FLOAT, Form.DETAILED): Style.LONG,
    (Kind.DATE, Form.VALUE): Style.DATE,
    (Kind.DATETIME, Form.VALUE): Style.DATETIME,
    (Kind.DATETIME, Form.DETAILED): Style.DATETIME_FRACTION,
    (Kind.TIME, Form.VALUE): Style.TIME,
    (Kind.TIME, Form.DETAILED): Style.TIME_FRACTION,
    (Kind.DURATION, Form.VALUE): Style.DURATION,
    (Kind.DURATION, Form.DETAILED): Style.DURATION_FRACTION,
}
_NUMBERS = frozenset({Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT})


class SheetRows:
    """Rows of one table. Raises ``errors.FormatLimit`` for a cell that is too long, or cuts it with
    ``truncate_cells``."""

    def __init__(self, fields: Sequence[Field], options: Options, styles: Mapping[Style, int]) -> None:
        self._fields = fields
        self._templates = _Templates([_kind(field, options) for field in fields], styles)
        self._truncate = options.truncate_cells
        self.truncated = 0
        """Cells cut so far."""

    def lines(self, data: bytes) -> list[bytes]:
        """The lines of a chunk, their cells escaped for XML and without COPY's own escapes."""
        data = _copied(_with_entities(data))
        safe = _forbidden_escaped(data)
        lines = safe.split(b"\n")
        if safe is not data or (b"&amp;" in data and INLINED.search(data)):
            return [_inlined(line) for line in lines]
        return lines

    def xml(self, lines: list[bytes], number: int) -> bytes:
        """The rows of ``lines``; ``number``: that of the first one in its sheet."""
        if max(map(len, lines)) > MAX_CELL_UNITS:
            lines = [self._limited(line, row) for row, line in enumerate(lines, number)]
        batches = range(0, len(lines), BATCH_ROWS)
        return b"".join([self._batch(lines[begin : begin + BATCH_ROWS], number + begin) for begin in batches])

    def _batch(self, lines: list[bytes], number: int) -> bytes:
        """One split and one ``%`` for all of them, and one ``replace`` for the references of each row."""
        cells = b"\t".join(lines).split(b"\t")
        width, templates = len(self._fields) + 1, self._templates
        rows = enumerate(cells[::width], number)
        template = b"".join([templates[forms].replace(ROW, b"%d" % row) for row, forms in rows])
        del cells[::width]
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


def escaped(text: str) -> bytes:
    """Text as it stands in a cell's XML."""
    return _forbidden_escaped(_with_entities(text.encode())).replace(b"\n", b"&#10;").replace(b"\t", b"&#9;")


def text_cell(place: bytes, style: int, text: str) -> bytes:
    """The whole cell."""
    xml = escaped(text)
    return (INLINE_CELL if INLINED.search(xml) else TEXT_CELL) % (place, b' s="%d"' % style, xml)


def _with_entities(data: bytes) -> bytes:
    for plain, entity in ENTITIES.items():
        if plain in data:
            data = data.replace(plain, entity)
    return data


def _inlined(line: bytes) -> bytes:
    """The line with the form of text that stands in line wherever it must."""
    places = {line.count(b"\t", 0, found.start()) - 1 for found in INLINED.finditer(line)}
    if not places:
        return line
    forms, cells = line.split(b"\t", 1)
    return b"%b\t%b" % (with_form(forms.decode(), places, Form.DETAILED).encode(), cells)


def _copied(data: bytes) -> bytes:
    """Lines as they were before COPY escaped them, but for what would end a line or a cell."""
    first, *others = data.split(b"\\")  # one byte is found many times as fast as the two of an escape
    pieces, behind = [first], iter(others)
    for piece in behind:
        # Nothing between two backslashes: they stand for one, and what follows is as it is.
        pieces += (COPY_ESCAPES[piece[0]], piece[1:]) if piece else (b"\\", next(behind))
    return b"".join(pieces)


def _forbidden_escaped(data: bytes) -> bytes:
    """What XML cannot hold as Excel writes it, ``_xHHHH_`` (ECMA-376 22.9.2.19), and what only looks like that."""
    if b"_" in data and b"_x" in data:
        data = _LOOKS_ESCAPED.sub(b"_x005F_", data)
    for code in set(data.translate(None, _NO_CONTROLS)):
        data = data.replace(bytes([code]), b"_x%04X_" % code)
    if b"\xef" in data:
        for character, escape in NONCHARACTERS.items():
            data = data.replace(character, escape)
    return data


def _unescaped(cell: bytes) -> str:
    """The text of a cell again."""
    return _EXCEL_ESCAPE.sub(lambda match: chr(int(match[1], 16)), html.unescape(cell.decode()))


class _Templates(dict[bytes, bytes]):
    """A row's XML by the row's forms, made when they first occur."""

    def __init__(self, kinds: Sequence[Kind], styles: Mapping[Style, int]) -> None:
        super().__init__()
        places = [get_column_letter(number).encode() + ROW for number in range(1, len(kinds) + 1)]
        cells = zip(places, kinds, strict=True)
        self._cells = [[_cell(place, kind, form, styles) for form in Form] for place, kind in cells]
        # An empty cell needs no XML, but the last one of a row: some readers take from it how many columns there are.
        self._cells[-1][Form.NULL] = b'<c r="%b"/>%%.0b' % places[-1]

    def __missing__(self, forms: bytes) -> bytes:
        if len(self) >= MAX_TEMPLATES:
            self.clear()
        each = zip(self._cells, forms_of(forms.decode(), len(self._cells)), strict=True)
        self[forms] = template = b'<row r="%b">%b</row>' % (ROW, b"".join([cells[form] for cells, form in each]))
        return template


def _kind(field: Field, options: Options) -> Kind:
    """Decimals without places look like the whole numbers that they are."""
    kind = shown_kind(field, options)
    return Kind.INTEGER if kind is Kind.DECIMAL and field.decimal_places == 0 else kind


def _cell(place: bytes, kind: Kind, form: Form, styles: Mapping[Style, int]) -> bytes:
    if form is Form.NULL:
        return b"%.0b"  # swallows the empty value
    style = _STYLES.get((kind, form))
    if style is not None:  # of a number
        return b'<c r="%b" s="%d"><v>%%b</v></c>' % (place, styles[style])
    if kind is Kind.BOOLEAN and form is Form.VALUE:
        return b'<c r="%b" t="b"><v>%%b</v></c>' % place
    if kind in _NUMBERS and form is Form.VALUE:
        return b'<c r="%b"><v>%%b</v></c>' % place
    return (INLINE_CELL if form is Form.DETAILED else TEXT_CELL) % (place, b"", b"%b")
