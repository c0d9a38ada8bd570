"""One run of one job: claim, lease and checkpoint around the pipeline's loop."""

from __future__ import annotations

import multiprocessing
import os
import resource
import secrets
import socket
import statistics
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.utils import timezone

from exports_app import conf, dispatch, errors, lifecycle, services, storage
from exports_app.choices import Status
from exports_app.lifecycle import LeaseLost
from exports_app.models import ExportJob, ExportPart, ExportPerformance
from exports_app.pipeline import errors as pipeline_errors
from exports_app.pipeline import loop
from exports_app.pipeline.errors import PipelineError
from exports_app.pipeline.parts import part_size
from exports_app.pipeline.types import Progress, Receipt, Sink, StoredPart, Upload
from exports_app.plan import Plan, make_plan
from workers import retry
from workers.retry import RetryDecision

log = structlog.get_logger("exports")

PROGRESS_SECONDS = 1.0
"""Progress and the cancel check are one UPDATE, this often."""
HEARTBEAT_SECONDS = 5.0
STALL_SECONDS = 1_800.0
"""A run that moved nothing for so long is hung: its lease is not renewed any more."""
DETACH_SECONDS = 10.0
"""Longest wait for the parts on their way when a run stops early."""

draining = multiprocessing.Value("b", 0)
"""Made before the pool forks, so that the parent's shutdown reaches every child between two parts."""


def run_next(queue: str) -> RetryDecision | None:
    """Take the job whose turn it is in ``queue`` and run it; gives what Celery shall retry, if anything."""
    if draining.value:
        return None
    job = lifecycle.claim_next(queue, f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}")
    if job is None:
        return None
    with structlog.contextvars.bound_contextvars(request_id=job.request_id, job=str(job.pk), resource=job.resource):
        decision = Run(job).execute()
    for waiting in lifecycle.due_queues():
        dispatch.ring(waiting)
    return decision


