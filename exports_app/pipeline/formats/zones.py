"""Moments as text, in UTC or as a zone's clocks showed them. SQL and Python go by the same tables.

In SQL, no zone means that the session is in UTC, whose text costs least; with a zone, UTC's too, it may be in any.

A zone's offsets are written as ISO 8601 has them, in whole minutes. Before standard time (about 1900) clocks went by
the sun and offsets have seconds; such moments are written in UTC, which is exact and which every reader takes. So are
those within a day of either end of the calendar (years 1 to 9999), where a zone may be in a year that is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from exports_app.pipeline.literals import quote

UTC_NAME = "UTC"
FIRST, LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC)
"""The moments that every zone has a year for: no offset is longer than a day."""
SAMPLED_YEARS = (1880, 2040)
"""Where a zone's offsets are looked up: from before standard time to where the rules in force only repeat."""
SAMPLE_EVERY = timedelta(days=28)

_CALENDAR = "BETWEEN TIMESTAMPTZ '0001-01-01 00:00:00+00' AND TIMESTAMPTZ '9999-12-31 23:59:59.999999+00'"
_NAIVE_CALENDAR = "BETWEEN TIMESTAMP '0001-01-01 00:00:00' AND TIMESTAMP '9999-12-31 23:59:59.999999'"
_ZONED = f"BETWEEN TIMESTAMPTZ '{FIRST}' AND TIMESTAMPTZ '{LAST}'"


def is_zone(name: str) -> bool:
    """Whether it is an IANA name that PostgreSQL knows as well."""
    return name in available_timezones() and name not in ("localtime", "Factory")


def sql_naive(column: str) -> str:
    """``2024-01-31T12:00:00.5``, of a moment without zone; what has no such form as ``sql_iso`` has it."""
    moment = f"{column}::timestamp"
    ordinary = f"WHEN {moment} {_NAIVE_CALENDAR} THEN replace({moment}::text, ' ', 'T')"
    return f"CASE {ordinary} ELSE btrim(to_json({moment})::text, '\"') END"


def sql_moment(column: str, *, naive: bool) -> str:
    """A timestamp with zone; of one without that whose clock in UTC is its own, whatever the session's zone is."""
    return f"({column}::timestamp AT TIME ZONE 'UTC')" if naive else f"{column}::timestamptz"


def sql_iso(column: str, zone: str | None) -> str:
    """``2024-01-31T12:00:00.5+00:00``. What has no such form (infinity, BC) looks as PostgreSQL's JSON has it."""
    moment = f"{column}::timestamptz"
    utc = f"replace({moment}::text, ' ', 'T') || ':00'"
    odd = f"btrim(to_json({moment})::text, '\"')"
    if zone is not None:
        utc, odd = _sql_utc(moment)
    ordinary = f"WHEN {moment} {_CALENDAR} THEN {utc}"
    if zone is not None and zone != UTC_NAME:
        local = f"({moment} AT TIME ZONE {quote(zone)})"
        text = f"replace({local}::text, ' ', 'T')"
        offset = f"CASE {_sql_offset(moment, local)} {_sql_cases(zone)} END"
        # An offset that is not in the table is NULL, and so is the text with it.
        ordinary = f"WHEN {moment} {_ZONED} THEN coalesce({text} || {offset}, {utc}) {ordinary}"
    return f"CASE {ordinary} ELSE {odd} END"


def _sql_utc(moment: str) -> tuple[str, str]:
    """In UTC whatever the session's zone is: an ordinary moment, and what is BC, behind the year 9999, or infinite."""
    clock = f"({moment} AT TIME ZONE 'UTC')"
    odd = f"regexp_replace(btrim(to_json({clock})::text, '\"'), '(\\d)( BC)?$', '\\1+00:00\\2')"
    return f"replace({clock}::text, ' ', 'T') || '+00:00'", odd


def sql_clock(column: str, zone: str | None, form: Callable[[str], str], otherwise: str) -> str:
    """``form`` of the timestamp that clocks of the zone showed, UTC's where none did, whatever the session's zone is.

    Where local time came twice because clocks were put back, the offset stands behind it: `` +02:00``.
    ``otherwise``: for what is outside the years 1 to 9999, and NULL. The zone is looked up as rarely as can be: that
    is what such a column costs.
    """
    moment = f"{column}::timestamptz"
    in_utc = form(f"({moment} AT TIME ZONE 'UTC')")
    branches = f"WHEN {moment} {_CALENDAR} THEN {in_utc}"
    if zone is not None and zone != UTC_NAME:
        local = f"({moment} AT TIME ZONE {quote(zone)})"
        branches = f"WHEN {moment} {_ZONED} THEN {form(local)} || {_sql_repeated(moment, zone)} {branches}"
    return f"CASE {branches} ELSE {otherwise} END"


