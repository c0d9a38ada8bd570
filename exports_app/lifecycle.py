"""Every move of a job from one state to another, each by compare-and-set.

A move names the state it leaves and, where a worker makes it, the claim it was made under. Zero rows means that
somebody else has the job: stop, and touch nothing. All times are the database's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Greatest, Least, Now

from exports_app import conf, live, metrics, notifications, turns
from exports_app.choices import ACTIVE, TRANSITIONS, EventKind, Queue, Status, Strategy, WebhookEvent
from exports_app.models import ExportEvent, ExportJob, ExportPart, ExportToken
from exports_app.pipeline.errors import WorkerLost
from exports_app.pipeline.types import StoredPart

MAX_CRASHES = 3
_ENDED: dict[str, Any] = {"completed_at": Now(), "lease_expires_at": None, "next_attempt_at": None}
"""What a run or a person that ends a job writes besides."""


class LeaseLost(Exception):
    """The job belongs to somebody else now, or was cancelled."""


# A worker takes, keeps and leaves a job


def claim_next(queue: str, worker: str) -> ExportJob | None:
    """Take the due job of the owner with the fewest running ones, the oldest of them; None: nothing to do."""
    most: int = conf.settings.SOURCE_MAX_RUNNING
    with transaction.atomic():
        # Large ones leave the last place to small ones.
        room = max(1, most - 1) if queue == Queue.LARGE else most
        lease = conf.settings.LEASE_SECONDS
        taken = turns.claim(queue, worker[:200], lease=lease, most=room, all_places=most)
        if taken is None:
            return None
        job = ExportJob.objects.select_related("owner").get(pk=taken)
        resumed = job.upload_number > 0
        record_event(job.pk, EventKind.RESUMED if resumed else EventKind.STARTED, {"attempt": job.failures + 1})
        return job


def claimed_by(worker: str) -> ExportJob | None:
    """The job that this worker took, where the answer to its claim was lost."""
    return ExportJob.objects.select_related("owner").filter(status=Status.RUNNING, worker=worker[:200]).first()


def begun_here(worker: str, *, lease: float) -> dict[str, Any]:
    """Columns of a new job that the process which stores it works on itself; ``lease``: seconds for its first steps."""
    return {
        "status": Status.RUNNING,
        "claim": 1,
        "worker": worker[:200],
        "lease_expires_at": Now() + timedelta(seconds=lease),
        "started_at": Now(),
        "expires_at": None,  # no file is kept
    }


def renew(job: ExportJob, **values: Any) -> None:
    """Keep the lease and write ``values``. Raises ``LeaseLost`` where the job is no longer ours."""
    lease = Now() + timedelta(seconds=conf.settings.LEASE_SECONDS)
    if not _owned(job).update(lease_expires_at=lease, **values):
        raise LeaseLost


def begin_upload(job: ExportJob, *, key: str, token: str, **more: Any) -> None:
    """Start from the first byte under a new key, an earlier upload forgotten; ``more``: further columns of the row."""
    values = {"file_key": key, "write_token": token, "upload_number": job.upload_number + 1, "upload_id": "", **more}
    with transaction.atomic():
        renew(job, **values, **_UNREAD, rows_done=0, bytes_done=0)
        if job.upload_number:
            ExportPart.objects.filter(job=job).delete()
    for name, value in (values | _UNREAD).items():
        setattr(job, name, value)


def record_parts(job: ExportJob, parts: Sequence[StoredPart], *, lasting: bool = True, **values: Any) -> None:
    """Checkpoint: the parts, the progress and the lease in one transaction, fenced by the claim.

    Parts that last, since another run can go on behind them, give back the whole budget.
    """
    budget: dict[str, Any] = {"failures": 0, "crashes": 0} if lasting else {}
    with transaction.atomic():
        renew(job, outage_since=None, **budget, **values)
        ExportPart.objects.bulk_create([ExportPart.of(job, part, lasting=lasting) for part in parts])
        ExportPart.forget_tails(job, parts)
    for name, value in ({"outage_since": None} | budget).items():
        setattr(job, name, value)


def keep_parts(job: ExportJob, count: int) -> None:
    """Forget all parts behind the first ``count``; the run writes them again. Raises ``LeaseLost``."""
    with transaction.atomic():
        renew(job)
        ExportPart.objects.filter(job=job, number__gt=count).delete()


def complete(job: ExportJob, *, ttl: int | None, **proof: Any) -> None:
    """The file is whole and proven; ``ttl``: seconds it is kept, None: it is not. Raises ``LeaseLost``."""
    expires = Now() + timedelta(seconds=ttl) if ttl is not None else None
    with transaction.atomic():
        _move(
            _owned(job),
            Status.RUNNING,
            Status.COMPLETED,
            expires_at=expires,
            error_code="",
            error_detail="",
            error_trace="",
            **_ENDED,
            **proof,
        )
        record_event(job.pk, EventKind.COMPLETED, {key: proof[key] for key in ("row_count", "file_size", "crc32")})
        notifications.record(job.pk, WebhookEvent.COMPLETED)
        metrics.job_ended(job, "completed")


def fail(job: ExportJob, *, code: str, detail: str, trace: str = "") -> None:
    """End a running job for good. Raises ``LeaseLost``."""
    with transaction.atomic():
        texts = {"error_code": code, "error_detail": detail, "error_trace": trace}
        _move(_owned(job), Status.RUNNING, Status.FAILED, **texts, **_ENDED)
        record_event(job.pk, EventKind.FAILED, {"code": code, "detail": detail})
        notifications.record(job.pk, WebhookEvent.FAILED)
        metrics.job_ended(job, "failed", code=code)


def retry_later(
    job: ExportJob, *, delay: float, code: str, detail: str, counts: bool, starts_over: bool = False
) -> None:
    """Give a job back after a failure that may pass; ``counts``: it uses an attempt. Raises ``LeaseLost``.

    ``starts_over``: the upload is gone or wrong, so what was recorded of it is forgotten.
    """
    values: dict[str, Any] = {"outage_since": None, "failures": F("failures") + 1} if counts else {}
    if not counts and job.outage_since is None:
        values["outage_since"] = Now()
    with transaction.atomic():
        if starts_over:
            keep_parts(job, 0)
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
        data = {"code": code, "detail": detail, "delay": round(delay, 3), "counts": counts, "starts_over": starts_over}
        record_event(job.pk, EventKind.RETRY, data)
        metrics.job_retried(code)


def outage_seconds(job: ExportJob) -> float:
    """How long what the job needs has been away, by the database's clock."""
    since = ExportJob.objects.filter(pk=job.pk, outage_since__isnull=False)
    away = since.values_list(Now() - F("outage_since"), flat=True).first()
    return away.total_seconds() if away else 0.0


