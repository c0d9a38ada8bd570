"""What keeps jobs, messages and storage in step. Everything here may run twice at once."""

from __future__ import annotations

from exports_app import conf, dispatch, lifecycle, notifications, orphans, retention
from exports_app.choices import Status
from exports_app.logs import log
from exports_app.pipeline.errors import WorkerLost
from workers import memory


def sweep() -> None:
    """Take back what lost workers had, ring for what waits, clean up after cancelled and failed jobs."""
    for job in lifecycle.take_back_lost():
        event = "export.job.failed" if job.status == Status.FAILED else "export.job.retrying"
        log.warning(event, **job.names(), code=WorkerLost.code, worker=job.worker)
        if job.status == Status.FAILED:
            advice = "Perhaps it needed more memory than there is; see the worker's log and the kernel's."
            memory.tell(f"Export {job.pk} lost its worker {job.crashes} times", advice, alert="worker_lost")
    for queue, jobs in lifecycle.due_queues().items():
        # Each run rings for the next one, so a queue needs no more bells than there may be runs.
        for _ in range(min(jobs, conf.settings.SOURCE_MAX_RUNNING)):
            dispatch.ring(queue)
    if notifications.is_waiting():
        dispatch.ring_for_notifications()  # each delivery rings for the next one
    retention.clean_leftovers()


def prune() -> None:
    """Delete expired files and old rows."""
    retention.prune()


def sweep_orphans() -> None:
    """Abort uploads and delete objects that no job owns."""
    orphans.sweep()
