r"""What a value of each kind looks like in JSON, once in SQL and once in Python, next to each other.

The rows of ``json`` and ``ndjson`` are made of these, and arrays in every text format. Both sides escape strings
alike: quote, backslash, ``\b \f \n \r \t``, and other characters below U+0020 as ``\u00xx``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

from exports_app.pipeline.formats import ranges, scalars, zones
from exports_app.pipeline.formats.labels import (
    element_kind,
    null_label,
    python_label,
    python_stored,
    sql_label,
    sql_stored,
    stored_kind,
)
from exports_app.pipeline.types import Field, Kind, Options

MAX_DIMENSIONS = 6
"""Of PostgreSQL's arrays."""
json_string = encode_basestring
"""A text as a JSON string, characters as they are."""
DEEPEST = 7
"""Levels of nesting that the quick way below takes off, four blanks each: 16 + 8 + 4 blanks."""


def sql_json(field: Field, column: str, options: Options) -> str:
    """Expression that PostgreSQL prints as JSON; NULL stays NULL."""
    if field.kind is Kind.CHOICE and options.choice_labels:
        return f"to_json({sql_label(field, column, sql_stored(stored_kind(field), column, options))})"
    kind = stored_kind(field)
    if kind is Kind.TEXT and field.range_type:
        return f"to_json({ranges.sql_range(field.range_type, column, options)})"
    if kind is Kind.TEXT:
        return f"to_json({column}::text)" if field.guarded else f"to_json({scalars.sql_plain(column)})"
    if kind is Kind.ARRAY:
        return sql_array(field, column, options)
    if kind is Kind.DATETIME and field.naive:
        return f"to_json({column}::timestamp)"
    if kind is Kind.DATETIME and options.timezone:
        return f"""'"' || {zones.sql_iso(column, options.timezone)} || '"'"""
    if kind in scalars.NUMBERS:
        number = scalars.sql_number(kind, column, trimmed=field.trimmed)
        return _sql_quoted(number) if kind is Kind.DECIMAL and options.decimal_strings else f"to_json({number})"
    if kind is Kind.JSON and field.json_path:
        return f"CASE WHEN jsonb_typeof({column}::jsonb) <> 'null' THEN {sql_compact(column)} END"
    return _SQL_FORMS[kind](column)


def python_json(field: Field, options: Options) -> Callable[[Any], str]:
    """Function that gives the JSON of a value that is not None."""
    if field.kind is Kind.CHOICE and options.choice_labels:
        label = python_label(field, python_stored(stored_kind(field), options))
        return lambda value: json_string(label(value))
    kind = stored_kind(field)
    if kind is Kind.TEXT and field.range_type:
        shown = ranges.python_range(field.range_type, options)
        return lambda value: json_string(shown(value))
    if kind is Kind.ARRAY:
        return python_array(field, options)
    if kind is Kind.DATETIME:
        iso = zones.python_iso(options.timezone)
        return lambda value: f'"{iso(value)}"'
    if kind in scalars.NUMBERS:
        number = scalars.python_number(kind, trimmed=field.trimmed)
        if kind is Kind.DECIMAL and options.decimal_strings:
            return lambda value: f'"{number(value)}"'
        return lambda value: _number(number(value))
    return _PYTHON_FORMS[kind]


def python_member(field: Field, options: Options) -> Callable[[Any], str]:
    """``python_json`` of any value."""
    form, empty = python_json(field, options), null_label(field, options)
    null = "null" if empty is None else json_string(empty)
    return lambda value: null if value is None else form(value)


def sql_array(field: Field, column: str, options: Options) -> str:
    """An array as compact JSON, its elements as the kind has them in JSON.

    PostgreSQL prints most kinds so by itself; arrays of the others are taken apart, and put together again with the
    dimensions that they had.
    """
    element = element_kind(field, options)
    if element is Kind.DECIMAL and options.decimal_strings:
        return f"array_to_json({column}::text[])"
    if not (element in _MADE_OF_TEXT or field.range_type or _is_relabelled(field, options)) and not (
        element is Kind.DATETIME and options.timezone and not field.naive
    ):
        return f"array_to_json({column})"
    form = f"({sql_json(_element(field, options), 'e', options)})::text"
    flat = f"array_to_json(ARRAY(SELECT {form}::json FROM unnest({column}) AS u(e)))"
    nested = _sql_nested(column, form)
    return f"CASE WHEN array_ndims({column}) > 1 THEN {nested} WHEN {column} IS NOT NULL THEN {flat} END"


def _sql_nested(column: str, form: str) -> str:
    """The elements of an array of several dimensions in one text, with the brackets that begin and end between them."""
    lengths = [f"array_length({column}, {dimension})" for dimension in range(2, MAX_DIMENSIONS + 1)]
    begins = []
    for at, length in enumerate(lengths):
        size = " * ".join([length, *(f"coalesce({each}, 1)" for each in lengths[at + 1 :])])
        begins.append(f"coalesce(((n - 1) % ({size}) = 0)::int, 0)")
    between = f"CASE WHEN n > 1 THEN repeat(']', ({' + '.join(begins)})::int) || ',' ELSE '[' END"
    opened = f"repeat('[', ({' + '.join(begins)})::int)"
    return (
        f"(SELECT (string_agg({between} || {opened} || coalesce({form}, 'null'), '' ORDER BY n) || "
        f"repeat(']', array_ndims({column})))::json FROM unnest({column}) WITH ORDINALITY AS u(e, n))"
    )


def _is_relabelled(field: Field, options: Options) -> bool:
    return bool(field.choices) and options.choice_labels