def started_over(job: ExportJob, *, code: str | None = None) -> int:
    """How often an error, of this ``code`` if any, that uses attempts sent this job back to its first byte.

    Counted since a person asked for it.
    """
    asked = ExportEvent.objects.filter(job=job, kind=EventKind.QUEUED).order_by("-id").values("id")[:1]
    retries = ExportEvent.objects.filter(job=job, kind=EventKind.RETRY, data__starts_over=True, data__counts=True)
    if code is not None:
        retries = retries.filter(data__code=code)
    return retries.filter(id__gt=Coalesce(models.Subquery(asked), 0)).count()


def hand_on(job: ExportJob, reason: str) -> None:
    """Give a job back between two parts, nothing lost: the slice is over or the worker stops."""
    with transaction.atomic():
        # The end of the lease is kept: who has had a slice comes behind who waits for the first one.
        _move(_owned(job), Status.RUNNING, Status.QUEUED, lease_expires_at=Now(), next_attempt_at=None, rung_at=None)
        record_event(job.pk, EventKind.HANDED_ON, {"reason": reason})


def leave_to_workers(job: ExportJob, **values: Any) -> None:
    """Have a download that sent nothing become a job in the background, in a transaction. Raises ``LeaseLost``."""
    _move(_owned(job), Status.RUNNING, Status.QUEUED, **_AFRESH, **values)
    record_event(job.pk, EventKind.QUEUED, {})


