"""What is kept and for how long: files, rows, and the leftovers of jobs that ended early."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from exports_app import api_keys, clock, conf, handover, lifecycle, removals, rights, sharing, webhooks
from exports_app.choices import ACTIVE, Status
from exports_app.logs import log
from exports_app.models import (
    ApiKey,
    ExportJob,
    ExportNotification,
    ExportPerformance,
    ExportPerson,
    ExportShare,
    ExportToken,
)
from exports_app.models.jobs import LEAVING, UNFINISHED, UNREADABLE

ROUND_SECONDS = 120.0
"""One round of work takes no longer; where more is left, the next comes at once."""
BATCH = 200
"""Rows of one statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What one pass removed."""

    files: int
    jobs: int
    performance: int
    tokens: int
    more: bool
    """The time was over before the work was."""


def prune(seconds: float = ROUND_SECONDS) -> Pruned:
    """Expire files whose time is over, delete them, and delete rows past their time, for ``seconds`` at most."""
    until = time.monotonic() + seconds
    _end_unrecorded()
    files = _expire(until)
    now = clock.now()
    jobs = _delete_rows(now - _days("JOB"), until)
    ExportNotification.objects.filter(job=None, created_at__lt=now - _days("PERFORMANCE")).delete()
    performance = ExportPerformance.objects.filter(created_at__lt=now - _days("PERFORMANCE")).delete()[0]
    tokens = ExportToken.objects.filter(expires_at__lt=now - _days("TOKEN")).delete()[0]
    api_keys.prune(now - _days("TOKEN"))
    ExportShare.objects.filter(at__lt=now - sharing.PERIOD).delete()
    webhooks.forget_former()
    webhooks.seal_plain()
    webhooks.seal_again()
    handover.take_over()
    _forget_addresses(now - _days("ADDRESS"))
    if conf.settings.CLEAR_SESSIONS:
        import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    return Pruned(files=files, jobs=jobs, performance=performance, tokens=tokens, more=time.monotonic() >= until)


def _expire(until: float) -> int:
    """The rows first, since from then on nobody fetches the files; gives how many files were removed."""
    while expired := lifecycle.expire_due(removals.BATCH):
        for job in expired:
            log.info("export.job.expired", **job.names())
        if time.monotonic() >= until:
            break
    return removals.remove_files(UNREADABLE, until=until)


def _delete_rows(before: datetime, until: float) -> int:
    unsettled = Q(status__in=ACTIVE) | Q(status=Status.COMPLETED, expires_at__isnull=False)
    old = ExportJob.objects.filter(created_at__lt=before, file_key="").exclude(unsettled)
    deleted = 0
    while rows := ExportJob.objects.filter(pk__in=old.values("pk")[:BATCH]).delete()[1].get("exports_app.ExportJob", 0):
        deleted += rows
        if time.monotonic() >= until:
            break
    return deleted


def _days(kind: str) -> timedelta:
    return timedelta(days=getattr(conf.settings, f"{kind}_DAYS"))


def _forget_addresses(before: datetime) -> None:
    """Where people came from is forgotten; that they were there, and who, is kept."""
    ExportPerson.objects.filter(created_at__lt=before).exclude(address="").update(address="")
    ApiKey.objects.filter(last_used_at__lt=before).exclude(last_used_from="").update(last_used_from="")


def _end_unrecorded() -> None:
    """Files of an earlier version whose tables nobody recorded: nobody may fetch them, so their time is over."""
    unrecorded = ExportJob.objects.filter(status=Status.COMPLETED, tables__isnull=True, expires_at__gt=Now())
    for job in unrecorded.filter(resource__in=rights.with_sheets())[:BATCH]:
        if rights.is_unrecorded(job):
            ExportJob.objects.filter(pk=job.pk, status=Status.COMPLETED).update(expires_at=clock.now())


def clean_leftovers(seconds: float = ROUND_SECONDS) -> int:
    """Remove what the storage holds of jobs that ended without a file; gives how many there were."""
    return removals.remove_files(UNFINISHED, until=time.monotonic() + seconds)


def bury(seconds: float = ROUND_SECONDS) -> int:
    """Remove files whose export's row is gone, whoever deleted it; gives how many are done with."""
    return removals.bury(until=time.monotonic() + seconds)


def remove_files(seconds: float) -> None:
    """Remove whatever may go, for ``seconds`` in all."""
    until = time.monotonic() + seconds
    removals.remove_files(LEAVING, until=until)
    removals.bury(until=until)
