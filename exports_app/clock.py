"""The database's clock, by which times are stored and compared, whatever the clocks of the processes show.

A query compares with ``Now()``. Where Python has to know the time, it goes by a reading that is a minute old at most,
and by what has gone by since on a clock that nobody sets: that takes no query of a request's own.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import DEFAULT_DB_ALIAS, Error, connections

KEEP_SECONDS = 60.0
"""Two clocks drift apart by some milliseconds in this time."""
MOST_SECONDS = 0.2
"""That a reading may take: it is off by half of that at most."""
READINGS = 3
"""Of which the quickest counts, where none was quick enough."""
AGAIN_SECONDS = 5.0
"""After a reading that failed."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the database's clock showed, and ours that nobody sets."""

    shown: datetime
    ticks: float
    took: float
    """Seconds."""
    due: float
    """When, in ticks, the next one is taken."""


_last: Reading | None = None


def now() -> datetime:
    """The time by the database's clock. Raises Django's ``Error`` where it was never read and cannot be.

    Within an event loop nothing is asked: the last reading counts, however old, and our own clock before the first one.
    """
    global _last
    reading = _last
    if reading is None or ticks() >= reading.due:
        reading = _last = _again(reading)
    return _by(reading)


def latest() -> datetime:
    """The same by the last reading, however old, and by our own clock before the first one: nothing is asked."""
    return _by(_last)


def ticks() -> float:
    """Seconds of a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def forget() -> None:
    """Have the next one who asks read it anew."""
    global _last
    _last = None


def _by(reading: Reading | None) -> datetime:
    if reading is None:
        return datetime.now(UTC)
    return reading.shown + timedelta(seconds=ticks() - reading.ticks)


def _again(last: Reading | None) -> Reading | None:
    if _in_event_loop():
        return last
    try:
        return _read()
    except Error:  # also in a transaction that has failed
        if last is None:
            raise
        return Reading(last.shown, last.ticks, last.took, ticks() + AGAIN_SECONDS)


def _read() -> Reading:
    """Beside Django's own way, which would count it among the queries of a request."""
    connection = connections[DEFAULT_DB_ALIAS]
    was_open = connection.connection is not None
    connection.ensure_connection()
    try:
        with connection.wrap_database_errors, connection.connection.cursor() as cursor:
            best = _ask(cursor)
            for _ in range(READINGS - 1):
                if best.took <= MOST_SECONDS:
                    break
                best = min(best, _ask(cursor), key=lambda each: each.took)
        return best
    finally:
        if not was_open:
            connection.close()  # the caller may be one who keeps none of a pool


def _ask(cursor: object) -> Reading:
    began = ticks()
    row = cursor.execute("SELECT EXTRACT(epoch FROM clock_timestamp())::float8").fetchone()  # type: ignore[attr-defined]
    ended = ticks()
    shown = datetime.fromtimestamp(row[0], UTC)
    return Reading(shown, (began + ended) / 2, ended - began, ended + KEEP_SECONDS)


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
