"""Files that are to go: removed in batches, oldest first; one that the storage refuses is set aside for a while.

A row names what has to go, a tombstone where the row is gone; it names it until that is gone. Who removes a batch
takes it for a few minutes, so that two of us never do the same, and what was left by one who was killed is due again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Least, Now

from exports_app import storage
from exports_app.choices import Status
from exports_app.logs import log
from exports_app.models import ExportJob, ExportTombstone
from exports_app.pipeline.errors import PipelineError, StorageUnavailable
from exports_app.pipeline.types import Discarded, Store, Upload

Row = TypeVar("Row", ExportJob, ExportTombstone)

BATCH = 500
TAKEN_FOR = timedelta(minutes=5)
SETTLING = timedelta(seconds=60)
"""How long the worker of a job that was ended under it, or whose row is gone, may still write."""
FIRST_PAUSE, LONGEST_PAUSE = 60, 3_600
"""Seconds until a refused file is tried again, doubled each time."""
AWAY_SECONDS = 10.0
"""No request tries a storage that did not answer another one so long ago."""
AT_ONCE = 100
"""Files that are removed while a person waits; the upkeep removes the others."""

_away_until = 0.0


def remove_files(which: Q, *, until: float) -> int:
    """Remove what the storage holds of ended jobs; gives of how many. ``until``: on the monotonic clock.

    The key of a job that ended a moment ago is left alone: its worker may still be writing.
    """
    settled = ~Q(status__in=(Status.CANCELLED, Status.FAILED)) | Q(completed_at__lt=Now() - SETTLING)
    rows = ExportJob.objects.filter(which, settled).exclude(file_key="").order_by("completed_at", "pk")
    removed = 0
    while time.monotonic() < until and (jobs := take(ExportJob, rows)):
        done = storage.store().discard_all([_upload(job) for job in jobs])
        gone = ExportJob.objects.filter(pk__in=[job.pk for job in jobs], file_key__in=done.gone)
        removed += gone.update(file_key="", upload_id="", discard_failures=0, discard_due_at=None)
        if not _set_aside(ExportJob, jobs, done):
            break
    return removed


def bury(*, until: float) -> int:
    """Remove the files of exports whose rows are gone; gives how many are done with.

    Again once its worker has surely stopped, where the row went a moment ago.
    """
    removed = 0
    rows = ExportTombstone.objects.order_by("pk")
    while time.monotonic() < until and (stones := take(ExportTombstone, rows)):
        done = storage.store().discard_all([stone.upload() for stone in stones], seek=True)
        removed += _forget(stones, done)
        if not _set_aside(ExportTombstone, stones, done):
            break
    return removed


def bury_at_once() -> None:
    """Remove the files whose rows went last, in a few calls, while a person waits; the upkeep does what is left."""
    stones = list(ExportTombstone.objects.filter(_due()).order_by("-pk")[:AT_ONCE])

    def discard(store: Store) -> None:
        done = store.discard_all([stone.upload() for stone in stones], seek=True)
        _forget(stones, done)
        say_what_remains(done.versions)
        for error in done.left.values():
            raise error

    if stones:
        at_once(discard)


def at_once(act: Callable[[Store], object], **names: str) -> None:
    """Ask the storage while a person waits: for seconds, and whatever it answers is no error of theirs."""
    global _away_until
    if time.monotonic() < _away_until:
        return
    try:
        act(storage.store(brief=True))
    except Exception as error:  # the row or tombstone remembers, and the upkeep goes on
        if isinstance(error, StorageUnavailable):
            _away_until = time.monotonic() + AWAY_SECONDS
        log.warning("export.leftover", **names, code=_code(error))


def refused() -> int:
    """Files that the storage has refused to remove, and still has."""
    stuck = Q(discard_failures__gt=0)
    return sum(model.objects.order_by().filter(stuck).count() for model in (ExportJob, ExportTombstone))


def _upload(job: ExportJob) -> Upload:
    """Of a finished file no upload is open, which spares a call or two each."""
    done = job.status in (Status.COMPLETED, Status.EXPIRED)
    return replace(job.upload(), id=None) if done else job.upload()


def _due() -> Q:
    return Q(discard_due_at=None) | Q(discard_due_at__lte=Now())


def take(model: type[Row], rows: QuerySet[Row]) -> list[Row]:
    """The first of ``rows`` that are due and nobody else has taken; for a few minutes they are this process's."""
    with transaction.atomic():
        free = rows.filter(_due()).select_for_update(skip_locked=True)
        taken = list(free.only("pk", *_NEEDED[model])[:BATCH])
        model.objects.filter(pk__in=[row.pk for row in taken]).update(discard_due_at=Now() + TAKEN_FOR)
    return taken


_NEEDED: dict[Any, Sequence[str]] = {
    ExportJob: ("file_key", "write_token", "upload_id", "status", "resource", "request_id", "discard_failures"),
    ExportTombstone: ("file_key", "write_token", "created_at", "discard_failures"),
}


def _forget(stones: Sequence[ExportTombstone], done: Discarded) -> int:
    gone = ExportTombstone.objects.filter(pk__in=[stone.pk for stone in stones], file_key__in=done.gone)
    gone.filter(created_at__gte=Now() - SETTLING).update(
        discard_failures=0, discard_due_at=F("created_at") + Value(SETTLING)
    )
    return gone.filter(created_at__lt=Now() - SETTLING).delete()[0]


def _set_aside(model: type[Row], taken: Sequence[Row], done: Discarded) -> bool:
    """Have those that were refused wait, and give back those that were not tried. False: the storage is away."""
    say_what_remains(done.versions)
    gone = set(done.gone)
    for row in taken:
        if (error := done.left.get(row.file_key)) is not None:
            seconds = min(FIRST_PAUSE * 2 ** min(row.discard_failures, 10), LONGEST_PAUSE)
            rows = model.objects.filter(pk=row.pk, file_key=row.file_key)
            failures = Least(F("discard_failures") + 1, 1_000)
            rows.update(discard_failures=failures, discard_due_at=Now() + timedelta(seconds=seconds))
            log.warning("export.leftover", key=row.file_key, code=_code(error), failures=row.discard_failures + 1)
    untried = [row.pk for row in taken if row.file_key not in gone and row.file_key not in done.left]
    model.objects.filter(pk__in=untried).update(discard_due_at=None)
    return not untried


def say_what_remains(files: int) -> None:
    """In a bucket that keeps versions, deleted files are there until its rules remove them."""
    if files:
        log.info("export.versions.remain", files=files)


def _code(error: Exception) -> str:
    return error.code if isinstance(error, PipelineError) else type(error).__name__
