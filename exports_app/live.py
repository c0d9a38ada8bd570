"""Tells whoever watches an export what happens to it, as it happens, over Redis.

Nothing depends on being heard: what must last is in the rows, and who watches reads those too. So nothing here waits
for a Redis that is away or slow, and nothing here fails.
"""

from __future__ import annotations

import json
import time
from functools import cache
from typing import Any
from uuid import UUID

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from exports_app import redis_clients
from exports_app.logs import log

CHANNEL = "exports:{id}:events"
PATTERN = CHANNEL.format(id="*")
PROGRESS_SECONDS = 0.25
"""Progress of one run goes out this often at most."""
TIMEOUT = 0.1
"""Seconds that one command may take; a broken connection is tried twice."""
SILENT_SECONDS = 10.0
"""After a failure nothing is sent for so long: a Redis that swallows all costs a run 2 % of its time at most."""

EVENT = "event"
PROGRESS = "progress"


def announce(job_id: UUID, event_id: int) -> None:
    """Say that an event was stored; who hears it reads the rows."""
    _line.send(job_id, {"type": EVENT, "id": event_id})


class Reporter:
    """Sends the progress of one run, and drops what comes too often."""

    def __init__(self, job_id: UUID, claim: int) -> None:
        self._job_id, self._claim = job_id, claim
        self._sent = 0.0

    def report(self, *, rows: int, bytes: int, rows_per_second: float | None) -> None:
        """The run is so far now. ``claim`` tells its words from those of a run that was replaced."""
        now = time.monotonic()
        if now - self._sent < PROGRESS_SECONDS:
            return
        self._sent = now
        facts = {"rows": rows, "bytes": bytes, "rows_per_second": rows_per_second}
        _line.send(self._job_id, {"type": PROGRESS, "claim": self._claim, **facts})


class _Line:
    """The way to Redis, which stays closed for a while when something failed."""

    def __init__(self) -> None:
        self._closed_until = 0.0

    def send(self, job_id: UUID, message: dict[str, Any]) -> None:
        if time.monotonic() < self._closed_until:
            return
        try:
            _client().publish(CHANNEL.format(id=job_id), json.dumps(message))
        except Exception as error:  # whatever a client raises: nobody may be hurt by telling
            self._closed_until = time.monotonic() + SILENT_SECONDS
            log.warning("export.live.unheard", job=str(job_id), error=type(error).__name__)


_line = _Line()


@cache
def _client() -> redis.Redis:
    return redis_clients.connect(
        socket_timeout=TIMEOUT,
        socket_connect_timeout=TIMEOUT,
        retry=Retry(NoBackoff(), 1),
        protocol=2,
    )