class Run:
    """What one worker does under one claim."""

    def __init__(self, job: ExportJob) -> None:
        self.job = job
        self.upload: Upload | None = None
        self.chunk_ms: list[float] = []
        self.began = time.monotonic()

    def execute(self) -> RetryDecision | None:
        """Run to the end of the file, the slice or the first error, and record which."""
        log.info("export.job.started", claim=self.job.claim, attempt=self.job.failures + 1)
        heartbeat = Heartbeat(self.job)
        try:
            with heartbeat:
                self._export(heartbeat)
        except LeaseLost:
            self._leave()
        except PipelineError as error:
            return self._failed(error)
        except (DatabaseError, InterfaceError) as error:
            return self._database_failed(error)
        except Exception as error:
            self._fail(pipeline_errors.PipelineError(), traceback.format_exception(error))
            log.exception("export.job.failed", code="internal")
        return None

    # The file

    def _export(self, heartbeat: Heartbeat) -> None:
        plan = self._plan()
        store = storage.store()
        parts = self._take_over(store) or self._start_over(store, plan)
        after = parts[-1] if parts else None
        assert self.upload is not None  # noqa: S101 - both ways above set it
        if after is not None and after.last and (receipt := store.finished(self.upload, parts)):
            self._complete(plan, _finished(after, receipt))
            return
        with store.open(
            self.upload, content_type=plan.content_type, on_upload=self._record_upload, after=parts
        ) as sink:
            try:
                self._write(plan, sink, after, heartbeat)
            except BaseException as error:
                self._keep(sink, error)
                raise

    def _write(self, plan: Plan, sink: Sink, after: StoredPart | None, heartbeat: Heartbeat) -> None:
        job = self.job
        if after is not None and after.last:
            self._complete(plan, _finished(after, sink.complete()))
            return
        last = tuple(job.last_key) if job.last_key else None
        with closing(plan.open_source(after=after.cursor if after else None, last=last)) as source:
            job.last_key = list(source.last) if source.last else None
            lifecycle.record_snapshot(
                job,
                at=source.moment,
                after_key=after.cursor if after else None,
                rows_before=after.rows if after else 0,
            )
            with closing(
                loop.run(
                    source,
                    plan.encoder(after.state if after else None),
                    sink,
                    part_size=lambda number: part_size(number, conf.settings.PART_SIZE),
                    after=after,
                    limit=plan.limit,
                    max_rows=plan.resource.max_rows,
                )
            ) as steps:
                self._follow(steps, sink, plan, heartbeat)

    def _keep(self, sink: Sink, error: BaseException) -> None:
        """Leave the upload for another run; whether it is given up is decided with the error."""
        parts = sink.detach(timeout=DETACH_SECONDS)
        if parts and isinstance(error, PipelineError) and not error.terminal:
            try:
                lifecycle.record_parts(self.job, parts)
            except (LeaseLost, DatabaseError, InterfaceError):
                return  # what has no row is written again

    def _follow(self, steps: Iterator[Progress], sink: Sink, plan: Plan, heartbeat: Heartbeat) -> None:
        reported = time.monotonic()
        rows_at_start = None
        for progress in steps:
            heartbeat.moved()
            if progress.chunk_rows:
                self.chunk_ms.append(progress.chunk_seconds * 1000)
            if progress.receipt is not None:
                self._complete(plan, progress)
                return
            now = time.monotonic()
            rows_at_start = progress.rows - progress.chunk_rows if rows_at_start is None else rows_at_start
            if progress.parts or now - reported >= PROGRESS_SECONDS:
                rate = (progress.rows - rows_at_start) / max(now - self.began, 0.001)
                self._record(progress, progress.parts, rate)
                reported = now
            if progress.part_ended and (reason := self._stop_reason(plan)):
                self._hand_on(sink, progress, reason)
                return

    def _plan(self) -> Plan:
        """The same request, checked against what its owner may today."""
        if not conf.settings.ENABLED:
            raise pipeline_errors.PipelineError("Exports were switched off.")
        try:
            return make_plan(services.stored_request(self.job), self.job.owner, self.job.created_at)
        except errors.PermissionDenied as error:
            raise pipeline_errors.PermissionLost from error
        except errors.ColumnForbidden as error:
            raise pipeline_errors.PermissionLost from error
        except errors.Invalid as error:
            gone = error.errors or {}
            if "resource" in gone:
                raise pipeline_errors.ResourceGone from error
            raise pipeline_errors.ColumnGone if "columns" in gone else pipeline_errors.BadQuery from error

    def _take_over(self, store: Any) -> list[StoredPart]:
        """The parts of an earlier run that are still good; none: start over."""
        job = self.job
        parts = [stored_part(row) for row in ExportPart.objects.filter(job=job)]
        if not parts:
            return []
        upload = Upload(key=job.file_key, token=job.write_token, id=job.upload_id or None)
        try:
            good: list[StoredPart] = store.verify(upload, parts)
        except pipeline_errors.UploadLost:
            if parts[-1].last and store.finished(upload, parts):
                good = parts
            else:
                return []
        if len(good) < len(parts):
            ExportPart.objects.filter(job=job, number__gt=len(good)).delete()
        self.upload = upload
        return good

    def _start_over(self, store: Any, plan: Plan) -> list[StoredPart]:
        job = self.job
        if job.file_key:
            store.discard(Upload(key=job.file_key, token=job.write_token, id=job.upload_id or None))
        key = f"exports/{job.owner_id}/{job.pk}.{job.upload_number + 1}.{plan.extension}"
        lifecycle.begin_upload(job, key=key, token=secrets.token_hex(16))
        self.upload = Upload(key=key, token=job.write_token)
        return []

    # The row

    def _record_upload(self, upload_id: str) -> None:
        lifecycle.renew(self.job, upload_id=upload_id)
        self.job.upload_id = upload_id

    def _record(self, progress: Progress, parts: Sequence[StoredPart], rate: float) -> None:
        values = {"rows_done": progress.rows, "bytes_done": progress.bytes, "rows_per_second": rate}
        if parts:
            lifecycle.record_parts(self.job, parts, **values)
            log.info("export.job.part", number=parts[-1].number, rows=parts[-1].rows)
        else:
            lifecycle.renew(self.job, **values)

    def _complete(self, plan: Plan, progress: Progress) -> None:
        job = self.job
        assert progress.receipt is not None  # noqa: S101 - only called with one
        seconds = time.monotonic() - self.began
        lifecycle.complete(
            job,
            ttl=services.file_ttl(plan),
            row_count=progress.rows,
            rows_done=progress.rows,
            file_size=progress.receipt.size,
            bytes_done=progress.receipt.size,
            crc32=f"{progress.crc32:08x}",
            etag=progress.receipt.etag,
            rows_per_second=progress.rows / max(seconds, 0.001),
        )
        log.info("export.job.completed", rows=progress.rows, bytes=progress.receipt.size, seconds=round(seconds, 3))
        self._measure(progress, seconds)

    def _measure(self, progress: Progress, seconds: float) -> None:
        chunks = sorted(self.chunk_ms)
        cuts = statistics.quantiles(chunks, n=20, method="inclusive") if len(chunks) > 1 else chunks * 19
        ExportPerformance.objects.create(
            job=self.job,
            owner=self.job.owner,
            resource=self.job.resource,
            format=self.job.format,
            strategy=self.job.strategy,
            rows=progress.rows,
            bytes=progress.receipt.size if progress.receipt else 0,
            seconds=seconds,
            chunk_p50_ms=cuts[9] if cuts else None,
            chunk_p95_ms=cuts[18] if cuts else None,
            chunk_max_ms=chunks[-1] if chunks else None,
            peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )

    def _hand_on(self, sink: Sink, progress: Progress, reason: str) -> None:
        parts = sink.detach(timeout=DETACH_SECONDS)
        if parts:
            lifecycle.record_parts(self.job, parts, rows_done=progress.rows)
        lifecycle.hand_on(self.job, reason)
        log.info("export.job.progress", handed_on=reason, rows=progress.rows)

    def _stop_reason(self, plan: Plan) -> str | None:
        if draining.value:
            return "drain"
        over = time.monotonic() - self.began >= conf.settings.SLICE_SECONDS
        return "slice" if over and plan.format.resumable else None

    # When it goes wrong

    def _failed(self, error: PipelineError) -> RetryDecision | None:
        job = self.job
        away = (timezone.now() - job.outage_since).total_seconds() if job.outage_since else 0.0
        decision = retry.decide(
            error,
            failures=job.failures,
            max_attempts=job.max_attempts,
            outage_seconds=away,
            outage_limit=conf.settings.OUTAGE_SECONDS,
        )
        if decision is None:
            self._fail(error, traceback.format_exception(error))
            return None
        try:
            if isinstance(error, pipeline_errors.UploadLost):
                lifecycle.forget_parts(job)
            lifecycle.retry_later(job, delay=decision.delay, code=error.code, detail=str(error), counts=decision.counts)
        except LeaseLost:
            self._leave()
            return None
        log.warning("export.job.retrying", code=error.code, delay=decision.delay, counts=decision.counts)
        return decision

    def _database_failed(self, error: Exception) -> RetryDecision | None:
        """Our own database failed, perhaps in a COMMIT: what the row says now is what happened."""
        connection.close()
        try:
            self.job = ExportJob.objects.select_related("owner").get(pk=self.job.pk, claim=self.job.claim)
        except ExportJob.DoesNotExist:
            return None
        if self.job.status != Status.RUNNING:
            return None
        failure = pipeline_errors.DatabaseUnavailable()
        failure.__cause__ = error
        return self._failed(failure)

    def _fail(self, error: PipelineError, trace: list[str]) -> None:
        try:
            self._discard()
            lifecycle.fail(self.job, code=error.code, detail=str(error), trace="".join(trace))
        except LeaseLost:
            self._leave()
            return
        log.warning("export.job.failed", code=error.code)

    def _leave(self) -> None:
        """The job is no longer ours. Clean up only what is surely ours: an upload that was cancelled under us."""
        now = ExportJob.objects.filter(pk=self.job.pk).values("claim", "status").first()
        log.info("export.job.left", status=now["status"] if now else "deleted")
        if now is None or (now["claim"] == self.job.claim and now["status"] == Status.CANCELLED):
            self._discard()

    def _discard(self) -> None:
        if self.upload is not None:
            upload = Upload(key=self.upload.key, token=self.upload.token, id=self.job.upload_id or None)
            storage.store().discard(upload)


class Heartbeat:
    """Renews the lease from a thread of its own while the run moves, also during one long statement."""

    def __init__(self, job: ExportJob) -> None:
        self._job = job
        self._moved = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def moved(self) -> None:
        """The run did something."""
        self._moved = time.monotonic()

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        try:
            while not self._stop.wait(HEARTBEAT_SECONDS):
                if time.monotonic() - self._moved > STALL_SECONDS:
                    return
                try:
                    lifecycle.renew(self._job)
                except LeaseLost:
                    return  # the run finds out by itself at its next step
                except (DatabaseError, InterfaceError):
                    close_old_connections()
        finally:
            connection.close()


def _finished(last: StoredPart, receipt: Receipt) -> Progress:
    """The report of a run that found every byte stored and only completed the object."""
    return Progress(rows=last.rows, bytes=receipt.size, receipt=receipt, crc32=last.crc32)


def stored_part(row: ExportPart) -> StoredPart:
    """A checkpoint row as the pipeline knows it."""
    return StoredPart(
        number=row.number,
        etag=row.etag,
        offset=row.offset,
        size=row.size,
        rows=row.rows,
        cursor=tuple(row.cursor) if row.cursor is not None else None,
        crc32=row.crc32,
        state=row.state,
        last=row.last,
    )
