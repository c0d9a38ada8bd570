"""What keeps jobs, messages and storage in step. Everything here may run twice at once."""

from __future__ import annotations

import structlog

from exports_app import dispatch, lifecycle, retention

log = structlog.get_logger("exports")


def sweep() -> None:
    """Take back what lost workers had, clean up after cancelled and failed jobs, ring for what waits."""
    for job in lifecycle.take_back_lost():
        log.warning("export.job.retrying", job=str(job.pk), code="worker_lost", worker=job.worker)
    retention.clean_leftovers()
    for queue in lifecycle.due_queues():
        dispatch.ring(queue)


def prune() -> None:
    """Delete expired files and old rows."""
    retention.prune()
