"""How a run ends that does not end with a file: on record under its claim, or not at all."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from celery.exceptions import SoftTimeLimitExceeded
from django.db import Error, connection

from exports_app import conf, equal_parts, errors, lifecycle, storage, traces
from exports_app.choices import Status
from exports_app.lifecycle import LeaseLost
from exports_app.logs import log
from exports_app.models import ExportJob
from exports_app.pipeline import scarcity
from exports_app.pipeline.errors import (
    DatabaseBusy,
    DatabaseUnavailable,
    Incomplete,
    MemoryLimit,
    NoRoom,
    PartsRefused,
    PipelineError,
    TimeLimit,
    UnequalParts,
    UploadLost,
)
from exports_app.pipeline.types import Upload
from exports_app.resources.retry import RetryPolicy
from workers import memory, retry
from workers.lease import draining
from workers.retry import RetryDecision

T = TypeVar("T")
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
"""Seconds between two tries while the database is away; the first one comes at once, on another connection."""


def known_error(error: Exception, *, resumable: bool) -> PipelineError | None:
    """The error as one of ours; None: a bug. ``resumable``: another run can go on behind this one's parts."""
    if isinstance(error, PipelineError):
        return error
    if (lacking := scarcity.lack(error)) is not None:
        return lacking
    known: PipelineError
    if errors.is_outage(error):
        known = DatabaseUnavailable()
    elif isinstance(error, SoftTimeLimitExceeded):
        known = DatabaseBusy() if resumable else TimeLimit()
    else:
        return None
    known.__cause__ = error
    return known


class Endings:
    """The endings of one run. A database that is away is waited for, since only it knows whose the job is."""

    def __init__(self, job: ExportJob) -> None:
        self.job = job
        self.upload: Upload | None = None
        """What this run writes to, once it does."""
        self.policy = RetryPolicy()

    def failed(self, error: PipelineError) -> RetryDecision | None:
        """Put the job back for another try, or end it."""
        if isinstance(error, MemoryLimit | NoRoom):
            _let_go(error)
        decision = self._on_record(lambda: self._put_back(error))
        if decision is None and self.job.status == Status.FAILED:
            self._discard()
        return decision

    def crashed(self, error: Exception) -> None:
        """A bug: the job fails at once, with the traceback for operators and a plain sentence for users."""
        plain = PipelineError()
        plain.__cause__ = error
        log.error("export.job.crashed", exc_info=error)
        self.failed(plain)

    def hand_on(self, reason: str) -> None:
        """Give the job back; another run goes on behind its last part."""
        self._on_record(lambda: lifecycle.hand_on(self.job, reason))
        log.info("export.job.progress", handed_on=reason)

    def hand_on_at_once(self) -> None:
        """The same while this process is being ended: one try, since the lease decides otherwise."""
        try:
            connection.close()  # it may have been left in the middle of anything
            lifecycle.hand_on(self.job, "shutdown")
        except Exception as error:
            log.warning("export.job.left", error=type(error).__name__)

    def lost(self) -> None:
        """The job is no longer ours."""
        self._on_record(self._leave)

    def _put_back(self, error: PipelineError) -> RetryDecision | None:
        job = self.job
        if isinstance(error, UnequalParts) and not equal_parts.found_out():
            error = PartsRefused()
        starts_over = isinstance(error, UploadLost)
        decision = retry.decide(
            error,
            # Parts give back the budget, so what sends a job back to its first byte is counted apart.
            failures=self._failures(error),
            max_attempts=error.runs or job.max_attempts,
            outage_seconds=lifecycle.outage_seconds(job),
            outage_limit=conf.settings.OUTAGE_SECONDS,
            policy=self.policy,
        )
        if decision is None:
            self._fail(error)
            return None
        lifecycle.retry_later(
            job,
            delay=decision.delay,
            code=error.code,
            detail=str(error),
            counts=decision.counts,
            starts_over=starts_over,
        )
        log.warning("export.job.retrying", code=error.code, delay=decision.delay, counts=decision.counts)
        return decision

    def _failures(self, error: PipelineError) -> int:
        if error.runs is not None:
            return lifecycle.started_over(self.job, code=error.code)
        if isinstance(error, UploadLost):
            return max(self.job.failures, lifecycle.started_over(self.job))
        return self.job.failures

    def _fail(self, error: PipelineError) -> None:
        trace = traces.trace(error, everything=True)  # shown to exports_app.view_error_trace alone
        lifecycle.fail(self.job, code=error.code, detail=str(error), trace=trace)
        self.job.status = Status.FAILED
        log.warning("export.job.failed", code=error.code)
        if isinstance(error, NoRoom):
            memory.tell(f"Export {self.job.pk} found no room", f"{error} {error.advice}", alert="memory_limit")
        if isinstance(error, MemoryLimit):
            memory.alert(str(self.job.pk), hard=error.__cause__ is not None)
        if isinstance(error, Incomplete):
            memory.tell(f"Export {self.job.pk} is incomplete", f"{error} {error.advice}", alert="incomplete")

    def _leave(self) -> None:
        """Clean up only what is surely nobody else's: an upload cancelled under us, or one that was given up."""
        now = ExportJob.objects.filter(pk=self.job.pk).values("claim", "status", "file_key").first()
        log.info("export.job.left", status=now["status"] if now else "deleted")
        if self.upload is None:
            return
        ours = now is not None and now["file_key"] == self.upload.key
        cancelled = now is not None and now["claim"] == self.job.claim and now["status"] == Status.CANCELLED
        if cancelled or not ours:
            self._discard()

    def _discard(self) -> None:
        """What cannot be removed now is found by the upkeep."""
        if self.upload is None:
            return
        try:
            storage.store().discard(self.upload)
        except PipelineError as error:
            log.warning("export.leftover", key=self.upload.key, code=error.code)

    def _on_record(self, write: Callable[[], T]) -> T | None:
        """Write it, waiting out a database that is away; None: the job is not ours to write.

        A COMMIT whose answer was lost is written again, and finds that the job is not running any more.
        """
        try:
            return outlast(write)
        except LeaseLost:
            if write != self._leave:
                self._on_record(self._leave)
            return None


def _let_go(error: BaseException | None) -> None:
    """Free what the run's functions still hold by the traceback: to write down how it ended takes memory too."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


@contextmanager
def unless_away(event: str, **about: Any) -> Iterator[None]:
    """Go on behind it, with a line in the log, where the database is away."""
    try:
        yield
    except Error as error:
        if not errors.is_outage(error):
            raise
        log.warning(event, error=type(error).__name__, **about)


def outlast(act: Callable[[], T]) -> T | None:
    """Do it as soon as the database has it done: one that answers may still take no writes, as with a full disk.

    None: it did not within the time that outages are waited for, or the worker shall stop.
    """
    began, pause = time.monotonic(), 0.0
    while True:
        try:
            return act()
        except Error as error:
            if not errors.is_outage(error):
                raise
        connection.close()
        if time.monotonic() - began >= conf.settings.OUTAGE_SECONDS or draining.value:
            return None
        time.sleep(pause)
        # Well within the lease of time that everybody has once the database is back.
        pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, pause * 2), conf.settings.LEASE_SECONDS / 6)
