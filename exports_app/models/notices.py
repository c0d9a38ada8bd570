"""Who is told: webhooks, and the outbox of mails and deliveries."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from exports_app.choices import Channel, Delivery
from exports_app.models.jobs import ExportJob
from exports_app.sealed import SealedField


class ExportWebhook(models.Model):
    """An address that its owner wants to be told at."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="export_webhooks")
    url = models.URLField(max_length=2_000)
    events = models.JSONField(default=list)
    """Names of ``choices.WebhookEvent``."""
    active = models.BooleanField(default=True)
    secret = SealedField()
    """``whsec_…``: signs each delivery, so it cannot be stored as a digest."""
    former_secret = SealedField(blank=True, default="", db_default="")
    """The one before the last rotation: signs as well until ``former_until``."""
    former_until = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveSmallIntegerField(default=0)
    """Deliveries in a row that were given up."""
    note = models.CharField(max_length=300, blank=True, default="")
    """Why it was switched off, where its owner did not do that."""
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["owner"], condition=Q(active=True), name="export_webhook_active_v1")]


class ExportNotification(models.Model):
    """Outbox: somebody shall be told something, by mail or webhook. Written with the move that it tells of."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    """Also the ``webhook-id`` and the mail's Message-ID: the same at each try."""
    job = models.ForeignKey(ExportJob, on_delete=models.CASCADE, null=True, related_name="notifications")
    """None: a webhook's test, or a mail to the operators."""
    channel = models.CharField(max_length=10, choices=Channel.choices)
    webhook = models.ForeignKey(ExportWebhook, on_delete=models.CASCADE, null=True, related_name="deliveries")
    event = models.CharField(max_length=40)
    body = models.JSONField(default=dict)
    status = models.CharField(max_length=10, choices=Delivery.choices, default=Delivery.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    """Until then it is on its way; a worker that was killed with it does not hold it any longer."""
    response_status = models.PositiveSmallIntegerField(null=True, blank=True)
    error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], condition=Q(status=Delivery.PENDING), name="export_notice_pending_v1"
            ),
            models.Index(fields=["webhook", "-created_at"], name="export_notice_webhook_v1"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(channel=Channel.EMAIL, webhook=None) | Q(channel=Channel.WEBHOOK, webhook__isnull=False),
                name="export_notice_target",
            ),
        ]
