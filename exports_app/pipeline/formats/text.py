"""The text form of each kind, once in SQL and once in Python: DESIGN §5 names the forms.

CSV uses them for every cell; XLSX and Parquet where they have no type of their own. Locale, timezone, date format
and decimal separator of the options are heeded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from exports_app.pipeline.formats import jsonforms, locale, ranges, scalars
from exports_app.pipeline.formats.formulas import guard, sql_guard
from exports_app.pipeline.formats.labels import null_label, python_label, shown_kind, sql_label, stored_kind
from exports_app.pipeline.types import Field, Kind, Options


def sql_text(field: Field, column: str, options: Options) -> str:
    """Expression that PostgreSQL prints as the text form of ``column``; NULL stays NULL, but for a label of its own."""
    if field.kind is Kind.CHOICE and options.choice_labels:
        return sql_label(field, column, f"({sql_text(_stored(field), column, options)})::text")
    kind = stored_kind(field)
    if field.range_type and kind is Kind.TEXT:
        return ranges.sql_range(field.range_type, column, options)
    if kind is Kind.TEXT:
        return f"{column}::text" if field.guarded else scalars.sql_plain(column)
    if kind is Kind.ARRAY:
        return f"({jsonforms.sql_array(field, column, options)})::text"
    if kind is Kind.JSON and field.json_path:
        return jsonforms.sql_path_text(column)
    if kind is Kind.DATE:
        return locale.sql_date(column, options)
    if kind is Kind.DATETIME:
        return locale.sql_datetime(column, options, naive=field.naive)
    if kind in scalars.NUMBERS:
        return locale.sql_number(scalars.sql_number(kind, column, trimmed=field.trimmed), options)
    form = _SQL_FORMS.get(kind)
    text = form(column) if form else column
    return locale.sql_number(text, options) if kind is Kind.DURATION else text


def python_text(field: Field, options: Options) -> Callable[[Any], str]:
    """Function that gives the text form of a value that is not None."""
    if field.kind is Kind.CHOICE and options.choice_labels:
        return python_label(field, python_text(_stored(field), options))
    kind = stored_kind(field)
    if field.range_type and kind is Kind.TEXT:
        return ranges.python_range(field.range_type, options)
    if kind is Kind.ARRAY:
        return jsonforms.python_array(field, options)
    if kind is Kind.JSON and field.json_path:
        return jsonforms.path_text
    if kind is Kind.DATE:
        return locale.python_date(options)
    if kind is Kind.DATETIME:
        return locale.python_datetime(options)
    if kind in scalars.NUMBERS:
        return locale.python_number(scalars.python_number(kind, trimmed=field.trimmed), options)
    form = _PYTHON_FORMS.get(kind, str)
    return locale.python_number(form, options) if kind is Kind.DURATION else form


def sql_is_null(field: Field, column: str, options: Options) -> str:
    """Condition under which the text form is NULL."""
    if null_label(field, options) is not None:
        return "false"
    if field.json_path and stored_kind(field) is Kind.JSON:
        return f"({column} IS NULL OR jsonb_typeof({column}::jsonb) = 'null')"
    return f"{column} IS NULL"


def python_cell(field: Field, options: Options) -> Callable[[Any], str | None]:
    """What ``python_text`` gives, of any value: None where the text form is NULL."""
    form, empty = python_text(field, options), null_label(field, options)
    is_path = field.json_path and stored_kind(field) is Kind.JSON
    return lambda value: (None if is_path else empty) if value is None else form(value)


def is_guarded(field: Field, options: Options) -> bool:
    """Whether cells of this column are text that could be a formula."""
    return options.escape_formulas is not False and field.guarded and shown_kind(field, options) is Kind.TEXT


def sql_guarded(field: Field, column: str, options: Options) -> str:
    """``sql_text`` behind the formula guard."""
    if _has_labelled_numbers(field, options):
        return sql_text(_with_guarded_labels(field, options), column, options)
    text = sql_text(field, column, options)
    if is_guarded(field, options):
        return sql_guard(text)
    if field.json_path and options.escape_formulas is not False:
        return f"CASE WHEN jsonb_typeof({column}::jsonb) = 'string' THEN {sql_guard(text)} ELSE {text} END"
    return text


def python_guarded(field: Field, options: Options) -> Callable[[Any], str | None]:
    """What ``sql_guarded`` gives, of any value."""
    if _has_labelled_numbers(field, options):
        return python_cell(_with_guarded_labels(field, options), options)
    cell, guarded = python_cell(field, options), is_guarded(field, options)
    strings = field.json_path and options.escape_formulas is not False

    def text(value: Any) -> str | None:
        shown = cell(value)
        return guard(shown) if shown and (guarded or (strings and isinstance(value, str))) else shown

    return text


def _has_labelled_numbers(field: Field, options: Options) -> bool:
    """Whether a cell is a label, or a value that is no text, such as a negative number."""
    return field.kind is Kind.CHOICE and options.choice_labels and stored_kind(field) is not Kind.TEXT


def _with_guarded_labels(field: Field, options: Options) -> Field:
    if not is_guarded(field, options):
        return field
    labels = tuple((key, guard(label)) for key, label in field.choices)
    return replace(field, choices=labels, null_label=None if field.null_label is None else guard(field.null_label))


def _stored(field: Field) -> Field:
    """The field of a choice's stored value."""
    return replace(field, kind=stored_kind(field), element=None, choices=(), null_label=None)


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
    Kind.TIME: scalars.time_text,
    Kind.DURATION: scalars.seconds_text,
    Kind.JSON: jsonforms.compact_json,
    Kind.BINARY: scalars.base64_text,
}
