"""The text form of each kind, once in SQL and once in Python, next to each other.

CSV uses them for every cell; JSON and XLSX where they have no type of their own. DESIGN §5 names the forms.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from exports_app.pipeline.types import Field, Kind, Options

FORMULA_STARTS = "=+-@\t\r\n＝＋－＠"
"""First characters that make a spreadsheet take text for a formula (OWASP, "CSV Injection")."""
_FORMULA_CODES = ", ".join(str(ord(character)) for character in FORMULA_STARTS)

COMPACT_JSON = r"""'("(?:[^"\\]|\\.)*")|([:,]) ', '\1\2', 'g'"""
"""jsonb prints a blank behind each colon and comma; strings are matched whole so that theirs stay."""


def sql_text(field: Field, column: str, options: Options) -> str:
    """SQL expression that gives the text form of ``column``."""
    form = _SQL_FORMS.get(field.kind)
    if field.kind is Kind.CHOICE:
        return _sql_choice(field, column) if options.choice_labels else column
    return form(column) if form else column


def sql_guard(expression: str) -> str:
    """``expression`` with ``'`` in front of what a spreadsheet would run."""
    return f"CASE WHEN ascii({expression}) IN ({_FORMULA_CODES}) THEN '''' || {expression} ELSE {expression} END"


def guard(text: str) -> str:
    """What ``sql_guard`` does, in Python."""
    return "'" + text if text[:1] in FORMULA_STARTS and text else text


def is_guarded(field: Field, *, on: bool) -> bool:
    """Whether cells of this column are text that could be a formula."""
    return on and field.guarded and field.kind in (Kind.TEXT, Kind.CHOICE)


def python_text(field: Field, options: Options) -> Callable[[Any], str]:
    """Function that gives the text form of a value that is not None."""
    if field.kind is Kind.CHOICE and options.choice_labels:
        labels = dict(field.choices)
        return lambda value: labels.get(str(value), str(value))
    return _PYTHON_FORMS.get(field.kind, str)


def _sql_choice(field: Field, column: str) -> str:
    if not field.choices:
        return column
    cases = " ".join(f"WHEN {quote(value)} THEN {quote(label)}" for value, label in field.choices)
    return f"CASE {column}::text {cases} ELSE {column}::text END"


def quote(value: str) -> str:
    """A text as an SQL literal."""
    doubled = value.replace("'", "''")
    return "E'" + doubled.replace("\\", "\\\\") + "'" if "\\" in value else f"'{doubled}'"


def _datetime(value: datetime) -> str:
    at = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    fraction = f".{at.microsecond:06d}".rstrip("0") if at.microsecond else ""
    return f"{at:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + fraction + "+00:00"


def _time(value: time) -> str:
    fraction = f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""
    return f"{value:%H:%M:%S}{fraction}"


def _seconds(value: timedelta) -> str:
    micros = (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    whole, fraction = divmod(micros, 1_000_000)
    return f"{sign}{whole}" + (f".{fraction:06d}".rstrip("0") if fraction else "")


def float_text(value: float) -> str:
    """A float as PostgreSQL prints it: shortest digits, plain between 1e-4 and 1e15, NaN and Infinity by name."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    digits = repr(value)
    exponent = Decimal(digits).adjusted()
    if value and not -5 < exponent < 15:
        mantissa, _, _ = f"{Decimal(digits).normalize():e}".partition("e")
        return f"{mantissa}e{exponent:+03d}"
    plain = f"{Decimal(digits):f}"
    return plain.removesuffix(".0")


def compact_json(value: Any) -> str:
    """JSON on one line without blanks, characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


_SQL_FORMS: Mapping[Kind, Callable[[str], str]] = {
    Kind.BOOLEAN: lambda c: f"{c}::boolean::text",
    Kind.DATETIME: lambda c: f"replace({c}::timestamptz::text, ' ', 'T') || ':00'",
    Kind.DURATION: lambda c: f"trim_scale(extract(epoch FROM {c})::numeric)",
    Kind.JSON: lambda c: f"regexp_replace({c}::jsonb::text, {COMPACT_JSON})",
    Kind.ARRAY: lambda c: f"array_to_json({c})::text",
    Kind.BINARY: lambda c: f"translate(encode({c}, 'base64'), E'\\n', '')",
}
_PYTHON_FORMS: Mapping[Kind, Callable[[Any], str]] = {
    Kind.BOOLEAN: lambda value: "true" if value else "false",
    Kind.FLOAT: float_text,
    Kind.DECIMAL: lambda value: f"{value:f}" if isinstance(value, Decimal) else str(value),
    Kind.DATE: date.isoformat,
    Kind.DATETIME: _datetime,
    Kind.TIME: _time,
    Kind.DURATION: _seconds,
    Kind.JSON: compact_json,
    Kind.ARRAY: compact_json,
    Kind.BINARY: lambda value: base64.b64encode(bytes(value)).decode(),
}
