"""What keeps jobs, messages and storage in step. Everything here may run twice at once."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from django.db.models import Count
from django.db.models.functions import Now

from exports_app import conf, dispatch, lifecycle, metrics, notifications, retention
from exports_app.choices import Status
from exports_app.logs import log
from exports_app.models import ExportJob
from exports_app.pipeline.errors import WorkerLost
from workers import memory

ALERT_SHARE = 0.1
"""Part of the last hour's exports that may fail before the operators hear of it."""
ALERT_ENDED = 5
"""So many must have ended within that hour."""


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
    alert_on_failures()
    if notifications.is_waiting():
        dispatch.ring_for_notifications()  # each delivery rings for the next one
    retention.remove_files(conf.settings.SWEEP_SECONDS)


def alert_on_failures() -> None:
    """Tell the operators, once an hour at most, when too many of the last hour's exports failed."""
    ended = ExportJob.objects.order_by().filter(
        created_at__gt=Now() - timedelta(days=1),  # which an index finds; older ones end seldom
        completed_at__gt=Now() - timedelta(hours=1),
        status__in=(Status.COMPLETED, Status.EXPIRED, Status.FAILED),
    )
    codes = Counter(dict(ended.values_list("error_code").annotate(count=Count("pk"))))
    total, failed = codes.total(), codes.total() - codes[""]
    if total < ALERT_ENDED or failed <= total * ALERT_SHARE:
        return
    del codes[""]
    reasons = "\n".join(f"{count} x {code}" for code, count in codes.most_common())
    subject = f"{failed} of {total} exports failed within the last hour"
    if notifications.alert_operators(subject, f"{subject}:\n\n{reasons}\n\nThe admin shows each with its reason."):
        metrics.alert_raised("failure_rate")
        log.error("export.alert.failures", failed=failed, ended=total, codes=dict(codes))
