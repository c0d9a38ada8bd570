"""Addresses that people want to be told at when their exports end."""

from __future__ import annotations

import base64
import ipaddress
import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from exports_app import access, clock, conf, dispatch, errors, handover, locks, sealed
from exports_app.choices import Channel, Delivery, WebhookEvent
from exports_app.locks import Lock
from exports_app.models import ExportNotification, ExportWebhook

MAX_WEBHOOKS = 20
"""Webhooks that one user may have."""
MAX_TESTS = 10
"""Tests that one user may send in a minute."""
MAX_FAILURES = 10
"""Deliveries given up in a row, each after all its tries, after which a webhook is switched off."""
SECRET_BYTES = 32
BOTH_SIGN = timedelta(hours=24)
"""After a rotation, for the receivers to be given the new secret."""
TEST_EVENT = "webhook.test"


def own_webhooks(user: Any) -> QuerySet[ExportWebhook]:
    """The user's webhooks, newest first; nobody sees another's."""
    return access.of(user).webhooks()


def get_webhook(user: Any, webhook_id: Any) -> ExportWebhook:
    """One of them. Raises ``errors.NotFound``."""
    webhook = own_webhooks(user).filter(pk=webhook_id).first()
    if webhook is None:
        raise errors.NotFound("There is no such webhook.")
    return webhook


def create_webhook(user: Any, *, url: str, events: list[str] | None = None, active: bool = True) -> ExportWebhook:
    """A new webhook, for all events where none are named. Raises ``errors.Invalid`` and ``errors.Conflict``."""
    check_url(url)
    with transaction.atomic():
        locks.take(Lock.WEBHOOKS, user)
        if own_webhooks(user).count() >= MAX_WEBHOOKS:
            raise errors.Conflict(f"You have {MAX_WEBHOOKS} webhooks. Delete one of them first.")
        return ExportWebhook.objects.create(
            owner=user, url=url, events=events or WebhookEvent.values, active=active, secret=new_secret()
        )


def update_webhook(webhook: ExportWebhook, values: Mapping[str, Any]) -> None:
    """Change what ``values`` name. One that is switched on again begins without the failures of before."""
    if "url" in values:
        check_url(values["url"])
    afresh = {"failures": 0, "note": ""} if values.get("active") else {}
    for name, value in {**values, **afresh}.items():
        setattr(webhook, name, value)
    webhook.save(update_fields=[*values, *afresh])


def rotate_secret(webhook: ExportWebhook) -> str:
    """A new secret, which nobody is shown again; the one of now signs beside it for a day, any before it no more."""
    secret = new_secret()
    with transaction.atomic():
        row = ExportWebhook.objects.select_for_update().get(pk=webhook.pk)
        webhook.former_secret, webhook.former_until = row.secret, clock.now() + BOTH_SIGN
        webhook.secret = secret
        webhook.save(update_fields=["secret", "former_secret", "former_until"])
    return secret


def secrets_of(webhook: ExportWebhook) -> list[str]:
    """What signs its deliveries now, the newest first. Raises ``sealed.Unreadable`` where that one is not readable."""
    found = [sealed.unseal(webhook.secret)]
    if former_until(webhook):
        with suppress(sealed.Unreadable):  # of a key that is gone; the new one is of today's
            found.append(sealed.unseal(webhook.former_secret))
    return found


def former_until(webhook: ExportWebhook) -> datetime | None:
    """Until when the secret before the last rotation signs as well; None: it does not."""
    moment = webhook.former_until
    return moment if moment is not None and moment > clock.now() else None


def forget_former() -> None:
    """Former secrets whose day is over."""
    ExportWebhook.objects.filter(former_until__lte=Now()).update(former_secret="", former_until=None)


def seal_plain() -> int:
    """Seal what the release before wrote, which reads plain texts alone, once it is gone; gives how many that were."""
    plain = [
        (webhook.pk, webhook.secret)
        for webhook in ExportWebhook.objects.only("pk", "secret").iterator()
        if webhook.secret and not isinstance(webhook.secret, sealed.Sealed)
    ]
    if not plain or not handover.is_settled("0010_sealed_webhook_secrets"):
        return 0
    for pk, secret in plain:
        with transaction.atomic():
            row = ExportWebhook.objects.select_for_update().get(pk=pk)
            if row.secret == secret:
                row.save(update_fields=["secret"])
    return len(plain)


