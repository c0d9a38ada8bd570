"""The closed sets of values that rows hold."""

from __future__ import annotations

from django.db import models


class Status(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    EXPIRED = "expired", "Expired"


ACTIVE = (Status.QUEUED, Status.RUNNING)
FINAL = (Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.EXPIRED)

TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.FAILED, Status.CANCELLED}),
    Status.RUNNING: frozenset({Status.QUEUED, Status.COMPLETED, Status.FAILED, Status.CANCELLED}),
    Status.COMPLETED: frozenset({Status.EXPIRED}),
    Status.FAILED: frozenset({Status.QUEUED}),
    Status.CANCELLED: frozenset({Status.QUEUED}),
    Status.EXPIRED: frozenset(),
}


class Strategy(models.TextChoices):
    DIRECT = "direct", "Built at once"
    STREAM = "stream", "Streamed"
    BACKGROUND = "background", "In the background"


class Queue(models.TextChoices):
    SMALL = "exports", "Small exports"
    LARGE = "exports.large", "Large exports"


class EventKind(models.TextChoices):
    QUEUED = "queued", "Queued"
    STARTED = "started", "Started"
    RESUMED = "resumed", "Resumed"
    RETRY = "retry", "Will be tried again"
    HANDED_ON = "handed_on", "Handed on"
    LOST = "lost", "Worker lost"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    EXPIRED = "expired", "Expired"
    DOWNLOADED = "downloaded", "Downloaded"
    OPERATED = "operated", "Changed by an operator"


class Act(models.TextChoices):
    """What somebody else than its owner did to an export."""

    CANCEL = "cancel", "Cancelled"
    RETRY = "retry", "Started again"
    DELETE = "delete", "Removed"
    LINK = "link", "Made a link to the file"
    END_LINKS = "end_links", "Ended the links to the file"
    OPEN = "open", "Fetched the file"
    SHARE = "share", "Shared"
    UNSHARE = "unshare", "Ended a share"


class Channel(models.TextChoices):
    EMAIL = "email", "Mail"
    WEBHOOK = "webhook", "Webhook"


class Delivery(models.TextChoices):
    PENDING = "pending", "Pending"
    SENT = "sent", "Sent"
    FAILED = "failed", "Failed"


class WebhookEvent(models.TextChoices):
    COMPLETED = "export.completed", "Completed"
    FAILED = "export.failed", "Failed"
    CANCELLED = "export.cancelled", "Cancelled"
    EXPIRED = "export.expired", "Expired"


class Scope(models.TextChoices):
    """What an API key may be used for."""

    READ = "read", "See data, exports and how they go"
    EXPORT = "export", "Make exports, fetch files, make links"
    MANAGE = "manage", "Delete, share, presets, webhooks"
