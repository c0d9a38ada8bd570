"""Values that a form takes and PostgreSQL does not."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

MAX_DIGITS = 1_000
"""Before and behind the point; PostgreSQL takes more, but nobody means them."""
MAX_OFFSET = timedelta(hours=16)
"""What PostgreSQL takes for a time zone lies below."""


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can be sent this text at all."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def value_problem(value: Any) -> str | None:
    """The sentence for a cleaned value, or for a part of one, that the database would refuse; None: it is fine."""
    if isinstance(value, slice):
        return _first((value.start, value.stop))
    if isinstance(value, list | tuple | set):
        return _first(value)
    if isinstance(value, Decimal):
        return _number_problem(value)
    if isinstance(value, datetime):
        return _moment_problem(value)
    return None


def _first(values: Iterable[Any]) -> str | None:
    return next((problem for each in values if (problem := value_problem(each))), None)


def _number_problem(value: Decimal) -> str | None:
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        return "Enter a number."
    if value.adjusted() >= MAX_DIGITS or exponent < -MAX_DIGITS:
        return f"Give a number of at most {MAX_DIGITS:,} digits before and behind the point."
    return None


def _moment_problem(value: datetime) -> str | None:
    offset = value.utcoffset()
    if offset is None:
        return None
    if abs(offset) >= MAX_OFFSET:
        return "Give an offset below 16 hours."
    try:
        value.astimezone(UTC)
    except OverflowError:
        return "Give a moment between the years 1 and 9999 (UTC)."
    return None