def seal_again() -> int:
    """Seal with today's key what one of ``SECRET_KEY_FALLBACKS`` did, so that it can go; gives how many that were."""
    if not settings.SECRET_KEY_FALLBACKS:
        return 0
    done = 0
    for pk, secret, former in ExportWebhook.objects.values_list("pk", "secret", "former_secret").iterator():
        for name, old in {"secret": secret, "former_secret": former}.items():
            if isinstance(old, sealed.Sealed) and not sealed.is_of_today(old):
                with suppress(sealed.Unreadable):
                    # Unless it was rotated meanwhile.
                    mine = ExportWebhook.objects.filter(pk=pk, **{name: old})
                    done += mine.update(**{name: sealed.unseal(old)})
    return done


def send_test(webhook: ExportWebhook) -> ExportNotification:
    """Have a test delivered, once, also where the webhook is switched off. Raises ``errors.Throttled``."""
    with transaction.atomic():
        locks.take(Lock.WEBHOOKS, webhook.owner)
        lately = ExportNotification.objects.filter(
            webhook__owner=webhook.owner_id, job=None, created_at__gt=Now() - timedelta(minutes=1)
        )
        if lately.count() >= MAX_TESTS:
            raise errors.Throttled(f"{MAX_TESTS} tests in a minute are enough. Wait a moment.", retry_after=60)
        keys = ("id", "resource", "status", "row_count", "file_size", "error")
        body = {"type": TEST_EVENT, "timestamp": clock.now().isoformat(), "data": dict.fromkeys(keys)}
        notice = ExportNotification.objects.create(
            webhook=webhook, channel=Channel.WEBHOOK, event=TEST_EVENT, body=body, next_attempt_at=Now()
        )
        transaction.on_commit(dispatch.ring_for_notifications, robust=True)
    notice.refresh_from_db()
    return notice


def count_failure(webhook: ExportWebhook) -> None:
    """A delivery was given up; too many in a row switch the webhook off."""
    ExportWebhook.objects.filter(pk=webhook.pk).update(failures=F("failures") + 1)
    if ExportWebhook.objects.filter(pk=webhook.pk, active=True, failures__gte=MAX_FAILURES).exists():
        switch_off(webhook, f"Switched off: {MAX_FAILURES} deliveries in a row failed, each after all its tries.")


def clear_failures(webhook: ExportWebhook) -> None:
    """A delivery arrived."""
    ExportWebhook.objects.filter(pk=webhook.pk, failures__gt=0).update(failures=0)


def switch_off(webhook: ExportWebhook, note: str) -> None:
    """Send nothing more to it until its owner switches it on again; what waits is given up."""
    ExportWebhook.objects.filter(pk=webhook.pk).update(active=False, note=note)
    waiting = ExportNotification.objects.filter(webhook=webhook, status=Delivery.PENDING, lease_expires_at=None)
    waiting.update(status=Delivery.FAILED, error=note)


def new_secret() -> str:
    """``whsec_`` and random bytes, as Standard Webhooks has it."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def check_url(url: str) -> None:
    """Raises ``errors.Invalid`` for an address that could never be sent to; its host is looked up when it is used."""
    if problem := _url_problem(url):
        raise errors.Invalid("The webhook is not valid.", errors={"url": [problem]})


def _url_problem(url: str) -> str | None:
    anywhere = conf.settings.WEBHOOK_ALLOW_PRIVATE
    parts = urlsplit(url)
    if parts.scheme not in (("http", "https") if anywhere else ("https",)):
        return "Give an address that begins with https://."
    if parts.username is not None or parts.password is not None:
        return "Leave user name and password out: each delivery is signed."
    if parts.fragment:
        return "Leave out what stands behind #: it would not be sent."
    try:
        port, host = parts.port, parts.hostname or ""
        host.encode("idna")
    except ValueError:
        return "Enter a valid URL: no host has such a name, or no port such a number."
    if port == 0:
        return "Enter a valid URL: port 0 leads nowhere."
    return None if anywhere or _may_be_public(host) else "Give an address on the internet, not a private one."


def _may_be_public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:  # a name: where it leads is looked at when it is used
        return host != "localhost"
