"""What a webhook is told: signed, by whom, and of which ends."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from standardwebhooks import Webhook

from exports_app import lifecycle
from exports_app.models import ExportJob, ExportNotification
from tests.jobs import claim, make_job
from tests.receiver import Receiver
from tests.webhooks.deliveries import PROOF, SECRET, completed, only_notice, webhook_of
from workers import notify


@pytest.mark.django_db
def test_a_completed_export_is_told_with_the_body_of_the_contract(alice: User, receiver: Receiver) -> None:
    webhook_of(alice, receiver.url)
    job = completed(alice)
    assert notify.notify_next()
    [got] = receiver.received
    body = json.loads(got.body)
    assert datetime.fromisoformat(body.pop("timestamp")).utcoffset() is not None
    assert body == {
        "type": "export.completed",
        "data": {
            "id": str(job.pk),
            "resource": "customers",
            "status": "completed",
            "row_count": 1_000,
            "file_size": 65_536,
            "error": None,
        },
    }
    assert (got.path, got.headers["content-type"]) == ("/hook", "application/json")
    notice = only_notice()
    assert (notice.status, notice.attempts, notice.response_status, notice.error) == ("sent", 1, 204, "")
    assert notice.sent_at is not None
    assert not notify.notify_next(), "it is told once"


@pytest.mark.django_db
def test_the_signature_is_that_of_standard_webhooks(alice: User, receiver: Receiver) -> None:
    webhook_of(alice, receiver.url)
    completed(alice)
    before = int(time.time())
    notify.notify_next()
    [got] = receiver.received
    sent_at = got.headers["webhook-timestamp"]
    signed = f"{only_notice().pk}.{sent_at}.".encode() + got.body
    digest = hmac.new(b"0123456789abcdef0123456789abcdef", signed, hashlib.sha256).digest()
    assert got.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert got.headers["webhook-id"] == str(only_notice().pk)
    assert before <= int(sent_at) <= int(time.time())
    Webhook(SECRET).verify(got.body, got.headers)


@pytest.mark.django_db
def test_each_end_of_an_export_has_its_event(alice: User, receiver: Receiver) -> None:
    webhook_of(alice, receiver.url)
    wants = {"webhooks": True}
    lifecycle.cancel(make_job(alice, notify=wants).pk)
    make_job(alice, notify=wants)
    lifecycle.fail(claim(), code="bad_query", detail="The database refused the query behind this export.")
    done = completed(alice)
    ExportJob.objects.filter(pk=done.pk).update(expires_at="2020-01-01T00:00:00Z")
    lifecycle.expire_due(1)
    make_job(alice, notify=wants)
    lost = claim()
    ExportJob.objects.filter(pk=lost.pk).update(lease_expires_at="2020-01-01T00:00:00Z", crashes=2)
    lifecycle.take_back_lost()
    while notify.notify_next():
        pass
    told = [(body["type"], body["data"]["status"], body["data"]["error"]) for body in map(body_of, receiver.received)]
    assert sorted(told, key=str) == [
        ("export.cancelled", "cancelled", None),
        ("export.completed", "completed", None),
        ("export.expired", "expired", None),
        (
            "export.failed",
            "failed",
            {"code": "bad_query", "detail": "The database refused the query behind this export."},
        ),
        (
            "export.failed",
            "failed",
            {"code": "worker_lost", "detail": "The worker that made this export stopped again and again."},
        ),
    ]


def body_of(received: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(received.body)
    return body


@pytest.mark.django_db
def test_told_are_the_owners_active_webhooks_that_want_the_event(alice: User, bob: User, receiver: Receiver) -> None:
    wanted = webhook_of(alice, receiver.url)
    webhook_of(alice, receiver.url, active=False)
    webhook_of(alice, receiver.url, events=["export.failed", "export.cancelled", "export.expired"])
    webhook_of(bob, receiver.url)
    completed(alice)
    assert only_notice().webhook == wanted
    make_job(alice)  # does not ask to be told
    lifecycle.complete(claim(), ttl=60, **PROOF)
    assert ExportNotification.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_move_that_is_undone_tells_nobody(alice: User, silent_bell: list[str]) -> None:
    webhook_of(alice, "https://hooks.example/")
    job = make_job(alice, notify={"webhooks": True})
    with transaction.atomic():
        lifecycle.cancel(job.pk)
        transaction.set_rollback(True)
    assert (ExportNotification.objects.count(), silent_bell) == (0, [])
    lifecycle.cancel(job.pk)
    assert (ExportNotification.objects.count(), silent_bell) == (1, ["notifications"])
