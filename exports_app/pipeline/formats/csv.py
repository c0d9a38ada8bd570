"""CSV: PostgreSQL's own ``COPY … CSV`` writes the lines, Python adds header, line ends and footer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from exports_app.pipeline.formats.plain import PlainEncoder
from exports_app.pipeline.formats.text import guard, is_guarded, python_text, sql_guard, sql_text
from exports_app.pipeline.types import Field, Format, Options, RowRenderer, SqlRows

BOM = b"\xef\xbb\xbf"
DELIMITERS = (",", ";", "\t", "|")
"""One of these: none can stand within a key, which travels as the last field of each line."""
LINE_ENDINGS = {"lf": b"\n", "crlf": b"\r\n"}


def sql(fields: Sequence[Field], options: Options) -> SqlRows:
    """Cells as expressions; quoting, NULL and "" are COPY's."""
    ending = LINE_ENDINGS[options.line_ending]
    return SqlRows(
        expressions=tuple(_cell(field, f"c{n}", options) for n, field in enumerate(fields, 1)),
        copy_options=f"FORMAT csv, DELIMITER {_delimiter_literal(options.delimiter)}",
        delimiter=options.delimiter.encode(),
        joint=ending,
        end=ending,
    )


def _cell(field: Field, column: str, options: Options) -> str:
    expression = sql_text(field, column, options)
    return sql_guard(expression) if is_guarded(field, options) else expression


def _delimiter_literal(delimiter: str) -> str:
    return "E'\\t'" if delimiter == "\t" else f"'{delimiter}'"


def python(fields: Sequence[Field], options: Options) -> RowRenderer:
    """The same lines from Python's values."""
    cells = [(python_text(field, options), is_guarded(field, options)) for field in fields]
    delimiter, ending = options.delimiter, LINE_ENDINGS[options.line_ending].decode()

    def line(row: Sequence[Any]) -> str:
        texts = []
        for value, (form, guarded) in zip(row, cells, strict=True):
            text = None if value is None else form(value)
            texts.append(quoted(guard(text) if guarded and text else text, delimiter))
        return delimiter.join(texts)

    return lambda rows: "".join([line(row) + ending for row in rows]).encode()


def quoted(text: str | None, delimiter: str) -> str:
    """A cell as COPY writes it: NULL empty, "" quoted, else quoted only where needed."""
    if text is None:
        return ""
    if text and not any(character in text for character in (delimiter, '"', "\n", "\r")):
        return text
    return '"' + text.replace('"', '""') + '"'


class CsvEncoder(PlainEncoder):
    """Header, lines, footer."""

    def __init__(self, fields: Sequence[Field], options: Options, state: Mapping[str, Any] | None) -> None:
        self._fields, self._options = fields, options
        self._ending = LINE_ENDINGS[options.line_ending]

    def start(self) -> bytes:
        options = self._options
        first = BOM if options.bom else b""
        if not options.header:
            return first
        labels = [field.label for field in self._fields]
        if options.escape_formulas is not False:
            labels = [guard(label) for label in labels]
        return (
            first + options.delimiter.join(quoted(label, options.delimiter) for label in labels).encode() + self._ending
        )

    def finish(self, rows: int) -> bytes:
        return f"# streamed_rows={rows}".encode() + self._ending if self._options.row_count_footer else b""


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
