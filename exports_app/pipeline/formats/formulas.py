"""The formula guard: which text a spreadsheet would run, in SQL, in Python and in finished lines of CSV.

A formula's first character may stand behind what nobody sees. Spreadsheets differ in what they drop in front of a cell
(a byte order mark is taken for the file's own, importers trim blanks), so that nothing invisible hides a start here:
``HIDDEN`` are Unicode's White_Space and Default_Ignorable_Code_Point of the Basic Multilingual Plane, and controls.
"""

from __future__ import annotations

import re
from itertools import groupby

STARTS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
"""First characters that make a spreadsheet take text for a formula (OWASP, "CSV Injection"); the last four are the
full-width forms of the first four."""
HIDDEN_RANGES = (
    (0x0001, 0x0008), (0x000B, 0x000C), (0x000E, 0x0020), (0x007F, 0x00A0), (0x00AD, 0x00AD), (0x034F, 0x034F),
    (0x061C, 0x061C), (0x115F, 0x1160), (0x1680, 0x1680), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2000, 0x200F),
    (0x2028, 0x202F), (0x205F, 0x206F), (0x3000, 0x3000), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB),
)  # fmt: skip
HIDDEN = "".join(chr(code) for first, last in HIDDEN_RANGES for code in range(first, last + 1))
SEPARATORS = (b",", b";", b"\t")
"""What a spreadsheet may split a line at, whichever of them the file was written with: the list separators of the
world's locales, and a tab, at which LibreOffice splits as well."""

_FORMULA = re.compile(f"[{re.escape(HIDDEN)}]*[{re.escape(STARTS)}]")
_CANDIDATES = frozenset(b'=+-@"\xef')
"""First bytes of what ``_RUN`` matches."""
HOPS = 500
"""Separators looked at one by one: a hop from one to the next costs nothing where there are few, and a regular
expression, 0.5 ms for a MB, less where there are many."""
_RUN = b"".join([rb'"*(?:[=+\-@]|', "|".join(STARTS[-4:]).encode(), b")"])
"""What begins a formula behind a separator; quotes there are doubled ones of the cell's own."""
_REST_OF_QUOTED = re.compile(rb'(?:[^"]|"")*"?')


def _hexadecimal(characters: str) -> str:
    """A regular expression for one of these in the hexadecimal digits of UTF-8, its bytes told apart by place."""
    codes = sorted(character.encode().hex() for character in characters)
    groups = [(start, "|".join(code[-2:] for code in each)) for start, each in groupby(codes, lambda code: code[:-2])]
    return "(?:" + "|".join(f"{start}(?:{ends})" for start, ends in groups) + ")"


_START_CODES = ", ".join(str(ord(character)) for character in STARTS)
_CODES = ", ".join(str(ord(character)) for character in STARTS + HIDDEN)
_HIDDEN_FORMULA = f"^{_hexadecimal(HIDDEN)}+{_hexadecimal(STARTS)}"


def sql_guard(expression: str) -> str:
    """``expression`` with ``'`` in front of what a spreadsheet would run.

    One look at the first character settles nearly every text. What begins invisibly is looked at in hexadecimal: a
    database of another encoding than UTF-8 knows no literal of most of these characters.
    """
    hidden = f"encode(convert_to({expression}, 'UTF8'), 'hex') ~ '{_HIDDEN_FORMULA}'"
    first, marked = f"ascii({expression})", f"'''' || {expression}"
    return (
        f"CASE WHEN {first} IN ({_CODES}) THEN "
        f"CASE WHEN {first} IN ({_START_CODES}) OR {hidden} THEN {marked} ELSE {expression} END ELSE {expression} END"
    )


def guard(text: str) -> str:
    """What ``sql_guard`` does, in Python."""
    return "'" + text if is_formula(text) else text


def is_formula(text: str) -> bool:
    """Whether a spreadsheet may take it for a formula."""
    return bool(_FORMULA.match(text))


def count_split_formulas(data: bytes, delimiter: bytes) -> int:
    """Cells in lines of CSV that hold a formula for a spreadsheet which splits them at another separator.

    ``data`` begins and ends between lines. In nearly all data no separator is followed by a start; quotes are counted
    only up to what was found.
    """
    found = [each for each in SEPARATORS if each != delimiter and _begins_formula(each, data)]
    if not found:
        return 0
    split = re.compile(b"[" + b"".join(found) + b"]" + _RUN)
    rest_of_plain = re.compile(rb"[^\r\n" + re.escape(delimiter) + rb"]*")
    cells = end = 0
    while match := split.search(data, end):
        is_quoted = data.count(b'"', end, match.start()) % 2 == 1  # ``end`` is within no cell
        cells += 1
        rest = (_REST_OF_QUOTED if is_quoted else rest_of_plain).match(data, match.start())
        end = rest.end() if rest else match.end()
    return cells


def _begins_formula(separator: bytes, data: bytes) -> bool:
    """Whether a formula may begin behind a separator. A line's end is behind the last one, so there is a next byte."""
    at = -1
    for _ in range(HOPS):
        at = data.find(separator, at + 1)
        if at < 0:
            return False
        if data[at + 1] in _CANDIDATES:
            return True
    return bool(re.compile(re.escape(separator) + _RUN).search(data, at))
