"""Every move of a job from one state to another, each by compare-and-set.

A move names the state it leaves and, where a worker makes it, the claim it was made under. Zero rows means that
somebody else has the job: stop, and touch nothing. All times are the database's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, models, transaction
from django.db.models import F
from django.db.models.functions import Now

from exports_app import conf
from exports_app.choices import TRANSITIONS, EventKind, Queue, Status
from exports_app.models import ExportEvent, ExportJob, ExportPart
from exports_app.pipeline.errors import WorkerLost
from exports_app.pipeline.types import StoredPart

CLAIM_LOCK = 0x65787074
"""Advisory lock (transaction) under which claims are made one by one, so that limits are exact."""
MAX_CRASHES = 3


class LeaseLost(Exception):
    """The job belongs to somebody else now, or was cancelled."""


# A worker takes, keeps and leaves a job


def claim_next(queue: str, worker: str) -> ExportJob | None:
    """Take the due job of the owner with the fewest running ones, the oldest of them; None: nothing to do."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CLAIM_LOCK])
        cursor.execute(
            _CLAIM,
            {
                "queue": queue,
                "worker": worker[:200],
                "lease": conf.settings.LEASE_SECONDS,
                "most": conf.settings.SOURCE_MAX_RUNNING,
            },
        )
        row = cursor.fetchone()
        if row is None:
            return None
        job = ExportJob.objects.select_related("owner").get(pk=row[0])
        resumed = job.upload_number > 0
        _event(job, EventKind.RESUMED if resumed else EventKind.STARTED, {"attempt": job.failures + 1})
        return job


def renew(job: ExportJob, **values: Any) -> None:
    """Keep the lease and write ``values``. Raises ``LeaseLost`` where the job is no longer ours."""
    lease = Now() + timedelta(seconds=conf.settings.LEASE_SECONDS)
    if not _owned(job).update(lease_expires_at=lease, **values):
        raise LeaseLost


def begin_upload(job: ExportJob, *, key: str, token: str) -> None:
    """Start from the first byte under a new object key; what was recorded of an earlier upload is forgotten."""
    values = {"file_key": key, "write_token": token, "upload_number": job.upload_number + 1, "upload_id": ""}
    with transaction.atomic():
        renew(job, **values, snapshots=[], last_key=None, warnings=[], rows_done=0, bytes_done=0)
        ExportPart.objects.filter(job=job).delete()
    for name, value in (values | {"snapshots": [], "last_key": None, "warnings": []}).items():
        setattr(job, name, value)


def record_parts(job: ExportJob, parts: Iterable[StoredPart], **values: Any) -> None:
    """Checkpoint: the parts, the progress and the lease in one transaction, fenced by the claim."""
    rows = [
        ExportPart(
            job=job,
            number=part.number,
            etag=part.etag,
            offset=part.offset,
            size=part.size,
            rows=part.rows,
            cursor=list(part.cursor) if part.cursor is not None else None,
            crc32=part.crc32,
            state=part.state,
            last=part.last,
            claim=job.claim,
        )
        for part in parts
    ]
    with transaction.atomic():
        renew(job, failures=0, crashes=0, outage_since=None, **values)
        ExportPart.objects.bulk_create(rows)


def forget_parts(job: ExportJob) -> None:
    """The upload is gone or wrong: the next run starts over. Raises ``LeaseLost``."""
    with transaction.atomic():
        renew(job)
        ExportPart.objects.filter(job=job).delete()


def complete(job: ExportJob, *, ttl: int, **proof: Any) -> None:
    """The file is whole and proven. Raises ``LeaseLost``."""
    expires = Now() + timedelta(seconds=ttl)
    with transaction.atomic():
        _move(
            _owned(job),
            Status.RUNNING,
            Status.COMPLETED,
            completed_at=Now(),
            expires_at=expires,
            lease_expires_at=None,
            next_attempt_at=None,
            error_code="",
            error_detail="",
            error_trace="",
            **proof,
        )
        _event(job, EventKind.COMPLETED, {key: proof[key] for key in ("row_count", "file_size", "crc32")})


