"""Webhooks that fail: tried again under the same id, given up in time, and never into a private network."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.contrib.auth.models import User
from django.utils import timezone

from exports_app import lifecycle, notifications, services, webhooks
from exports_app.choices import Delivery, Status
from exports_app.models import ExportJob, ExportNotification, ExportWebhook
from tests.jobs import make_job
from tests.receiver import Receiver
from tests.webhooks.deliveries import completed, make_due, only_notice, webhook_of
from workers import notify, upkeep
from workers.notify import webhook as webhook_module
from workers.notify.base import Schedule, Undelivered


@pytest.mark.django_db
def test_a_failing_address_is_tried_again_under_the_same_id_with_a_new_time(
    alice: User, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answers = [(500, {}), (503, {"retry-after": "120"}), (200, {})]
    webhook_of(alice, receiver.url)
    completed(alice)
    notify.notify_next()
    notice = only_notice()
    assert (notice.status, notice.attempts, notice.response_status) == ("pending", 1, 500)
    assert notice.error == "The address answered 500."
    assert 0.0 < seconds_until(notice) <= 5.0
    assert not notify.notify_next(), "it is not due yet"
    make_due()
    notify.notify_next()
    assert 60 < seconds_until(only_notice()) <= 120, "the address asked to be left alone"
    make_due()
    monkeypatch.setattr(time, "time", lambda: 4_000_000_000.0)
    notify.notify_next()
    notice = only_notice()
    assert (notice.status, notice.attempts, notice.error) == ("sent", 3, "")
    assert {got.headers["webhook-id"] for got in receiver.received} == {str(notice.pk)}
    assert len({got.body for got in receiver.received}) == 1
    for got in receiver.received:
        signed = f"{notice.pk}.{got.headers['webhook-timestamp']}.".encode() + got.body
        digest = hmac.new(b"0123456789abcdef0123456789abcdef", signed, hashlib.sha256).digest()
        assert got.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


def seconds_until(notice: ExportNotification) -> float:
    assert notice.next_attempt_at is not None
    return (notice.next_attempt_at - timezone.now()).total_seconds()


def test_eight_tries_take_a_day() -> None:
    schedule = webhook_module.A_DAY
    delays = [schedule.delay(attempt, chance=lambda: 0.0) for attempt in range(1, 9)]
    assert delays == [5.0, 30.0, 180.0, 1_080.0, 6_480.0, 38_880.0, 43_200.0, None]
    assert schedule.delay(1, chance=lambda: 1.0) == 4.0, "a fifth at most is taken off"
    assert Schedule(tries=3, first=1.0, factor=2.0, longest=9.0).delay(3) is None


@pytest.mark.django_db
def test_after_the_last_try_the_delivery_has_failed_and_the_export_has_not(alice: User, receiver: Receiver) -> None:
    receiver.answers = [(500, {})]
    webhook = webhook_of(alice, receiver.url)
    job = completed(alice)
    for _ in range(8):
        make_due()
        assert notify.notify_next()
    notice = only_notice()
    assert (notice.status, notice.attempts, len(receiver.received)) == ("failed", 8, 8)
    job.refresh_from_db()
    webhook.refresh_from_db()
    assert (job.status, webhook.active, webhook.failures) == (Status.COMPLETED, True, 1)


@pytest.mark.django_db
def test_endless_failure_switches_a_webhook_off_and_one_success_forgives(alice: User, receiver: Receiver) -> None:
    webhook = webhook_of(alice, receiver.url, failures=9)
    completed(alice)
    notify.notify_next()
    webhook.refresh_from_db()
    assert webhook.failures == 0
    ExportWebhook.objects.update(failures=9)
    receiver.answers = [(500, {})]
    completed(alice)
    ExportNotification.objects.filter(status=Delivery.PENDING).update(attempts=7)
    notify.notify_next()
    webhook.refresh_from_db()
    assert (webhook.active, webhook.note) == (
        False,
        "Switched off: 10 deliveries in a row failed, each after all its tries.",
    )
    completed(alice)
    assert not notify.notify_next()


@pytest.mark.django_db
def test_an_address_that_is_gone_is_switched_off_at_once(alice: User, receiver: Receiver) -> None:
    receiver.answers = [(410, {})]
    webhook = webhook_of(alice, receiver.url)
    completed(alice)
    completed(alice)
    assert notify.notify_next()
    assert not notify.notify_next()
    webhook.refresh_from_db()
    assert (webhook.active, webhook.note) == (False, "Switched off: the address answered 410 Gone.")
    assert list(ExportNotification.objects.values_list("status", flat=True)) == ["failed", "failed"]
    assert len(receiver.received) == 1


@pytest.mark.django_db
def test_a_redirect_is_a_failure_and_is_not_followed(alice: User, receiver: Receiver) -> None:
    with Receiver() as other:
        receiver.answers = [(307, {"location": other.url})]
        webhook_of(alice, receiver.url)
        completed(alice)
        notify.notify_next()
        assert other.received == []
    notice = only_notice()
    assert (notice.status, notice.error) == ("pending", "The address answered 307: redirects are not followed.")


@pytest.mark.django_db
def test_an_address_that_does_not_answer_costs_only_its_time_out(
    alice: User, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_module, "READ_SECONDS", 0.2)
    given_up = threading.Event()

    def wait(_: Any) -> None:
        given_up.wait(30)

    receiver.before_answer = wait
    webhook_of(alice, receiver.url)
    completed(alice)
    notify.notify_next()
    given_up.set()
    notice = only_notice()
    assert (notice.status, notice.response_status, notice.error) == ("pending", None, "No answer within 0 seconds.")


@pytest.mark.django_db
def test_an_endless_answer_is_read_to_its_bound(alice: User, receiver: Receiver) -> None:
    written: list[int] = []

    def endless(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        try:
            while True:
                written.append(handler.wfile.write(b"x" * 65_536))
        except OSError:
            handler.wfile = open("/dev/null", "wb")  # noqa: SIM115 - what the server writes behind it

    receiver.before_answer = endless
    webhook_of(alice, receiver.url)
    completed(alice)
    notify.notify_next()
    assert (only_notice().status, only_notice().response_status) == ("sent", 200)
    assert sum(written) < 50_000_000, "what the kernel's buffers took"


@pytest.mark.django_db
def test_a_delivery_that_takes_too_long_in_all_is_tried_again(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: Any) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(webhook_module, "_post", slow)
    webhook_of(alice, "https://hooks.example/")
    completed(alice)
    notify.notify_next()
    assert (only_notice().status, only_notice().error) == ("pending", "It took longer than 30 seconds.")


PRIVATE = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "198.18.0.1", "192.0.0.8", "192.88.99.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1", "fe80::1",
    "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::",
    "2001:0:7f00:1::", "2001:db8::1",
]  # fmt: skip


def resolving(addresses: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names lead where the test says, one answer after the other; whom a connection was tried to."""
    looked_up: list[str] = []
    real = socket.getaddrinfo

    def lookup(host: str, port: Any, *arguments: Any, **values: Any) -> Any:
        looked_up.append(str(host))
        if host not in addresses:
            raise OSError(f"nobody shall connect to {host}")
        known = addresses[host]
        return real(known.pop(0) if len(known) > 1 else known[0], port, *arguments, **values)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return looked_up


