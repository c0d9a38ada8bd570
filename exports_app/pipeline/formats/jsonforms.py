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

from exports_app.pipeline.formats import scalars, zones
from exports_app.pipeline.formats.labels import python_label, sql_label, stored_kind
from exports_app.pipeline.types import Field, Kind, Options

json_string = encode_basestring
"""A text as a JSON string, characters as they are."""
DEEPEST = 7
"""Levels of nesting that the quick way below takes off, four blanks each: 16 + 8 + 4 blanks."""


def sql_json(field: Field, column: str, options: Options) -> str:
    """Expression that PostgreSQL prints as JSON; NULL stays NULL."""
    if field.kind is Kind.CHOICE and options.choice_labels:
        return f"to_json({sql_label(field, column)})"
    kind = stored_kind(field)
    if kind is Kind.TEXT:
        return f"to_json({column}::text)" if field.guarded else f"to_json({scalars.sql_plain(column)})"
    if kind is Kind.ARRAY:
        return sql_array(field, column, options)
    if kind is Kind.DATETIME and field.naive:
        return f"to_json({column}::timestamp)"
    if kind is Kind.DATETIME and options.timezone:
        return f"""'"' || {zones.sql_iso(column, options.timezone)} || '"'"""
    if kind is Kind.DECIMAL and options.decimal_strings:
        return _sql_quoted(column)
    return _SQL_FORMS[kind](column)


def python_json(field: Field, options: Options) -> Callable[[Any], str]:
    """Function that gives the JSON of a value that is not None."""
    if field.kind is Kind.CHOICE and options.choice_labels:
        label = python_label(field)
        return lambda value: json_string(label(value))
    kind = stored_kind(field)
    if kind is Kind.ARRAY:
        return python_array(field, options)
    if kind is Kind.DATETIME:
        iso = zones.python_iso(options.timezone)
        return lambda value: f'"{iso(value)}"'
    if kind is Kind.DECIMAL and options.decimal_strings:
        return lambda value: f'"{scalars.decimal_text(value)}"'
    return _PYTHON_FORMS[kind]


def sql_array(field: Field, column: str, options: Options) -> str:
    """An array as compact JSON, its elements as the kind has them in JSON.

    PostgreSQL prints most kinds so by itself; of the others arrays are taken apart, which only arrays of one
    dimension survive.
    """
    element = field.element
    if element is Kind.DECIMAL and options.decimal_strings:
        return f"array_to_json({column}::text[])"
    if element in _MADE_OF_TEXT or (element is Kind.DATETIME and options.timezone and not field.naive):
        form = sql_json(_element(field), "e", options)
        each = f"ARRAY(SELECT ({form})::text::json FROM unnest({column}) AS u(e))"
        return f"CASE WHEN {column} IS NOT NULL THEN array_to_json({each}) END"
    return f"array_to_json({column})"


def python_array(field: Field, options: Options) -> Callable[[Any], str]:
    """What ``sql_array`` gives, of lists of values and lists of lists."""
    form = python_json(_element(field), options) if field.element not in (None, Kind.ARRAY) else compact_json

    def text(value: Any) -> str:
        if value is None:
            return "null"
        if isinstance(value, list | tuple):
            return f"[{','.join([text(each) for each in value])}]"
        return form(value)

    return text


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


def _element(field: Field) -> Field:
    return replace(field, kind=field.element or Kind.TEXT, element=None)


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
    Kind.FLOAT: lambda c: f"to_json({c})",
    Kind.DECIMAL: lambda c: f"to_json({c})",
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
    Kind.FLOAT: lambda value: _number(scalars.float_text(value)),
    Kind.DECIMAL: lambda value: _number(scalars.decimal_text(value)),
    Kind.BOOLEAN: scalars.boolean_text,
    Kind.DATE: lambda value: f'"{date.isoformat(value)}"',
    Kind.TIME: lambda value: f'"{scalars.time_text(value)}"',
    Kind.DURATION: scalars.seconds_text,
    Kind.UUID: lambda value: f'"{value}"',
    Kind.JSON: compact_json,
    Kind.BINARY: lambda value: f'"{scalars.base64_text(value)}"',
}
