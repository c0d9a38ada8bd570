"""What the tests of webhooks on their way share."""

from __future__ import annotations

import base64
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from exports_app import lifecycle
from exports_app.choices import WebhookEvent
from exports_app.models import ExportJob, ExportNotification, ExportWebhook
from tests.jobs import claim, make_job

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
PROOF = {"row_count": 1_000, "file_size": 65_536, "crc32": "00000000"}


def webhook_of(owner: User, url: str, **values: Any) -> ExportWebhook:
    return ExportWebhook.objects.create(
        owner=owner, url=url, **{"events": WebhookEvent.values, "secret": SECRET} | values
    )


def completed(owner: User) -> ExportJob:
    """A job that ended with a file a moment ago."""
    make_job(owner, notify={"email": False, "webhooks": True}, request_id="r-1")
    job = claim()
    lifecycle.complete(job, ttl=3_600, **PROOF)
    job.refresh_from_db()
    return job


def only_notice() -> ExportNotification:
    return ExportNotification.objects.get()


def make_due() -> None:
    ExportNotification.objects.update(next_attempt_at=timezone.now())