# People


def cancel(job_id: Any) -> bool:
    """Cancel a queued or running job. False where it has ended already."""
    with transaction.atomic():
        rows = ExportJob.objects.filter(pk=job_id)
        if not _try(rows, ACTIVE, Status.CANCELLED, **_ENDED):
            return False
        record_event(job_id, EventKind.CANCELLED, {})
        notifications.record(job_id, WebhookEvent.CANCELLED)
        metrics.job_ended(rows.only("resource", "format").get(), "cancelled")
        return True


def restart(job_id: Any) -> bool:
    """A person's retry of a failed or cancelled job: the same id, from the start."""
    with transaction.atomic():
        rows = ExportJob.objects.filter(pk=job_id)
        if not _try(rows, (Status.FAILED, Status.CANCELLED), Status.QUEUED, **_AFRESH):
            return False
        ExportPart.objects.filter(job_id=job_id).delete()  # it starts over
        withdraw_tokens(job_id)
        record_event(job_id, EventKind.QUEUED, {"again": True})
        return True


def extend(job_id: Any, *, life: timedelta, longest: timedelta) -> bool:
    """Keep a finished file for ``life`` from now, but ``longest`` from its completion at most. False: no file is left.

    A file that lives longer anyway is left alone.
    """
    until = Least(Now() + life, F("completed_at") + longest)
    rows = ExportJob.objects.filter(pk=job_id, status=Status.COMPLETED, deleted_at=None, expires_at__gt=Now())
    return rows.update(expires_at=Greatest(F("expires_at"), until)) == 1


def withdraw_tokens(job_id: Any) -> int:
    """No link that was given out for this job works any more; gives how many still did."""
    waiting = ExportToken.objects.filter(job_id=job_id, redeemed_at=None, revoked_at=None)
    return waiting.update(revoked_at=Now())


_UNREAD: dict[str, Any] = {
    "snapshots": [],
    "last_key": None,
    "warnings": [],
    "rows_counted": None,
    "rows_verified": None,
    "sheet_rows": None,
    "discard_failures": 0,  # of the file before
    "discard_due_at": None,
}
"""Of a job none of whose rows were read yet."""
_AFRESH: dict[str, Any] = _UNREAD | {
    "strategy": Strategy.BACKGROUND,  # nobody waits for the answer to a download any more
    "failures": 0,
    "crashes": 0,
    "outage_since": None,
    "started_at": None,
    "completed_at": None,
    "lease_expires_at": None,
    "next_attempt_at": None,
    "rung_at": Now(),  # by whoever asked for it; see services._create
    "rows_done": 0,
    "bytes_done": 0,
    "rows_per_second": None,
    **dict.fromkeys(("error_code", "error_detail", "error_trace"), ""),
}


# Upkeep


def due_queues() -> Counter[str]:
    """How many due jobs of each queue wait whose bell was not rung within the last sweep; marks them rung.

    As many of each as may run at once at most.
    """
    return turns.ring(conf.settings.SWEEP_SECONDS, conf.settings.SOURCE_MAX_RUNNING)


def is_waiting(queue: str) -> bool:
    """Whether a due job of this queue waits for a worker."""
    due = models.Q(next_attempt_at=None) | models.Q(next_attempt_at__lte=Now())
    return ExportJob.objects.filter(due, status=Status.QUEUED, queue=queue).exists()


def take_back_lost() -> list[ExportJob]:
    """Running jobs whose lease has ended: queued again, or failed once that happened too often.

    Gives them as they are now.
    """
    lost = turns.lost(lease=conf.settings.LEASE_SECONDS, sweep=conf.settings.SWEEP_SECONDS)
    return [job for job in ExportJob.objects.filter(pk__in=lost) if _take_back(job)]


