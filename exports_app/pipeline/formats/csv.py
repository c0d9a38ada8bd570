"""CSV: PostgreSQL's own ``COPY … CSV`` writes the lines, Python adds header, line ends and footer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from exports_app.pipeline.formats.formulas import count_split_formulas, guard
from exports_app.pipeline.formats.plain import PlainEncoder
from exports_app.pipeline.formats.text import python_guarded, sql_guarded
from exports_app.pipeline.types import Chunk, Field, Format, Options, RowRenderer, SqlRows

BOM = b"\xef\xbb\xbf"
DELIMITERS = (",", ";", "\t", "|")
"""One of these: none can stand within a key, which travels as the last field of each line."""
DELIMITER_NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
LINE_ENDINGS = {"lf": b"\n", "crlf": b"\r\n"}
MOST_COUNTED = 10_000
"""Cells that the guard cannot protect are counted up to here; that there are more says nothing new."""
SKIPPED_STARTS = (b" ", b"\t", b"\\.")
_SKIPPED = re.compile(rb'"(?:[^"]|"")*"\r?\n|([ \t]+|\\\.)(\r?\n)|[^\n]*\n')
"""Lines of a file of one column: quoted, to be quoted, other."""


def sql(fields: Sequence[Field], options: Options) -> SqlRows:
    """Cells as expressions; quoting, NULL and "" are COPY's."""
    ending = LINE_ENDINGS[options.line_ending]
    cells = [sql_guarded(field, f"c{n}", options) for n, field in enumerate(fields, 1)]
    if len(cells) == 1:
        cells = [f"coalesce(({cells[0]})::text, '')"]
    return SqlRows(
        expressions=tuple(cells),
        copy_options=f"FORMAT csv, DELIMITER {_delimiter_literal(options.delimiter)}",
        delimiter=options.delimiter.encode(),
        joint=ending,
        end=ending,
    )


def _delimiter_literal(delimiter: str) -> str:
    return "E'\\t'" if delimiter == "\t" else f"'{delimiter}'"


def python(fields: Sequence[Field], options: Options) -> RowRenderer:
    """The same lines from Python's values."""
    cells = [python_guarded(field, options) for field in fields]
    delimiter, ending = options.delimiter, LINE_ENDINGS[options.line_ending].decode()
    empty = "" if len(cells) == 1 else None

    def line(row: Sequence[Any]) -> str:
        texts = [empty if (text := cell(value)) is None else text for value, cell in zip(row, cells, strict=True)]
        return delimiter.join([quoted(text, delimiter) for text in texts])

    return lambda rows: "".join([line(row) + ending for row in rows]).encode()


def quoted(text: str | None, delimiter: str) -> str:
    """A cell as COPY writes it: NULL empty, "" quoted, else quoted only where needed."""
    if text is None:
        return ""
    if text and not any(character in text for character in (delimiter, '"', "\n", "\r")):
        return text
    return '"' + text.replace('"', '""') + '"'


class CsvEncoder(PlainEncoder):
    """Header, lines, footer, and the marks that only a whole file needs.

    - Excel takes a file that begins with ``ID`` for one of another kind (SYLK): that cell is quoted, also behind a byte
      order mark, which not every program looks past.
    - In a file of one column lines of blanks, which pandas skips, and ``\\.``, at which ``COPY FROM`` ends before
      PostgreSQL 18, are quoted. NULL is ``""`` there already.

    Counts the text that a guard cannot reach: where a reader splits lines at another delimiter than ours, a prefix of
    the cell stands before the wrong piece.
    """

    def __init__(self, fields: Sequence[Field], options: Options, state: Mapping[str, Any] | None) -> None:
        self._fields, self._options = fields, options
        self._ending = LINE_ENDINGS[options.line_ending]
        self._begun = state is not None
        self._split: int = (state or {}).get("split_formulas", 0)

    def start(self) -> bytes:
        options = self._options
        first = BOM if options.bom else b""
        if not options.header:
            return first
        labels = [field.label for field in self._fields]
        if options.escape_formulas is not False:
            labels = [guard(label) for label in labels]
        line = options.delimiter.join(quoted(label, options.delimiter) for label in labels).encode() + self._ending
        return first + self._marked(line)

    def write(self, chunk: Chunk) -> bytes:
        return self._marked(chunk.data)

    def finish(self, rows: int) -> bytes:
        return f"# streamed_rows={rows}".encode() + self._ending if self._options.row_count_footer else b""

    def state(self) -> dict[str, Any]:
        return {"split_formulas": self._split} if self._split else {}

    def warnings(self) -> list[str]:
        """What the formula guard could not do."""
        if not self._split:
            return []
        cells = "1 cell has" if self._split == 1 else f"{self._split:,} cells have"
        if self._split >= MOST_COUNTED:
            cells = f"{MOST_COUNTED:,} cells or more have"
        return [
            f"{cells} text that a spreadsheet set to another delimiter than {DELIMITER_NAMES[self._options.delimiter]} "
            "would split and run as a formula; no prefix can prevent that. xlsx is safe from it."
        ]

    def _marked(self, lines: bytes) -> bytes:
        """Whole lines as they shall stand in the file."""
        if not lines:
            return lines
        if self._options.escape_formulas is not False and self._split < MOST_COUNTED:
            self._split += count_split_formulas(lines, self._options.delimiter.encode())
        if len(self._fields) == 1 and any(start in lines for start in SKIPPED_STARTS):
            lines = _SKIPPED.sub(_quote_skipped, lines)
        if not self._begun and lines.startswith(b"ID"):
            end = min(at for each in (self._options.delimiter.encode(), self._ending) if (at := lines.find(each)) >= 0)
            lines = b'"' + lines[:end] + b'"' + lines[end:]
        self._begun = True
        return lines


def _quote_skipped(match: re.Match[bytes]) -> bytes:
    return b'"' + match[1] + b'"' + match[2] if match[1] is not None else match[0]


FORMAT = Format(
    name="csv",
    extension="csv",
    content_type="text/csv; charset=utf-8",
    sql=sql,
    python=python,
    encoder=CsvEncoder,
    labelled=True,
    guards_formulas=True,
    options=frozenset(
        {
            "delimiter",
            "bom",
            "header",
            "line_ending",
            "row_count_footer",
            "escape_formulas",
            "choice_labels",
            "locale",
            "timezone",
            "date_format",
            "decimal_separator",
        }
    ),
)