def fail(job: ExportJob, *, code: str, detail: str, trace: str = "") -> None:
    """End a running job for good. Raises ``LeaseLost``."""
    with transaction.atomic():
        _move(
            _owned(job),
            Status.RUNNING,
            Status.FAILED,
            completed_at=Now(),
            lease_expires_at=None,
            next_attempt_at=None,
            error_code=code,
            error_detail=detail,
            error_trace=trace,
        )
        _event(job, EventKind.FAILED, {"code": code})


def retry_later(job: ExportJob, *, delay: float, code: str, detail: str, counts: bool) -> None:
    """Give a job back after a failure that may pass; ``counts``: it uses an attempt. Raises ``LeaseLost``."""
    values: dict[str, Any] = {"outage_since": None, "failures": F("failures") + 1} if counts else {}
    if not counts and job.outage_since is None:
        values["outage_since"] = Now()
    with transaction.atomic():
        _move(
            _owned(job),
            Status.RUNNING,
            Status.QUEUED,
            lease_expires_at=None,
            next_attempt_at=Now() + timedelta(seconds=delay),
            rung_at=Now(),
            error_code=code,
            error_detail=detail,
            **values,
        )
        _event(job, EventKind.RETRY, {"code": code, "delay": round(delay, 3), "counts": counts})


def hand_on(job: ExportJob, reason: str) -> None:
    """Give a job back between two parts, nothing lost: the slice is over or the worker stops."""
    with transaction.atomic():
        _move(_owned(job), Status.RUNNING, Status.QUEUED, lease_expires_at=None, next_attempt_at=None, rung_at=None)
        _event(job, EventKind.HANDED_ON, {"reason": reason})


# People


def cancel(job_id: Any) -> bool:
    """Cancel a queued or running job. False where it has ended already."""
    with transaction.atomic():
        for old in (Status.QUEUED, Status.RUNNING):
            rows = ExportJob.objects.filter(pk=job_id)
            if _try(rows, old, Status.CANCELLED, completed_at=Now(), lease_expires_at=None, next_attempt_at=None):
                _event_id(job_id, EventKind.CANCELLED, {})
                return True
    return False


def restart(job_id: Any) -> bool:
    """A person's retry of a failed or cancelled job: the same id, from the start."""
    with transaction.atomic():
        for old in (Status.FAILED, Status.CANCELLED):
            if _try(
                ExportJob.objects.filter(pk=job_id),
                old,
                Status.QUEUED,
                failures=0,
                crashes=0,
                outage_since=None,
                completed_at=None,
                next_attempt_at=None,
                rung_at=None,
                rows_done=0,
                bytes_done=0,
                error_code="",
                error_detail="",
                error_trace="",
            ):
                ExportPart.objects.filter(job_id=job_id).delete()  # it starts over
                _event_id(job_id, EventKind.QUEUED, {"again": True})
                return True
    return False


# Upkeep


def due_queues() -> list[str]:
    """Queues in which a due job waits whose bell was not rung within the last sweep or two; marks them rung."""
    quiet = Now() - timedelta(seconds=conf.settings.SWEEP_SECONDS)
    due = ExportJob.objects.filter(status=Status.QUEUED).filter(
        models.Q(next_attempt_at=None) | models.Q(next_attempt_at__lte=Now())
    )
    unrung = due.filter(models.Q(rung_at=None) | models.Q(rung_at__lte=quiet))
    queues = list(unrung.values_list("queue", flat=True).order_by("queue").distinct())
    unrung.update(rung_at=Now())
    return queues


def take_back_lost() -> list[ExportJob]:
    """Running jobs whose lease has ended: queued again, or failed once that happened too often."""
    lost = ExportJob.objects.filter(status=Status.RUNNING, lease_expires_at__lt=Now())
    moved: list[ExportJob] = []
    for job in lost[:100]:
        rows = _owned(job).filter(lease_expires_at__lt=Now())
        with transaction.atomic():
            if job.crashes + 1 >= MAX_CRASHES:
                took = _try(rows, Status.RUNNING, Status.FAILED, crashes=F("crashes") + 1, **_worker_lost())
            else:
                took = _try(
                    rows,
                    Status.RUNNING,
                    Status.QUEUED,
                    crashes=F("crashes") + 1,
                    lease_expires_at=None,
                    next_attempt_at=None,
                    rung_at=None,
                )
            if took:
                _event(job, EventKind.LOST, {"worker": job.worker})
                moved.append(job)
    return moved


