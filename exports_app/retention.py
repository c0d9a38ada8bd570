"""What is kept and for how long: files, rows, and the leftovers of jobs that ended early."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from exports_app import api_keys, conf, lifecycle, orphans, rights, services, sharing, webhooks
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
from exports_app.pipeline.errors import PipelineError

CLEAN_AFTER = timedelta(seconds=60)
"""A worker cleans up after its own job first."""
BATCH = 200
"""Jobs handled by one pass; the next pass comes soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What one pass removed."""

    files: int
    jobs: int
    performance: int
    tokens: int


def prune() -> Pruned:
    """Expire files whose time is over, delete them, and delete rows past their time."""
    _end_unrecorded()
    now = timezone.now()
    for job in ExportJob.objects.filter(status=Status.COMPLETED, expires_at__lte=now)[:BATCH]:
        if lifecycle.expire(job):
            log.info("export.job.expired", **job.names())
    unreadable = Q(status=Status.EXPIRED) | Q(status=Status.COMPLETED, deleted_at__isnull=False)
    files = _discard(unreadable)
    unsettled = Q(status__in=ACTIVE) | Q(status=Status.COMPLETED, expires_at__isnull=False)
    old = ExportJob.objects.filter(created_at__lt=now - _days("JOB"), file_key="").exclude(unsettled)
    jobs = ExportJob.objects.filter(pk__in=old.values("pk")[:BATCH]).delete()[1].get("exports_app.ExportJob", 0)
    ExportNotification.objects.filter(job=None, created_at__lt=now - _days("PERFORMANCE")).delete()
    performance = ExportPerformance.objects.filter(created_at__lt=now - _days("PERFORMANCE")).delete()[0]
    tokens = ExportToken.objects.filter(expires_at__lt=now - _days("TOKEN")).delete()[0]
    api_keys.prune(now - _days("TOKEN"))
    ExportShare.objects.filter(at__lt=now - sharing.PERIOD).delete()
    webhooks.forget_former()
    webhooks.seal_again()
    _forget_addresses(now - _days("ADDRESS"))
    if conf.settings.CLEAR_SESSIONS:
        import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    return Pruned(files=files, jobs=jobs, performance=performance, tokens=tokens)


def _days(kind: str) -> timedelta:
    return timedelta(days=getattr(conf.settings, f"{kind}_DAYS"))


def _forget_addresses(before: datetime) -> None:
    """Where people came from is forgotten; that they were there, and who, is kept."""
    ExportPerson.objects.filter(created_at__lt=before).exclude(address="").update(address="")
    ApiKey.objects.filter(last_used_at__lt=before).exclude(last_used_from="").update(last_used_from="")


def _end_unrecorded() -> None:
    """Files of an earlier version whose tables nobody recorded: nobody may fetch them, so their time is over."""
    unrecorded = ExportJob.objects.filter(status=Status.COMPLETED, tables__isnull=True, expires_at__gt=timezone.now())
    for job in unrecorded.filter(resource__in=rights.with_sheets())[:BATCH]:
        if rights.is_unrecorded(job):
            ExportJob.objects.filter(pk=job.pk, status=Status.COMPLETED).update(expires_at=timezone.now())


def clean_leftovers() -> int:
    """Remove what the storage holds of jobs that ended without a file; gives how many there were."""
    settled = timezone.now() - CLEAN_AFTER
    return _discard(Q(status__in=(Status.CANCELLED, Status.FAILED), completed_at__lt=settled))


def bury() -> int:
    """Remove files whose export's row is gone, whoever deleted it; gives how many are done with."""
    try:
        return orphans.bury()
    except PipelineError as error:
        log.warning("export.leftover", code=error.code)
        return 0


def _discard(which: Q) -> int:
    """Jobs whose files are removed; one that cannot be now does not hold up the others."""
    removed = 0
    for job in ExportJob.objects.filter(which).exclude(file_key="")[:BATCH]:
        try:
            services.discard_file(job)
            removed += 1
        except PipelineError as error:
            log.warning("export.leftover", **job.names(), code=error.code)
            break  # the storage is away: the next pass comes soon
    return removed
