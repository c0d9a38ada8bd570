"""The outbox of mails and webhooks: written with the move that it tells of, worked off by whoever hears the bell.

A notification that is being sent has a lease; one whose worker was killed is due again once that has ended. What is
written about a try is fenced by its number. All times are the database's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection, models, transaction
from django.db.models import Q
from django.db.models.functions import Now

from exports_app import clock, dispatch, locks
from exports_app.choices import Channel, Delivery, WebhookEvent
from exports_app.locks import Lock
from exports_app.models import ExportJob, ExportNotification, ExportWebhook

MAILED = (WebhookEvent.COMPLETED, WebhookEvent.FAILED)
"""Moves that an owner who wants mail is told of; the rest they did themselves, or know from another mail."""
ACT_EVENT = "export.operated"
"""Mails alone: what somebody else did to the export."""
FEW_ACTS = 5
"""Acts at once on exports of one owner, each of which has a mail of its own."""
LISTED_ACTS = 50
"""Acts that one mail names."""
GATHERING = timedelta(minutes=5)
"""How long the mails of acts that are done at once wait to be gathered; should that end early, they go one by one."""
ALERT_EVENT = "alert.failures"
ALERT_EVERY = timedelta(hours=1)
ERROR_LENGTH = 500

CLAIM = """
UPDATE exports_app_exportnotification
   SET attempts = attempts + 1,
       lease_expires_at = clock_timestamp() + %(lease)s * interval '1 second'
 WHERE id = (
       SELECT notice.id
         FROM exports_app_exportnotification AS notice
         LEFT JOIN exports_app_exportwebhook AS webhook ON webhook.id = notice.webhook_id
        WHERE notice.status = 'pending'
          AND notice.next_attempt_at <= clock_timestamp()
          AND (notice.lease_expires_at IS NULL OR notice.lease_expires_at < clock_timestamp())
          AND NOT EXISTS (
              SELECT 1
                FROM exports_app_exportnotification AS other
                JOIN exports_app_exportwebhook AS same ON same.id = other.webhook_id
               WHERE other.status = 'pending'
                 AND other.lease_expires_at >= clock_timestamp()
                 AND same.owner_id = webhook.owner_id)
        ORDER BY notice.webhook_id IS NOT NULL, notice.next_attempt_at, notice.id
        LIMIT 1
          FOR UPDATE OF notice SKIP LOCKED)
RETURNING id
"""
"""Mails first. One webhook of an owner at a time, so that one with slow addresses holds up nobody else's."""


def record(job_id: Any, event: WebhookEvent) -> None:
    """Note whom to tell of a move; call it in the transaction of the move. Rings once that is committed."""
    job = ExportJob.objects.filter(pk=job_id, deleted_at=None).first()
    if job is None or not any(job.notify.values()):
        return
    targets: list[dict[str, Any]] = []
    if job.notify.get("email") and event in MAILED:
        targets.append({"channel": Channel.EMAIL})
    if job.notify.get("webhooks"):
        webhooks = ExportWebhook.objects.filter(owner=job.owner_id, active=True, events__contains=event.value)
        targets += [{"channel": Channel.WEBHOOK, "webhook": webhook} for webhook in webhooks]
    common = {"job": job, "event": event.value, "body": event_body(job, event), "next_attempt_at": Now()}
    notices = [ExportNotification(**common, **target) for target in targets]
    if notices:
        ExportNotification.objects.bulk_create(notices)
        transaction.on_commit(dispatch.ring_for_notifications, robust=True)


def event_body(job: ExportJob, event: WebhookEvent) -> dict[str, Any]:
    """What is told: the job as it is now."""
    error = {"code": job.error_code, "detail": job.error_detail} if job.error_code else None
    return {
        "type": event.value,
        "timestamp": clock.now().isoformat(),
        "data": {
            "id": str(job.pk),
            "resource": job.resource,
            "status": job.status,
            "row_count": job.row_count,
            "file_size": job.file_size,
            "error": error,
        },
    }


def record_act(job: ExportJob, entry: Mapping[str, Any], *, later: bool) -> UUID | None:
    """Note a mail to the owner of an export that wants mail, about what somebody else did to it; None: it wants none.

    Call it in the transaction of the act. ``later``: it waits for ``gather_acts``. Nothing of the rows is in it.
    """
    if not job.notify.get("email"):
        return None
    due = Now() + GATHERING if later else Now()
    body = {"acts": [{"job": str(job.pk), "resource": job.resource, **entry}], "count": 1}
    notice = ExportNotification.objects.create(
        job=job, channel=Channel.EMAIL, event=ACT_EVENT, body=body, next_attempt_at=due
    )
    if not later:
        transaction.on_commit(dispatch.ring_for_notifications, robust=True)
    return notice.pk