def python_array(field: Field, options: Options) -> Callable[[Any], str]:
    """What ``sql_array`` gives, of lists of values and lists of lists."""
    unknown = element_kind(field, options) in (None, Kind.ARRAY)
    form = compact_json if unknown else python_json(_element(field, options), options)

    def text(value: Any) -> str:
        if value is None:
            return "null"
        if isinstance(value, list | tuple):
            return f"[{','.join([text(each) for each in value])}]"
        return form(value)

    return text


def sql_path_text(column: str) -> str:
    """What a path into JSON leads to: a string as its text, NULL for ``null``, else compact JSON."""
    return (
        f"CASE jsonb_typeof({column}::jsonb) WHEN 'object' THEN {sql_compact(column)} "
        f"WHEN 'array' THEN {sql_compact(column)} ELSE {column}::jsonb #>> '{{}}' END"
    )


def path_text(value: Any) -> str:
    """What ``sql_path_text`` gives, of a value that is not None."""
    return value if isinstance(value, str) else compact_json(value)


def sql_compact(column: str) -> str:
    """jsonb without the blanks it prints, those within strings untouched.

    A regular expression takes 27 µs for 130 characters; ``jsonb_pretty`` puts each value on a line of its own, and
    since strings hold no raw line ends, all that has to go can be told by plain ``replace``: indentations, line ends,
    and the blank behind a key's colon. The expression is for what only looks like a key (a quote, a colon and a blank
    within a string, or where one begins) and for deeper nesting.
    """
    lines = "p"
    for blanks in (16, 8, 4):
        lines = f"replace({lines}, E'\\n{' ' * blanks}', E'\\n')"
    quick = f"replace(replace({lines}, E'\\n', ''), '\": ', '\":')"
    deep = f"strpos(p, E'\\n{' ' * 4 * (DEEPEST + 1)}') > 0"
    exact = r"""regexp_replace(t::text, '("(?:[^"\\]|\\.)*")|([:,]) ', '\1\2', 'g')"""
    return (
        f"(SELECT CASE WHEN strpos(p, E'\\n') = 0 THEN p "
        rf"""WHEN strpos(p, '\": ') > 0 OR strpos(p, ' ": ') > 0 OR {deep} THEN {exact} """
        f"ELSE {quick} END FROM (SELECT {column}::jsonb AS t, jsonb_pretty({column}::jsonb) AS p OFFSET 0) AS j)"
    )


def compact_json(value: Any) -> str:
    """JSON on one line without blanks, characters as they are, numbers in full as jsonb prints them.

    NaN and infinities are strings. Raises ``TypeError`` for what is no JSON.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return scalars.boolean_text(value)
    if isinstance(value, str):
        return json_string(str(value))
    if isinstance(value, int):
        return scalars.integer_text(value)
    if isinstance(value, Mapping):
        return "{" + ",".join([f"{json_string(_key(key))}:{compact_json(each)}" for key, each in value.items()]) + "}"
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return f"[{','.join([compact_json(each) for each in value])}]"
    return _by_type(value)


def _key(key: Any) -> str:
    return key if isinstance(key, str) else compact_json(key)


def _by_type(value: Any) -> str:
    if isinstance(value, float):
        plain = Decimal(repr(value)) if math.isfinite(value) else Decimal(value)
        return _number(scalars.decimal_text(plain))
    if isinstance(value, Decimal):
        return _number(scalars.decimal_text(value))
    for kind_type, kind in _KINDS_OF_TYPES.items():
        if isinstance(value, kind_type):
            return python_json(Field(name="", label="", kind=kind), Options())(value)
    return json_string(str(value))


def _number(text: str) -> str:
    """NaN and infinities are no numbers in JSON."""
    return f'"{text}"' if text[-1] in "Ny" else text


def _element(field: Field, options: Options) -> Field:
    element = field.element or Kind.TEXT
    if _is_relabelled(field, options):
        return replace(field, kind=Kind.CHOICE)
    return replace(field, kind=element, element=None, choices=())


def _sql_quoted(column: str) -> str:
    return f"""'"' || {column} || '"'"""


_MADE_OF_TEXT = frozenset({Kind.DURATION, Kind.BINARY, Kind.JSON})
"""Kinds whose elements ``array_to_json`` prints in other forms than ours."""
_KINDS_OF_TYPES: dict[type, Kind] = {
    datetime: Kind.DATETIME,
    date: Kind.DATE,
    time: Kind.TIME,
    timedelta: Kind.DURATION,
    bytes: Kind.BINARY,
    bytearray: Kind.BINARY,
    memoryview: Kind.BINARY,
}
_SQL_FORMS: Mapping[Kind, Callable[[str], str]] = {
    Kind.INTEGER: lambda c: c,
    Kind.BOOLEAN: scalars.sql_boolean,
    Kind.DATE: lambda c: _sql_quoted(f"{c}::date"),
    Kind.DATETIME: lambda c: f"to_json({c}::timestamptz)",
    Kind.TIME: _sql_quoted,
    Kind.DURATION: lambda c: f"to_json({scalars.sql_seconds(c)})",
    Kind.UUID: lambda c: _sql_quoted(f"{c}::uuid"),
    Kind.JSON: sql_compact,
    Kind.BINARY: lambda c: _sql_quoted(scalars.sql_base64(c)),
}
_PYTHON_FORMS: Mapping[Kind, Callable[[Any], str]] = {
    Kind.TEXT: lambda value: json_string(str(value)),
    Kind.INTEGER: scalars.integer_text,
    Kind.BOOLEAN: scalars.boolean_text,
    Kind.DATE: lambda value: f'"{date.isoformat(value)}"',
    Kind.TIME: lambda value: f'"{scalars.time_text(value)}"',
    Kind.DURATION: scalars.seconds_text,
    Kind.UUID: lambda value: f'"{value}"',
    Kind.JSON: compact_json,
    Kind.BINARY: lambda value: f'"{scalars.base64_text(value)}"',
}
