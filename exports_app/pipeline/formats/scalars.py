"""The text form of each kind that is one value, once in SQL and once in Python, next to each other.

The SQL side takes a column of whatever type the kind may be stored in; NULL stays NULL. Datetimes and what a locale
changes are in ``zones`` and ``locale``.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from datetime import time, timedelta
from decimal import Decimal
from typing import Any

from exports_app.pipeline.types import Kind

NUMBERS = frozenset({Kind.FLOAT, Kind.DECIMAL})
"""Kinds of numbers that may have decimals."""
FIRST_TIE = 2.0**53
"""Only from here on a double's neighbourhood ends at numbers of few enough digits to be printed."""


def sql_plain(column: str) -> str:
    """Any value as its type prints itself; unlike a cast to text, an ``inet`` then has no netmask."""
    return f"CASE WHEN {column} IS NOT NULL THEN concat({column}) END"


def sql_number(kind: Kind, column: str, *, trimmed: bool) -> str:
    """A number as its type prints it; ``trimmed``, without the decimals that a division filled up with zeros.

    What the ORM takes for a float may be numeric in the database, as an average of integers is: then it is read as the
    float that it becomes, by way of its text, which gives a float4 no digits that it does not have.
    """
    if not trimmed:
        return column
    return f"trim_scale({column}::numeric)" if kind is Kind.DECIMAL else f"{column}::text::float8"


def sql_boolean(column: str) -> str:
    return f"CASE WHEN {column}::boolean THEN 'true' WHEN NOT {column}::boolean THEN 'false' END"


def sql_seconds(column: str) -> str:
    """Exact; a month counts 30 days and twelve 365.25, as PostgreSQL has it (Django stores neither)."""
    return f"trim_scale(extract(epoch FROM {column})::numeric)"


def sql_base64(column: str) -> str:
    """On one line: ``encode`` wraps at 76 characters."""
    return f"replace(encode({column}, 'base64'), E'\\n', '')"


def python_number(kind: Kind, *, trimmed: bool) -> Callable[[Any], str]:
    """What ``sql_number`` gives."""
    if kind is Kind.FLOAT:
        return (lambda value: float_text(float(value))) if trimmed else float_text
    return (lambda value: _trimmed(decimal_text(value))) if trimmed else decimal_text


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def boolean_text(value: Any) -> str:
    return "true" if value else "false"


def integer_text(value: Any) -> str:
    """Raises ``ValueError`` for what is not an integer, rather than cut it."""
    return f"{value:d}"


def decimal_text(value: Any) -> str:
    """With its scale, never with an exponent; zero has no sign, as PostgreSQL has none for it."""
    if not isinstance(value, Decimal):
        return float_text(value) if isinstance(value, float) else integer_text(value)
    if value.is_nan():
        return "NaN"
    return f"{value if value else abs(value):f}"


def time_text(value: time) -> str:
    text = value.isoformat()
    return text.rstrip("0") if value.microsecond and value.tzinfo is None else text


def seconds_text(value: timedelta) -> str:
    micros = (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    whole, fraction = divmod(micros, 1_000_000)
    return f"{sign}{whole}" + (f".{fraction:06d}".rstrip("0") if fraction else "")


def base64_text(value: Any) -> str:
    return base64.b64encode(bytes(value)).decode()


def float_text(value: float) -> str:
    """A float as PostgreSQL prints it: shortest digits, plain between 1e-4 and 1e15, NaN and Infinity by name."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    digits = Decimal(_strictly_nearest(value)) if abs(value) >= FIRST_TIE else Decimal(repr(float(value)))
    exponent = digits.adjusted()
    if value and not -5 < exponent < 15:
        mantissa, _, _ = f"{digits.normalize():e}".partition("e")
        return f"{mantissa}e{exponent:+03d}"
    return f"{digits:f}".removesuffix(".0")


def _strictly_nearest(value: float) -> int:
    """The fewest digits nearer to a large double than to any other, and of those the nearest.

    Python also takes digits halfway to a neighbour where they round to the even one; PostgreSQL does not.
    """
    exact, shortest = int(value), int(Decimal(repr(float(value))))
    if not _is_tie(value, shortest - exact):
        return shortest
    for power in range(len(str(abs(exact))) - 1, -1, -1):
        step = int(10**power)
        below = exact // step * step
        near = [each for each in (below, below + step) if not _is_tie(value, each - exact)]
        inside = [each for each in near if float(each) == value]
        if inside:
            return min(inside, key=lambda each: abs(each - exact))
    return exact


def _is_tie(value: float, distance: int) -> bool:
    """Whether what is so far from a large double lies halfway to the next one."""
    outwards = distance >= 0 if value > 0 else distance <= 0
    gap = math.ulp(value) if outwards else abs(value - math.nextafter(value, 0.0))
    return 2 * abs(distance) == int(gap)