def _sql_repeated(moment: str, zone: str) -> str:
    """`` +02:00`` for a moment whose local time came twice because clocks were put back, otherwise empty."""
    name = quote(zone)
    local = f"({moment} AT TIME ZONE {name})"
    changes, others = [], []
    for shift in setbacks(zone):
        seconds = int(shift.total_seconds())
        later, earlier = (f"({moment} {sign} INTERVAL '{seconds} s') AT TIME ZONE {name}" for sign in "+-")
        changes.append(f"{later} - {earlier} <> INTERVAL '{2 * seconds} s'")
        others.append(f"{local} IN ({later}, {earlier})")
    if not others:
        return "''"
    offset = f"CASE {_sql_offset(moment, local)} {_sql_cases(zone, before=' ')} ELSE '' END"
    # Whether clocks were moved at all is asked first: it takes one look-up less, and is false for nearly every row.
    return f"CASE WHEN ({' OR '.join(changes)}) AND ({' OR '.join(others)}) THEN {offset} ELSE '' END"


def _sql_offset(moment: str, local: str) -> str:
    return f"{local} - ({moment} AT TIME ZONE 'UTC')"


def _sql_cases(zone: str, before: str = "") -> str:
    return " ".join(
        f"WHEN INTERVAL '{offset.total_seconds():.0f} s' THEN '{before}{text}'"
        for offset, text in offsets(zone).items()
    )


def python_iso(zone: str | None) -> Callable[[datetime], str]:
    """What ``sql_iso`` gives, and ``sql_naive`` of a datetime without zone."""
    if zone is None:
        return lambda value: _iso(value) if value.tzinfo is None else _iso(_utc(value)) + "+00:00"
    known, info = offsets(zone), ZoneInfo(zone)

    def text(value: datetime) -> str:
        if value.tzinfo is None:
            return _iso(value)
        at = _utc(value)
        if FIRST <= at <= LAST:
            local = at.astimezone(info)
            offset = known.get(local.utcoffset() or timedelta())
            if offset is not None:
                return _iso(local) + offset
        return _iso(at) + "+00:00"

    return text


def python_local(zone: str | None) -> Callable[[datetime], datetime]:
    """The time on the clock that ``sql_clock`` shows, without a zone."""
    info = ZoneInfo(zone) if zone else UTC

    def local(value: datetime) -> datetime:
        if value.tzinfo is None:
            return value
        at = _utc(value)
        return (at.astimezone(info) if FIRST <= at <= LAST else at).replace(tzinfo=None)

    return local


def python_repeated(zone: str | None) -> Callable[[datetime], str]:
    """The offset that ``sql_clock`` puts behind it."""
    shifts = setbacks(zone) if zone else ()
    if zone is None or not shifts:
        return lambda value: ""
    known, info = offsets(zone), ZoneInfo(zone)

    def offset(value: datetime) -> str:
        if value.tzinfo is None:
            return ""
        at = _utc(value)
        if not FIRST <= at <= LAST:
            return ""
        local = at.astimezone(info)
        clock = local.replace(tzinfo=None)
        others = [at + sign * shift for shift in shifts for sign in (1, -1)]
        if all(other.astimezone(info).replace(tzinfo=None) != clock for other in others):
            return ""
        text = known.get(local.utcoffset() or timedelta())
        return f" {text}" if text else ""

    return offset


@lru_cache(maxsize=64)
def offsets(zone: str) -> Mapping[timedelta, str]:
    """The zone's offsets from UTC that are whole minutes, the most frequent of our days first, as ``+01:00``."""
    begin = datetime(2000, 1, 1, tzinfo=UTC)
    samples = _samples(zone)
    often = Counter(offset for at, offset in samples if at >= begin)
    every = dict.fromkeys([*(offset for offset, _ in often.most_common()), *(offset for _, offset in samples)])
    return {offset: _offset_text(offset) for offset in every if not offset % timedelta(minutes=1)}


@lru_cache(maxsize=64)
def setbacks(zone: str) -> tuple[timedelta, ...]:
    """By how much clocks of the zone were ever put back."""
    samples = [offset for _, offset in _samples(zone)]
    shifts = {before - after for before, after in pairwise(samples)}
    return tuple(sorted(shift for shift in shifts if timedelta() < shift < timedelta(hours=12)))


@lru_cache(maxsize=64)
def _samples(zone: str) -> list[tuple[datetime, timedelta]]:
    info = ZoneInfo(zone)
    first, last = (datetime(year, 1, 1, tzinfo=UTC) for year in SAMPLED_YEARS)
    moments = [first + n * SAMPLE_EVERY for n in range((last - first) // SAMPLE_EVERY)]
    return [(at, at.astimezone(info).utcoffset() or timedelta()) for at in moments]


def _offset_text(offset: timedelta) -> str:
    sign, minutes = ("-", -offset) if offset < timedelta() else ("+", offset)
    hours, rest = divmod(minutes // timedelta(minutes=1), 60)
    return f"{sign}{hours:02d}:{rest:02d}"


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


def _iso(at: datetime) -> str:
    text = at.replace(tzinfo=None).isoformat()
    return text.rstrip("0") if at.microsecond else text