@pytest.mark.django_db
@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_leads_to_a_private_address_is_not_connected_to(
    alice: User, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook_of(alice, "https://hooks.example/")
    completed(alice)
    looked_up = resolving({"hooks.example": [address], "localhost": ["127.0.0.1"]}, monkeypatch)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("it was connected to"))
    notice = ExportNotification.objects.get()
    with pytest.raises(Undelivered, match="The address is a private one") as refused:
        webhook_module.WebhookChannel().send(notice)
    assert refused.value.final
    assert looked_up == ["hooks.example"]


@pytest.mark.django_db
def test_a_name_that_changes_its_mind_is_connected_to_where_it_was_checked(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook_of(alice, "https://hooks.example/")
    completed(alice)
    notice = ExportNotification.objects.get()
    looked_up = resolving({"hooks.example": ["93.184.216.34", "127.0.0.1"]}, monkeypatch)
    with pytest.raises(Undelivered, match="No connection"):
        webhook_module.WebhookChannel().send(notice)
    assert looked_up == ["hooks.example", "93.184.216.34"], "the name is asked once, then its address is used"


@pytest.mark.django_db
def test_a_proxy_of_the_environment_is_not_used(
    alice: User, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "")
        webhook_of(alice, receiver.url)
        completed(alice)
        notify.notify_next()
        assert (len(receiver.received), proxy.received) == (1, [])


@pytest.mark.django_db
def test_a_delivery_whose_worker_was_killed_is_due_again_with_the_same_id(alice: User, receiver: Receiver) -> None:
    webhook_of(alice, receiver.url)
    completed(alice)
    lost = notifications.claim(60)
    assert lost is not None
    assert notifications.claim(60) is None, "it is on its way"
    ExportNotification.objects.update(lease_expires_at="2020-01-01T00:00:00Z")
    assert notify.notify_next()
    assert not notifications.sent(lost), "the first worker, waking up late, writes nothing"
    notice = only_notice()
    assert (notice.status, notice.attempts) == ("sent", 2)
    assert [got.headers["webhook-id"] for got in receiver.received] == [str(notice.pk)]


@pytest.mark.django_db
def test_one_owner_with_slow_addresses_holds_up_nobody_else(alice: User, bob: User) -> None:
    for _ in range(3):
        webhook_of(alice, "https://slow.example/")
    webhook_of(bob, "https://hooks.example/")
    completed(alice)
    completed(bob)
    first, second = notifications.claim(60), notifications.claim(60)
    assert first is not None
    assert second is not None
    assert {first.webhook.owner, second.webhook.owner} == {alice, bob}  # type: ignore[union-attr]
    assert notifications.claim(60) is None


@pytest.mark.django_db
def test_the_sweep_rings_for_what_nobody_took(alice: User, silent_bell: list[str]) -> None:
    webhook_of(alice, "https://hooks.example/")
    completed(alice)
    silent_bell.clear()
    upkeep.sweep()
    assert silent_bell == ["notifications"]
    notifications.claim(60)
    upkeep.sweep()
    assert silent_bell == ["notifications"], "it is on its way"


@pytest.mark.django_db
def test_a_test_is_sent_once_also_to_a_webhook_that_is_switched_off(alice: User, receiver: Receiver) -> None:
    receiver.answers = [(500, {})]
    webhook = webhook_of(alice, receiver.url, active=False)
    webhooks.send_test(webhook)
    assert notify.notify_next()
    [got] = receiver.received
    assert json.loads(got.body)["type"] == "webhook.test"
    assert (only_notice().status, only_notice().attempts, only_notice().response_status) == ("failed", 1, 500)
    webhook.refresh_from_db()
    assert webhook.failures == 0


@pytest.mark.django_db
def test_an_export_deleted_by_its_owner_is_told_as_cancelled_and_not_as_expired(alice: User) -> None:
    webhook_of(alice, "https://hooks.example/")
    services.delete_export(make_job(alice, notify={"webhooks": True}), by=alice)
    done = completed(alice)
    services.delete_export(done, by=alice)
    ExportJob.objects.filter(pk=done.pk).update(expires_at="2020-01-01T00:00:00Z")
    lifecycle.expire_due(1)
    events = sorted(ExportNotification.objects.values_list("event", flat=True))
    assert events == ["export.cancelled", "export.completed"]
