"""Mails and webhooks: each notification of the outbox is sent by a task of its own, with tries of its own."""

from __future__ import annotations

from exports_app.choices import Channel as Name
from workers.notify.base import Channel, deliver_next
from workers.notify.email import EmailChannel
from workers.notify.webhook import WebhookChannel

CHANNELS: dict[str, Channel] = {Name.EMAIL: EmailChannel(), Name.WEBHOOK: WebhookChannel()}


def notify_next() -> bool:
    """Send the notification whose turn it is. False: none is due."""
    return deliver_next(CHANNELS)