def gather_acts(notices: Sequence[UUID]) -> None:
    """Have these mails sent now: to an owner of more than a few, one that names all, in place of the last of them."""
    if not notices:
        return
    owners: dict[Any, list[ExportNotification]] = {}
    with transaction.atomic():
        waiting = ExportNotification.objects.filter(pk__in=notices, status=Delivery.PENDING, attempts=0)
        rows = waiting.select_related("job").order_by("created_at", "pk").select_for_update(of=("self",))
        for notice in rows:
            owners.setdefault(notice.job.owner_id if notice.job else None, []).append(notice)
        for mails in owners.values():
            _due_now(mails if len(mails) <= FEW_ACTS else [_one_for_all(mails)])
        transaction.on_commit(dispatch.ring_for_notifications, robust=True)


def _one_for_all(notices: Sequence[ExportNotification]) -> ExportNotification:
    *others, last = notices
    acts = [act for notice in notices for act in notice.body["acts"]]
    last.body = {"acts": acts[:LISTED_ACTS], "count": len(acts)}
    last.save(update_fields=["body"])
    ExportNotification.objects.filter(pk__in=[notice.pk for notice in others]).delete()
    return last


def _due_now(notices: Sequence[ExportNotification]) -> None:
    ExportNotification.objects.filter(pk__in=[notice.pk for notice in notices]).update(next_attempt_at=Now())


def alert_operators(subject: str, text: str) -> bool:
    """Have a mail sent to ``ADMINS``. False where there was one within the last hour."""
    with transaction.atomic():
        locks.take(Lock.NOTIFICATIONS)
        lately = ExportNotification.objects.filter(event=ALERT_EVENT, created_at__gt=Now() - ALERT_EVERY)
        if lately.exists():
            return False
        ExportNotification.objects.create(
            channel=Channel.EMAIL,
            event=ALERT_EVENT,
            body={"subject": subject, "text": text},
            next_attempt_at=Now(),
        )
        transaction.on_commit(dispatch.ring_for_notifications, robust=True)
    return True


# A worker takes, sends and settles


def claim(lease_seconds: float) -> ExportNotification | None:
    """Take the notification whose turn it is; None: nothing is due that nobody has."""
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(Lock.NOTIFICATIONS)
        cursor.execute(CLAIM, {"lease": lease_seconds})
        row = cursor.fetchone()
        if row is None:
            return None
        return ExportNotification.objects.select_related("job__owner", "webhook__owner").get(pk=row[0])


def hold(notice: ExportNotification) -> bool:
    """Lock the row until the transaction ends. False where it is somebody else's by now, or settled."""
    return bool(_ours(notice).select_for_update(skip_locked=True).values_list("pk")[:1])


def sent(notice: ExportNotification, *, response_status: int | None = None) -> bool:
    """It arrived. False where the try is not the latest any more."""
    return _settle(notice, Delivery.SENT, sent_at=Now(), response_status=response_status, error="")


def failed(notice: ExportNotification, error: str, *, response_status: int | None = None) -> bool:
    """It is given up. False as above."""
    return _settle(notice, Delivery.FAILED, response_status=response_status, error=error[:ERROR_LENGTH])


def retry_later(notice: ExportNotification, error: str, *, delay: float, response_status: int | None = None) -> bool:
    """It is tried again after ``delay`` seconds. False as above."""
    return _settle(
        notice,
        Delivery.PENDING,
        next_attempt_at=Now() + timedelta(seconds=delay),
        response_status=response_status,
        error=error[:ERROR_LENGTH],
    )


def is_waiting() -> bool:
    """Whether anything is due that nobody has."""
    free = Q(lease_expires_at=None) | Q(lease_expires_at__lt=Now())
    return ExportNotification.objects.filter(free, status=Delivery.PENDING, next_attempt_at__lte=Now()).exists()


def _ours(notice: ExportNotification) -> models.QuerySet[ExportNotification]:
    return ExportNotification.objects.filter(pk=notice.pk, status=Delivery.PENDING, attempts=notice.attempts)


def _settle(notice: ExportNotification, status: Delivery, **values: Any) -> bool:
    return _ours(notice).update(status=status, lease_expires_at=None, **values) == 1
