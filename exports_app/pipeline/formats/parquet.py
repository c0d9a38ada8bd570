"""Parquet: PostgreSQL sends the text forms as CSV, Arrow turns them into typed columns and compresses them.

Types, by kind:

- text, choice, uuid, json: string (JSON compact)
- integer: int64; float: double, NaN and infinities included; boolean: bool
- decimal: decimal128(p, s) of the field; where only the scale is known, as of a sum, of 38 digits. Where nothing is
  known, past 38 digits, which readers do not have, and with ``decimal_strings``: string. A guess would round.
- date: date32; time: time64[us]; datetime: timestamp[us] of UTC, or of the zone asked for (the same instants)
- duration: decimal128(22, 6) seconds. Parquet has no duration: Arrow's own would be a bare integer of
  microseconds to DuckDB, Spark and Power Query. Seconds are what the other formats have.
- binary: binary
- array: list of one of these; arrays of arrays or of JSON, and those whose element is not known: string (JSON)

What a type cannot hold (NaN or too many digits in a decimal, times outside the years 1 to 9999) ends the export
with ``errors.FormatLimit``, which names the column: never a silent NULL.

Arrow is loaded with the first encoder: asking for the format's capabilities costs no memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from exports_app.pipeline import scarcity
from exports_app.pipeline.formats.csv import quoted
from exports_app.pipeline.formats.jsonforms import python_array, sql_array
from exports_app.pipeline.formats.text import python_cell, sql_text
from exports_app.pipeline.types import Encoder, Field, Format, Kind, Options, RowRenderer, SqlRows

DELIMITER = ","
ARROW_THREADS = 3
"""Arrow begins two when it is loaded and one for the first chunk, and ends the process where it cannot."""
OPAQUE_ELEMENTS = frozenset({None, Kind.ARRAY, Kind.JSON})
"""Elements of arrays that are no column type: the array stays JSON."""


def sql(fields: Sequence[Field], options: Options) -> SqlRows:
    """Cells as expressions; quoting, NULL and "" are COPY's."""
    return SqlRows(
        expressions=tuple(_sql_cell(field, f"c{n}", options) for n, field in enumerate(fields, 1)),
        copy_options=f"FORMAT csv, DELIMITER '{DELIMITER}'",
        delimiter=DELIMITER.encode(),
        joint=b"\n",
        end=b"\n",
    )


def is_list(field: Field) -> bool:
    """Whether the column becomes a list; other arrays are JSON in a string."""
    return field.kind is Kind.ARRAY and not field.nested and field.element not in OPAQUE_ELEMENTS


def _is_told(field: Field, options: Options) -> bool:
    """Whether a list's elements are texts that only their field can tell: labels, ranges."""
    return field.range_type is not None or (bool(field.choices) and options.choice_labels)


def _sql_cell(field: Field, column: str, options: Options) -> str:
    if is_list(field):
        if _is_told(field, options):
            return sql_array(field, column, options)  # whose elements are text
        forms = _ZONED_ELEMENTS if options.timezone else _SQL_ELEMENTS
        element = "{}" if field.naive else forms.get(field.element or Kind.TEXT, "{}")
        return f"array_to_json({element.format(column)}::text[])"
    if field.kind is Kind.DATETIME and field.naive:
        return f"{column}::timestamp"
    if field.kind is Kind.DATETIME and options.timezone:
        return _ZONED.format(column)
    form = _SQL_FORMS.get(field.kind)
    return form.format(column) if form else sql_text(field, column, _text_options(options))


def _text_options(options: Options) -> Options:
    """Of the text forms, only choices and ranges have more than one here."""
    return Options(choice_labels=options.choice_labels, timezone=options.timezone)


_SQL_FORMS: Mapping[Kind, str] = {
    # What PostgreSQL prints by itself costs least, and Arrow reads it as it is.
    Kind.DATETIME: "{}::timestamptz",
    Kind.BINARY: "{}",
}
_ZONED = "({}::timestamptz AT TIME ZONE 'UTC')::text || '+00'"
"""A moment in a session of any zone."""
_SQL_ELEMENTS: Mapping[Kind, str] = {
    Kind.DATETIME: "{}::timestamptz[]",
    Kind.DURATION: "CASE WHEN {0} IS NOT NULL THEN ARRAY(SELECT extract(epoch FROM e) FROM unnest({0}) AS e) END",
}
_ZONED_ELEMENTS: Mapping[Kind, str] = {
    **_SQL_ELEMENTS,
    Kind.DATETIME: f"CASE WHEN {{0}} IS NOT NULL THEN ARRAY(SELECT {_ZONED.format('e')} FROM unnest({{0}}) AS e) END",
}
"""Arrays before the cast to ``text[]``. Elements are text in JSON, so that NaN and long numbers survive it."""


def python(fields: Sequence[Field], options: Options) -> RowRenderer:
    """The same lines from Python's values."""
    cells = [_python_cell(field, options) for field in fields]

    def line(row: Sequence[Any]) -> str:
        texts = [cell(value) for value, cell in zip(row, cells, strict=True)]
        return DELIMITER.join([quoted(text, DELIMITER) for text in texts])

    return lambda rows: "".join([line(row) + "\n" for row in rows]).encode()


def _python_cell(field: Field, options: Options) -> Callable[[Any], str | None]:
    if is_list(field):
        listed = python_array(field, options) if _is_told(field, options) else _python_list(field, options)
        return lambda value: None if value is None else listed(value)
    if field.kind is Kind.DATETIME:  # the zone is in the column's type
        moment = python_cell(field, Options())
        return lambda value: None if value is None else _moment(str(moment(value)), value)
    cell = python_cell(field, _text_options(options))
    if field.kind is Kind.BINARY:
        return lambda value: None if value is None else f"\\x{bytes(value).hex()}"
    return cell


def _moment(text: str, value: Any) -> str:
    """As Arrow reads it: a blank, and an offset of whole hours."""
    return text.replace("T", " ").removesuffix("" if value.tzinfo is None else ":00")


def _python_list(field: Field, options: Options) -> Callable[[Any], str]:
    element = Field(name=field.name, label=field.label, kind=field.element or Kind.TEXT, naive=field.naive)
    form = _python_cell(element, options)

    def text(values: Sequence[Any]) -> str:
        return json.dumps([form(value) for value in values], ensure_ascii=False, separators=(",", ":"))

    return text


def encoder(fields: Sequence[Field], options: Options, state: Mapping[str, Any] | None) -> Encoder:
    """A new file. Raises ``ValueError`` for a ``state``: the footer speaks of all row groups, so none is resumed."""
    if state is not None:
        raise ValueError("a Parquet file cannot be continued: it starts over")
    scarcity.require_threads(ARROW_THREADS)
    from exports_app.pipeline.formats.arrow import ParquetEncoder

    return ParquetEncoder(fields, options)


FORMAT = Format(
    name="parquet",
    extension="parquet",
    content_type="application/vnd.apache.parquet",
    sql=sql,
    python=python,
    encoder=encoder,
    options=frozenset({"timezone", "choice_labels", "decimal_strings"}),
    text=False,
    resumable=False,
)