def _take_back(job: ExportJob) -> bool:
    rows = _owned(job).filter(lease_expires_at__lt=Now())
    values: dict[str, Any] = {"crashes": F("crashes") + 1, "lease_expires_at": None, "next_attempt_at": None}
    here = job.strategy != Strategy.BACKGROUND  # its client is gone with the process, so that nobody goes on with it
    failed = here or job.crashes + 1 >= MAX_CRASHES
    error = WorkerLost("The server stopped while it sent the file. Start the export again." if here else "")
    if failed:
        values |= {"completed_at": Now(), "error_code": error.code, "error_detail": str(error)}
    else:
        values["rung_at"] = None
    with transaction.atomic():
        if not _try(rows, Status.RUNNING, Status.FAILED if failed else Status.QUEUED, **values):
            return False
        record_event(job.pk, EventKind.LOST, {"worker": job.worker})
        if failed:
            record_event(job.pk, EventKind.FAILED, {"code": error.code, "detail": str(error)})
            notifications.record(job.pk, WebhookEvent.FAILED)
            metrics.job_ended(job, "failed", code=error.code)
        else:
            metrics.job_retried(error.code)
    job.refresh_from_db()
    return True


def expire_due(most: int) -> list[ExportJob]:
    """The oldest files whose time is over, ``most`` at once; gives their jobs."""
    with transaction.atomic():
        due = ExportJob.objects.filter(status=Status.COMPLETED, expires_at__lte=Now()).order_by("expires_at")
        jobs = list(due.select_for_update(skip_locked=True)[:most])
        ExportJob.objects.filter(pk__in=[job.pk for job in jobs]).update(status=Status.EXPIRED)
        events = [ExportEvent(job=job, kind=EventKind.EXPIRED, data={}) for job in jobs]
        for event in ExportEvent.objects.bulk_create(events):
            transaction.on_commit(partial(live.announce, event.job_id, event.pk), robust=True)
        for job in jobs:
            if any(job.notify.values()):
                notifications.record(job.pk, WebhookEvent.EXPIRED)
    return jobs


def queue_for(estimated_rows: int | None) -> Queue:
    """Small exports never wait behind large ones, nor behind those of which nobody knows."""
    return (
        Queue.SMALL if estimated_rows is not None and estimated_rows <= conf.settings.STREAM_MAX_ROWS else Queue.LARGE
    )


def record_event(job_id: Any, kind: EventKind, data: dict[str, Any]) -> None:
    """Store what happened to a job, and tell who watches it once that is committed."""
    event = ExportEvent.objects.create(job_id=job_id, kind=kind, data=data)
    transaction.on_commit(lambda: live.announce(job_id, event.pk), robust=True)


def record_snapshot(job: ExportJob, *, at: datetime, after_key: Sequence[str] | None, rows_before: int) -> None:
    """Note the moment that rows from here on are read at. Raises ``LeaseLost``.

    A moment that no row before ``rows_before`` came from has given nothing to the file.
    """
    entry = {"at": at.isoformat(), "after_key": list(after_key) if after_key else None, "rows_before": rows_before}
    job.snapshots = [*(each for each in job.snapshots if each["rows_before"] < rows_before), entry]
    renew(job, snapshots=job.snapshots, last_key=job.last_key)


def _owned(job: ExportJob) -> models.QuerySet[ExportJob]:
    return ExportJob.objects.filter(pk=job.pk, status=Status.RUNNING, claim=job.claim)


def _try(rows: models.QuerySet[ExportJob], old: Status | Sequence[Status], new: Status, **values: Any) -> bool:
    states = [old] if isinstance(old, Status) else old
    for state in states:
        if new not in TRANSITIONS[state]:
            raise ValueError(f"{state} cannot become {new}")
    return rows.filter(status__in=states).update(status=new, **values) == 1


def _move(rows: models.QuerySet[ExportJob], old: Status, new: Status, **values: Any) -> None:
    if not _try(rows, old, new, **values):
        raise LeaseLost
