"""The text form of each kind, once in SQL and once in Python: DESIGN §5 names the forms.

CSV uses them for every cell; XLSX and Parquet where they have no type of their own. Locale, timezone, date format
and decimal separator of the options are heeded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from exports_app.pipeline.formats import jsonforms, locale, scalars
from exports_app.pipeline.formats.labels import python_label, shown_kind, sql_label, stored_kind
from exports_app.pipeline.types import Field, Kind, Options

FORMULA_STARTS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
"""First characters that make a spreadsheet take text for a formula (OWASP, "CSV Injection"); the last four are the
full-width forms of the first four."""
_FORMULA_CODES = ", ".join(str(ord(character)) for character in FORMULA_STARTS)


def sql_text(field: Field, column: str, options: Options) -> str:
    """Expression that PostgreSQL prints as the text form of ``column``; NULL stays NULL."""
    if field.kind is Kind.CHOICE and options.choice_labels:
        return sql_label(field, column)
    kind = stored_kind(field)
    if kind is Kind.TEXT:
        return f"{column}::text" if field.guarded else scalars.sql_plain(column)
    if kind is Kind.ARRAY:
        return f"({jsonforms.sql_array(field, column, options)})::text"
    if kind is Kind.DATE:
        return locale.sql_date(column, options)
    if kind is Kind.DATETIME:
        return locale.sql_datetime(column, options, naive=field.naive)
    form = _SQL_FORMS.get(kind)
    text = form(column) if form else column
    return locale.sql_number(text, options) if kind in _WITH_DECIMALS else text


def python_text(field: Field, options: Options) -> Callable[[Any], str]:
    """Function that gives the text form of a value that is not None."""
    if field.kind is Kind.CHOICE and options.choice_labels:
        return python_label(field)
    kind = stored_kind(field)
    if kind is Kind.ARRAY:
        return jsonforms.python_array(field, options)
    if kind is Kind.DATE:
        return locale.python_date(options)
    if kind is Kind.DATETIME:
        return locale.python_datetime(options)
    form = _PYTHON_FORMS.get(kind, str)
    return locale.python_number(form, options) if kind in _WITH_DECIMALS else form


def is_guarded(field: Field, options: Options) -> bool:
    """Whether cells of this column are text that could be a formula."""
    return options.escape_formulas is not False and field.guarded and shown_kind(field, options) is Kind.TEXT


def sql_guard(expression: str) -> str:
    """``expression`` with ``'`` in front of what a spreadsheet would run."""
    return f"CASE WHEN ascii({expression}) IN ({_FORMULA_CODES}) THEN '''' || {expression} ELSE {expression} END"


def guard(text: str) -> str:
    """What ``sql_guard`` does, in Python."""
    return "'" + text if text and text[0] in FORMULA_STARTS else text


_WITH_DECIMALS = frozenset({Kind.FLOAT, Kind.DECIMAL, Kind.DURATION})
_SQL_FORMS: Mapping[Kind, Callable[[str], str]] = {
    Kind.BOOLEAN: scalars.sql_boolean,
    Kind.DURATION: scalars.sql_seconds,
    Kind.JSON: jsonforms.sql_compact,
    Kind.BINARY: scalars.sql_base64,
}
"""Other kinds are printed by their types as §5 has them."""
_PYTHON_FORMS: Mapping[Kind, Callable[[Any], str]] = {
    Kind.BOOLEAN: scalars.boolean_text,
    Kind.INTEGER: scalars.integer_text,
    Kind.FLOAT: scalars.float_text,
    Kind.DECIMAL: scalars.decimal_text,
    Kind.TIME: scalars.time_text,
    Kind.DURATION: scalars.seconds_text,
    Kind.JSON: jsonforms.compact_json,
    Kind.BINARY: scalars.base64_text,
}
