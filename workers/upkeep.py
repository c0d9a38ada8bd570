"""What keeps the jobs and the storage in order. Everything here may run twice at once."""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.utils import timezone

from exports_app import dispatch, lifecycle, services
from exports_app.choices import Status
from exports_app.models import ExportJob, ExportPerformance

log = structlog.get_logger("exports")

PERFORMANCE_LIFE = timedelta(days=30)
BATCH = 200
"""Jobs handled by one pass; the next pass comes soon."""


def sweep() -> None:
    """Take back what lost workers had, clean up after cancelled and failed jobs, ring for what waits."""
    for job in lifecycle.take_back_lost():
        log.warning("export.job.retrying", job=str(job.pk), code="worker_lost", worker=job.worker)
    clean_leftovers()
    for queue in lifecycle.due_queues():
        dispatch.ring(queue)


def clean_leftovers() -> int:
    """Remove what the storage holds of jobs that ended without a file; gives how many there were."""
    settled = timezone.now() - timedelta(seconds=60)  # their workers clean up first
    jobs = ExportJob.objects.filter(
        status__in=(Status.CANCELLED, Status.FAILED), completed_at__lt=settled
    ).exclude(file_key="")[:BATCH]
    for job in jobs:
        services.discard_file(job)
    return len(jobs)


def prune() -> int:
    """Expire files whose time is over and delete them, and old performance rows; gives how many files."""
    due = ExportJob.objects.filter(status=Status.COMPLETED, expires_at__lte=timezone.now())[:BATCH]
    for job in due:
        if lifecycle.expire(job):
            log.info("export.job.expired", job=str(job.pk))
    gone = ExportJob.objects.filter(status=Status.EXPIRED).exclude(file_key="")[:BATCH]
    for job in gone:
        services.discard_file(job)
    ExportPerformance.objects.filter(created_at__lt=timezone.now() - PERFORMANCE_LIFE).delete()
    return len(gone)
