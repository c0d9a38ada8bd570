"""One run of one job: claim, lease and checkpoint around the pipeline's loop."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.contrib.auth import get_user_model
from django.db import Error, connection

from exports_app import (
    access,
    conf,
    dispatch,
    equal_parts,
    errors,
    lifecycle,
    live,
    metrics,
    orphans,
    performance,
    rights,
    services,
    storage,
)
from exports_app.counted import counts, unverified
from exports_app.lifecycle import LeaseLost
from exports_app.logs import log
from exports_app.models import ExportJob
from exports_app.pipeline import errors as pipeline_errors
from exports_app.pipeline.errors import PipelineError
from exports_app.pipeline.sources.counting import RowCounter
from exports_app.pipeline.types import Progress, Receipt, Sink, Store, StoredPart, Upload
from exports_app.pipeline.waiting import while_waiting
from exports_app.plan import Plan, make_plan
from exports_app.progress import Rate
from exports_app.resources import registry
from workers import memory, part_sizes, resume
from workers.endings import Endings, known_error, outlast, unless_away
from workers.lease import Drained, Heartbeat, draining
from workers.retry import RetryDecision

RIGHTS_SECONDS = 5.0
"""A permission that is withdrawn ends the run within so many seconds, and always before there is a file."""
PROGRESS_SECONDS = 1.0
"""Progress and the cancel check are one UPDATE, this often."""
ONE_PIECE_SECONDS = 1_800.0
"""A file that no other run can go on with is written by one, in this time at most."""
DETACH_SECONDS = 10.0
"""Longest wait for the parts on their way when a run stops early."""
HURRIED_SECONDS = 0.5
"""The same where the worker stops."""


def run_next(queue: str, *, seconds: float = 0.0) -> RetryDecision | None:
    """Take the job whose turn it is in ``queue`` and run it; gives what Celery shall retry, if anything.

    Within so many ``seconds`` the next one begins at once, without a message through the broker and the pool.
    """
    if draining.value:
        dispatch.ring(queue)  # the bell was meant for a worker that stays
        return None
    until = time.monotonic() + seconds
    job = _claim(queue)
    if job is None:
        return None
    decision = _run(job)
    while decision is None and time.monotonic() < until and not draining.value and (job := _claim(queue)):
        decision = _run(job)
    _pass_on(queue)
    return decision


def _run(job: ExportJob) -> RetryDecision | None:
    with structlog.contextvars.bound_contextvars(**job.names()):
        run = Run(job)
        decision = run.execute()
        metrics.chunks_read(run.chunk_seconds)
    return decision


def _claim(queue: str) -> ExportJob | None:
    worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    try:
        return lifecycle.claim_next(queue, worker)
    except Error as error:
        if not errors.is_outage(error):
            raise
        log.warning("export.claim.unknown", error=type(error).__name__)
        connection.close()
        # The answer to a COMMIT may be what was lost; and while we wait, a bell that was heard is not forgotten.
        return outlast(lambda: lifecycle.claimed_by(worker) or lifecycle.claim_next(queue, worker))


def _pass_on(queue: str) -> None:
    """Ring for who waits: one bell may have stood for many jobs."""
    with unless_away("export.bell.unheard", queue=queue):
        waiting = set(lifecycle.due_queues())
        for each in waiting | ({queue} if lifecycle.is_waiting(queue) else set()):
            dispatch.ring(each)


class Run:
    """What one worker does under one claim."""

    def __init__(self, job: ExportJob) -> None:
        self.job = job
        self.ending = Endings(job)
        self.resumable = True
        self.equal = False
        """Whether the storage takes parts of one size only."""
        self.receipt: Receipt | None = None
        """Proof that an earlier run made the object, where it was found at the start."""
        self.before = Progress(rows=0, bytes=0)
        """What earlier runs have left in the file."""
        self.counter: RowCounter | None = None
        self.uncounted = ""
        """Why the rows of earlier runs could not be counted, where they could not."""
        self.live = live.Reporter(job.pk, job.claim)
        self.chunk_seconds: list[float] = []
        self.chunk_logged = float("-inf")
        self.began = self.rights_checked = time.monotonic()

    def execute(self) -> RetryDecision | None:
        """Run to the end of the file, the slice or the first error, and record which."""
        log.info("export.job.started", claim=self.job.claim, attempt=self.job.failures + 1)
        heartbeat = Heartbeat(self.job)
        try:
            with heartbeat, while_waiting(heartbeat.moved):
                self._export(heartbeat)
        except LeaseLost:
            self.ending.lost()
        except Drained:
            self.ending.hand_on("drain")
        except (SystemExit, KeyboardInterrupt):
            self.ending.hand_on_at_once()
            raise
        except Exception as error:
            if (known := known_error(error, resumable=self.resumable)) is None:
                self.ending.crashed(error)
            else:
                return self.ending.failed(known)
        return None

    # The file

    def _export(self, heartbeat: Heartbeat) -> None:
        plan = self._plan()
        self.resumable, self.ending.policy = plan.format.resumable, plan.resource.retry
        store, self.equal = storage.store(), equal_parts.wanted()
        parts = self._go_on(plan, store) or self._start_over(store, plan)
        after = parts[-1] if parts else None
        if after is not None:
            self.before = Progress(rows=after.rows, bytes=after.end)
        upload = self.ending.upload
        assert upload is not None  # noqa: S101 - both ways above set it
        if after is not None and self.receipt is not None:
            self._complete(plan, resume.finished(after, self.receipt))
            return
        with store.open(upload, content_type=plan.content_type, on_upload=self._record_upload, after=parts) as sink:
            try:
                self._write(plan, sink, parts, heartbeat)
            except BaseException as error:
                self._keep(sink, error)
                raise

    def _write(self, plan: Plan, sink: Sink, parts: Sequence[StoredPart], heartbeat: Heartbeat) -> None:
        job, after = self.job, parts[-1] if parts else None
        sizes = part_sizes.sizes(plan, job, parts, equal=self.equal)
        if after is not None and after.last:
            self._complete(plan, resume.finished(after, sink.complete()))
            return
        last = tuple(job.last_key) if job.last_key else None
        with (
            closing(plan.open_source(after=after.cursor if after else None, last=last)) as source,
            closing(plan.counter(source, after)) as self.counter,
        ):
            job.last_key = list(source.last) if source.last else None
            lifecycle.record_snapshot(
                job,
                at=source.moment,
                after_key=after.cursor if after else None,
                rows_before=after.rows if after else 0,
            )
            steps = plan.write(source, sink, part_size=sizes, equal_parts=self.equal, after=after, counter=self.counter)
            with closing(steps):
                self._follow(steps, sink, plan, heartbeat)

    def _keep(self, sink: Sink, error: BaseException) -> None:
        """Leave the upload for another run; whether it is given up is decided with the error."""
        hurried = bool(draining.value) or not isinstance(error, Exception)
        parts = sink.detach(timeout=HURRIED_SECONDS if hurried else DETACH_SECONDS)
        passing = isinstance(error, Drained) or (isinstance(error, PipelineError) and not error.terminal)
        if parts and passing:
            with suppress(LeaseLost), unless_away("export.parts.unrecorded"):  # what has no row is written again
                self._record_parts(parts)

    def _follow(self, steps: Iterator[Progress], sink: Sink, plan: Plan, heartbeat: Heartbeat) -> None:
        reported = time.monotonic()
        pace = Rate(rows=self.before.rows, at=self.began)
        for progress in steps:
            if progress.chunk_rows:
                self._note_chunk(progress)
            if progress.receipt is not None:
                self._complete(plan, progress)
                return
            now = time.monotonic()
            rate = pace.update(rows=progress.rows, at=now)
            self.live.report(rows=progress.rows, bytes=progress.bytes, rows_per_second=rate)
            if progress.parts or now - reported >= PROGRESS_SECONDS:
                self._record(progress, progress.parts, rate)
                reported = now
            if progress.part_ended and (reason := self._stop_reason()):
                self._hand_on(sink, progress, reason)
                return
            self._check(heartbeat)

    def _check(self, heartbeat: Heartbeat) -> None:
        """Between two chunks: whether to go on."""
        heartbeat.moved()
        memory.check()
        if not self.resumable and time.monotonic() - self.began > ONE_PIECE_SECONDS:
            raise pipeline_errors.TimeLimit
        if time.monotonic() - self.rights_checked >= RIGHTS_SECONDS:
            self._check_rights()

    def _check_rights(self) -> None:
        """Whether the owner may still have these rows and columns, as the database knows it now."""
        _require_enabled()
        self.rights_checked = time.monotonic()
        owner = get_user_model()._default_manager.filter(pk=self.job.owner_id, is_active=True).first()
        if owner is None or not rights.holds(access.of(owner), self.job):
            raise pipeline_errors.PermissionLost

    def _plan(self) -> Plan:
        """The same request, checked against what its owner may today."""
        _require_enabled()
        if not self.job.owner.is_active:
            raise pipeline_errors.PermissionLost
        try:
            return make_plan(services.stored_request(self.job), self.job.owner, self.job.created_at, shown=True)
        except errors.PermissionDenied as error:
            raise pipeline_errors.PermissionLost from error
        except errors.ColumnForbidden as error:
            raise pipeline_errors.PermissionLost from error
        except errors.Invalid as error:
            raise self._outdated(error) from error
        except errors.BadQuery as error:
            if isinstance(error.__cause__, SoftTimeLimitExceeded):
                raise error.__cause__ from None
            raise pipeline_errors.BadQuery from error

    def _outdated(self, error: errors.Invalid) -> PipelineError:
        """What the resource has no more of what was asked for, and it once had."""
        gone = error.errors or {}
        if "resource" in gone:
            return pipeline_errors.ResourceGone()
        if "columns" in gone and not _has_columns(self.job):
            return pipeline_errors.ColumnGone()
        return pipeline_errors.RequestOutdated.of(errors.first_sentence(error))

    def _go_on(self, plan: Plan, store: Store) -> list[StoredPart]:
        """The parts of an earlier run behind which this one goes on; none: start over."""
        parts, self.receipt = resume.good_parts(self.job, store, resumable=self.resumable, equal=self.equal)
        if parts:
            self.ending.upload = self.job.upload()
            parts, self.uncounted = resume.confirmed(self.job, plan, parts)
        return resume.with_tail(self.job, parts)

    def _start_over(self, store: Store, plan: Plan) -> list[StoredPart]:
        job = self.job
        if job.file_key:
            store.discard(job.upload())
        key = f"{orphans.PREFIX}{job.owner_id}/{job.pk}.{job.upload_number + 1}.{plan.extension}"
        # No row is in the file yet, so that it is made with the rights of now.
        lifecycle.begin_upload(job, key=key, token=secrets.token_hex(16), tables=rights.record(plan, job.owner))
        self.ending.upload = Upload(key=key, token=job.write_token)
        return []

    # The row

    def _record_upload(self, upload_id: str) -> None:
        if self.ending.upload is not None:  # first: should the job be gone, it is still ours to abort
            self.ending.upload = replace(self.ending.upload, id=upload_id)
        lifecycle.renew(self.job, upload_id=upload_id)
        self.job.upload_id = upload_id

    def _record(self, progress: Progress, parts: Sequence[StoredPart], rate: float | None) -> None:
        values: dict[str, Any] = {"rows_done": progress.rows, "bytes_done": progress.bytes, "rows_per_second": rate}
        values |= self._confirmation()
        if parts:
            self._record_parts(parts, **values)
            log.info("export.job.part", number=parts[-1].number, rows=parts[-1].rows)
            if self.resumable and self.counter is not None and not parts[-1].inner:
                self.counter.mark(parts[-1].rows - self.before.rows, parts[-1].cursor)
        else:
            lifecycle.renew(self.job, **values)
            speed = round(rate) if rate else None
            log.info("export.job.progress", rows=progress.rows, bytes=progress.bytes, rows_per_second=speed)

    def _confirmation(self) -> dict[str, Any]:
        """What the count has to say since it was last asked, for the row."""
        counter = self.counter
        if counter is None:
            return {}
        found: dict[str, Any] = {"rows_verified": True} if counter.verified and not self.uncounted else {}
        if not self.uncounted and (rows := counter.confirmed()) is not None:
            found["rows_counted"] = self.before.rows + rows
        return found

    def _note_chunk(self, progress: Progress) -> None:
        """Keep how long it took; a line each second, since a fast export has a hundred chunks in it."""
        self.chunk_seconds.append(progress.chunk_seconds)
        now = time.monotonic()
        if now - self.chunk_logged >= PROGRESS_SECONDS:
            self.chunk_logged = now
            milliseconds = round(progress.chunk_seconds * 1000)
            log.info("export.job.chunk", number=len(self.chunk_seconds), rows=progress.chunk_rows, ms=milliseconds)

    def _record_parts(self, parts: Sequence[StoredPart], **values: Any) -> None:
        lifecycle.record_parts(self.job, parts, lasting=self.resumable, **values)

    def _complete(self, plan: Plan, progress: Progress) -> None:
        job = self.job
        assert progress.receipt is not None  # noqa: S101 - only called with one
        self._check_rights()
        seconds = time.monotonic() - self.began
        lifecycle.complete(
            job,
            ttl=services.file_ttl(plan),
            **counts(plan, progress),
            rows_verified=self._is_verified(),
            rows_done=progress.rows,
            file_size=progress.receipt.size,
            bytes_done=progress.receipt.size,
            crc32=f"{progress.crc32:08x}",
            etag=progress.receipt.etag,
            rows_per_second=(progress.rows - self.before.rows) / max(seconds, 0.001),
            warnings=[*progress.warnings, *self._doubts()],
        )
        log.info("export.job.completed", rows=progress.rows, bytes=progress.receipt.size, seconds=round(seconds, 3))
        performance.record(
            job,
            rows=progress.rows - self.before.rows,
            size=progress.receipt.size - self.before.bytes,
            seconds=seconds,
            chunk_seconds=self.chunk_seconds,
        )

    def _is_verified(self) -> bool | None:
        """Whether every row of the file was counted; an earlier run may have been the one to do so."""
        counted = self.job.rows_verified if self.counter is None else self.counter.verified
        return counted if not self.uncounted else None

    def _doubts(self) -> list[str]:
        why = self.uncounted or (self.counter.why if self.counter else "")
        return [unverified(why)] if why else []

    def _hand_on(self, sink: Sink, progress: Progress, reason: str) -> None:
        parts = sink.detach(timeout=HURRIED_SECONDS if draining.value else DETACH_SECONDS)
        if parts:
            self._record_parts(parts, rows_done=progress.rows)
        self.ending.hand_on(reason)

    def _stop_reason(self) -> str | None:
        if draining.value:
            return "drain"
        over = time.monotonic() - self.began >= conf.settings.SLICE_SECONDS
        return "slice" if over and self.resumable else None


def _has_columns(job: ExportJob) -> bool:
    """Whether the resource still has all columns of the job, whatever else is wrong with them."""
    declared = registry.get(job.resource)
    names = {column.name for column in declared().get_columns()} if declared else set()
    return all(column["name"] in names for column in job.columns)


def _require_enabled() -> None:
    if not conf.settings.ENABLED:
        raise pipeline_errors.SwitchedOff