def expire(job: ExportJob) -> bool:
    """The file's time is over."""
    with transaction.atomic():
        rows = ExportJob.objects.filter(pk=job.pk, expires_at__lte=Now())
        if not _try(rows, Status.COMPLETED, Status.EXPIRED):
            return False
        _event(job, EventKind.EXPIRED, {})
    return True


def queue_for(estimated_rows: int | None) -> Queue:
    """Small exports never wait behind large ones."""
    large = estimated_rows is not None and estimated_rows > conf.settings.STREAM_MAX_ROWS
    return Queue.LARGE if large else Queue.SMALL


def queue_position(job: ExportJob) -> int | None:
    """How many queued jobs of the same queue came before this one, plus one; None where it does not wait."""
    if job.status != Status.QUEUED:
        return None
    ahead = ExportJob.objects.filter(status=Status.QUEUED, queue=job.queue, created_at__lt=job.created_at)
    return ahead.count() + 1


def record_snapshot(job: ExportJob, *, at: datetime, after_key: Sequence[str] | None, rows_before: int) -> None:
    """Note the moment that rows from here on are read at. Raises ``LeaseLost``."""
    entry = {"at": at.isoformat(), "after_key": list(after_key) if after_key else None, "rows_before": rows_before}
    job.snapshots = [*job.snapshots, entry]
    renew(job, snapshots=job.snapshots, last_key=job.last_key)


def _owned(job: ExportJob) -> models.QuerySet[ExportJob]:
    return ExportJob.objects.filter(pk=job.pk, status=Status.RUNNING, claim=job.claim)


def _try(rows: models.QuerySet[ExportJob], old: Status, new: Status, **values: Any) -> bool:
    if new not in TRANSITIONS[old]:
        raise ValueError(f"{old} cannot become {new}")
    return rows.filter(status=old).update(status=new, **values) == 1


def _move(rows: models.QuerySet[ExportJob], old: Status, new: Status, **values: Any) -> None:
    if not _try(rows, old, new, **values):
        raise LeaseLost


def _event(job: ExportJob, kind: EventKind, data: dict[str, Any]) -> None:
    _event_id(job.pk, kind, data)


def _event_id(job_id: Any, kind: EventKind, data: dict[str, Any]) -> None:
    ExportEvent.objects.create(job_id=job_id, kind=kind, data=data)


def _worker_lost() -> dict[str, Any]:
    return {
        "completed_at": Now(),
        "lease_expires_at": None,
        "next_attempt_at": None,
        "error_code": WorkerLost.code,
        "error_detail": str(WorkerLost()),
    }


_CLAIM = """
UPDATE exports_app_exportjob
   SET status = 'running',
       claim = claim + 1,
       worker = %(worker)s,
       lease_expires_at = clock_timestamp() + %(lease)s * interval '1 second',
       next_attempt_at = NULL,
       started_at = COALESCE(started_at, clock_timestamp())
 WHERE id = (
       SELECT job.id
         FROM exports_app_exportjob AS job
         LEFT JOIN (SELECT owner_id, count(*) AS running
                      FROM exports_app_exportjob
                     WHERE status = 'running'
                     GROUP BY owner_id) AS load USING (owner_id)
        WHERE job.status = 'queued'
          AND job.queue = %(queue)s
          AND (job.next_attempt_at IS NULL OR job.next_attempt_at <= clock_timestamp())
          AND (SELECT count(*) FROM exports_app_exportjob WHERE status = 'running') < %(most)s
        ORDER BY COALESCE(load.running, 0), job.created_at, job.id
        LIMIT 1
          FOR UPDATE OF job SKIP LOCKED)
RETURNING id
"""
