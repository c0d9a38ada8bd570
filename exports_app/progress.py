"""How far an export is: the one place that knows percent, total, speed, time left and place in the queue."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from exports_app import clock, turns
from exports_app.choices import Status
from exports_app.models import ExportJob

SMOOTHING_SECONDS = 10.0
"""What was written so long ago counts for a third of what is written now."""
MOST_BEFORE_PROOF = 99.9
"""Percent, at most, while the file is not proven."""

Places = Mapping[UUID, int]
"""Place in the queue, from 1, of each job that waits in one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgress:
    """How far one job is. What nobody knows is None."""

    percent: float | None
    """0 to 99.9; 100 only once the file is proven."""
    rows: int
    total_rows: int | None
    """Rows of the file; the estimate until the last row is written."""
    bytes: int
    rows_per_second: int | None
    eta_seconds: float | None
    queue_position: int | None


def of(job: ExportJob, places: Places) -> JobProgress:
    """The job's progress as its row has it; ``places`` as ``places()`` gives them."""
    total = _total(job)
    return JobProgress(
        percent=_percent(job, total),
        rows=job.rows_done,
        total_rows=total,
        bytes=job.bytes_done,
        rows_per_second=round(job.rows_per_second) if job.rows_per_second else None,
        eta_seconds=_eta(job, total),
        queue_position=places.get(job.pk) if job.status == Status.QUEUED else None,
    )


def places(jobs: Iterable[ExportJob]) -> dict[UUID, int]:
    """Places of those that wait in a queue. A job that waits for its next attempt has none yet."""
    now = clock.now()
    waiting = [
        job
        for job in jobs
        if job.status == Status.QUEUED and (job.next_attempt_at is None or job.next_attempt_at <= now)
    ]
    if not waiting:
        return {}
    found: dict[UUID, int] = {}
    for queue in sorted({job.queue for job in waiting}):  # without those that were taken since they were read
        found |= turns.places(queue, [job.pk for job in waiting if job.queue == queue])
    return found


class Rate:
    """Rows a second of one run. The last seconds count most, so that the time left follows what happens now."""

    def __init__(self, *, rows: int, at: float) -> None:
        """``rows`` that were there when the run began; ``at``: seconds of a clock that never goes back."""
        self._rows, self._at = rows, at
        self._recent_rows = self._recent_seconds = 0.0

    def update(self, *, rows: int, at: float) -> float | None:
        """The rate, now that there are ``rows``; None before any time has gone by."""
        seconds = at - self._at
        if seconds > 0:
            kept = math.exp(-seconds / SMOOTHING_SECONDS)
            self._recent_rows = self._recent_rows * kept + max(0, rows - self._rows)
            self._recent_seconds = self._recent_seconds * kept + seconds
            self._rows, self._at = rows, at
        return self._recent_rows / self._recent_seconds if self._recent_seconds else None


def _total(job: ExportJob) -> int | None:
    if job.row_count is not None:
        return int(job.row_count + sum(each["rows"] for each in job.sheet_rows or ()))
    if job.estimated_rows is None or (job.estimated_rows == 0 and not job.estimate_exact):
        return None
    return max(job.estimated_rows, job.rows_done)


def _percent(job: ExportJob, total: int | None) -> float | None:
    if job.status in (Status.COMPLETED, Status.EXPIRED):
        return 100.0
    if total is None:
        return None
    return min(MOST_BEFORE_PROOF, round(100 * job.rows_done / total, 1)) if total else 0.0


def _eta(job: ExportJob, total: int | None) -> float | None:
    if job.status != Status.RUNNING or total is None or not job.rows_per_second:
        return None
    left = total - job.rows_done
    if left <= 0 and not job.estimate_exact:
        return None  # more rows than were expected: nobody knows how many more
    return round(max(0, left) / job.rows_per_second, 1)
