"""What the cells of a workbook hold, and how to tell that a reader found it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from exports_app.pipeline.types import Kind
from tests.readers import table

ZERO = datetime(1899, 12, 30)  # noqa: DTZ001 - workbooks know no zones
MILLISECOND = 1 / 86_400_000
"""In days; what readers round to."""
SECOND = 1 / 86_400


class Days(float):
    """A moment, in days since 1899-12-30, or a span of them."""


Cell = None | bool | float | str
Same = Callable[[Any, Cell], bool]
"""Whether a reader found the cell."""


def days(value: date | time | timedelta) -> Days:
    """What a spreadsheet counts."""
    if isinstance(value, datetime):
        value = value.replace(tzinfo=None) - ZERO
    elif isinstance(value, time):
        value = datetime.combine(ZERO, value) - ZERO
    elif isinstance(value, date):
        value = datetime.combine(value, time()) - ZERO
    return Days(value / timedelta(days=1))


def cell(value: Any) -> Cell:
    """The cell of a value: numbers of at most 15 digits, days from 1900-03-01 on, all else as text."""
    if value is None or value == "" or isinstance(value, bool | str):
        return None if value == "" else value
    if isinstance(value, int):
        return str(value) if abs(value) >= 10**15 else float(value)
    if isinstance(value, float | Decimal):
        return float(value)
    if isinstance(value, date) and not date(1900, 3, 1) <= date(value.year, value.month, value.day):
        return value.isoformat()
    return days(value)


def expected() -> list[list[Cell]]:
    """The workbook of the table, cell for cell."""
    texts = {Kind.JSON: table.JSON_TEXTS, Kind.ARRAY: table.ARRAY_TEXTS}
    rows: list[list[Cell]] = [list(table.KINDS)]
    for row in table.ROWS:
        pairs = zip(table.KINDS.values(), row, strict=True)
        rows.append([texts[kind].get(row[0]) if kind in texts else cell(value) for kind, value in pairs])
    return rows


def typed(found: Any, wanted: Cell) -> bool:
    """By readers that give each cell its type, days to the millisecond."""
    if isinstance(found, date | time | timedelta):
        return isinstance(wanted, Days) and abs(days(found) - wanted) < MILLISECOND
    if isinstance(wanted, Days):
        return isinstance(found, float | int) and abs(found - wanted) < MILLISECOND
    if found in (None, ""):
        return wanted is None
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


def typed_or_number(found: Any, wanted: Cell) -> bool:
    """By xlsx-populate, which takes text for a number where that loses nothing."""
    return typed(found, wanted) or (isinstance(wanted, str) and isinstance(found, int) and str(found) == wanted)


def raw(found: Any, wanted: Cell) -> bool:
    """By readers that give what stands in the file, as text."""
    if wanted is None or isinstance(wanted, str):
        return (found or None) == wanted
    if isinstance(wanted, bool):
        return found in (str(int(wanted)), str(wanted).upper())
    return math.isclose(float(found), wanted, rel_tol=1e-15, abs_tol=MILLISECOND if isinstance(wanted, Days) else 0)


def as_text(
    *forms: str,
    modulo: float | None = None,
    zeros: Sequence[int] = (0,),
    within: float = MILLISECOND,
    digits: float = 1e-14,
) -> Same:
    """By readers that make text of days and times, if not of all. ``forms`` are as of ``strptime``, or ``h:m:s`` for
    spans of time and ``d`` for days; ``modulo`` days are left out of spans, which begin at ``zeros``; ``digits`` is how
    exact numbers are."""

    def same(found: Any, wanted: Cell) -> bool:
        if wanted is None or isinstance(wanted, str):
            return (found or None) == wanted
        if isinstance(wanted, bool):
            return str(found).lower() == str(wanted).lower()
        if not isinstance(wanted, Days):
            return math.isclose(float(found), wanted, rel_tol=digits, abs_tol=1e-9)
        found_days = [each for form in forms if (each := _days_of(found, form)) is not None]
        offs = [each - zero - wanted for each in found_days for zero in zeros]
        return any(abs(math.remainder(off, modulo) if modulo else off) < within for off in offs)

    return same


def _days_of(text: str, form: str) -> float | None:
    if form == "h:m:s":
        span = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", text)
        return (int(span[1]) * 3600 + int(span[2]) * 60 + float(span[3])) * SECOND if span else None
    if form == "d":
        return float(text.removesuffix(" d")) if text.endswith(" d") else None
    try:
        return days(datetime.strptime(text, form))  # noqa: DTZ007 - likewise
    except ValueError:
        return None


def compare(found: Sequence[Sequence[Any]], wanted: Sequence[Sequence[Cell]], same: Same) -> None:
    """Every cell of every row; a reader may leave empty ones off a row's end."""
    assert len(found) == len(wanted)
    for number, (row, cells) in enumerate(zip(found, wanted, strict=True), 1):
        padded = [*row, *[None] * (len(cells) - len(row))]
        wrong = [
            (table_name(place), each, value)
            for place, (each, value) in enumerate(zip(padded, cells, strict=True))
            if not same(each, value)
        ]
        assert not wrong, f"row {number}: {wrong}"


def table_name(place: int) -> str:
    return list(table.KINDS)[place] if place < len(table.KINDS) else str(place)
