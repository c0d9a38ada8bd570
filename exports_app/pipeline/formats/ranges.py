"""Ranges and multiranges in ISO forms: ``[2024-01-01,2024-02-01)``, ``{[1,3),[7,9)}``, ``empty``.

PostgreSQL prints all of them so by itself but those of timestamps, whose bounds are datetimes as §5 has them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from exports_app.pipeline.formats import scalars, zones
from exports_app.pipeline.types import Options

ZONED = frozenset({"tstzrange", "tstzmultirange"})
NAIVE = frozenset({"tsrange", "tsmultirange"})
"""Ranges of timestamps without a zone, which stay so."""
OTHERS = frozenset({"daterange", "numrange", "int4range", "int8range"})
TYPES = ZONED | NAIVE | OTHERS | {each.replace("range", "multirange") for each in OTHERS}


def sql_range(range_type: str, column: str, options: Options) -> str:
    """The range as text; NULL stays NULL."""
    if range_type in NAIVE:
        return rf"""translate(regexp_replace({column}::text, '(\d) (\d)', '\1T\2', 'g'), '"', '')"""
    if range_type not in ZONED:
        return f"{column}::text"
    if range_type == "tstzrange":
        return _sql_zoned(column, options)
    return (
        f"CASE WHEN {column} IS NOT NULL THEN '{{' || coalesce((SELECT string_agg({_sql_zoned('r', options)}, ',') "
        f"FROM unnest({column}) AS u(r)), '') || '}}' END"
    )


def _sql_zoned(column: str, options: Options) -> str:
    lower, upper = (zones.sql_iso(f"{end}({column})", options.timezone) for end in ("lower", "upper"))
    return (
        f"CASE WHEN isempty({column}) THEN 'empty' WHEN {column} IS NOT NULL THEN "
        f"CASE WHEN lower_inc({column}) THEN '[' ELSE '(' END || coalesce({lower}, '') || ',' || "
        f"coalesce({upper}, '') || CASE WHEN upper_inc({column}) THEN ']' ELSE ')' END END"
    )


def python_range(range_type: str, options: Options) -> Callable[[Any], str]:
    """What ``sql_range`` gives, of psycopg's ranges and multiranges."""
    iso = zones.python_iso(options.timezone)

    def bound(value: Any) -> str:
        if value is None:
            return ""
        if range_type in ZONED:
            return iso(value)
        if isinstance(value, date):
            text = value.isoformat()
            return text.rstrip("0") if getattr(value, "microsecond", 0) else text
        return scalars.decimal_text(value)

    def text(value: Any) -> str:
        if isinstance(value, str):
            return value
        if not hasattr(value, "isempty"):
            return "{" + ",".join([text(each) for each in value]) + "}"
        if value.isempty:
            return "empty"
        begin, end = "[" if value.lower_inc else "(", "]" if value.upper_inc else ")"
        return f"{begin}{bound(value.lower)},{bound(value.upper)}{end}"

    return text
