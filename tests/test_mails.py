"""Mails: what they say, that there is exactly one, and that no export suffers from them."""

from __future__ import annotations

import os
import re
import signal
import smtplib
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from exports_app import lifecycle, metrics, retention, services
from exports_app.choices import Delivery, Status
from exports_app.models import ExportJob, ExportNotification, ExportToken
from tests.jobs import claim, make_job
from workers import notify, upkeep
from workers.notify.email import A_DAY

PROOF = {"row_count": 1_234_567, "file_size": 67_108_864, "crc32": "00000000"}


@pytest.fixture(autouse=True)
def addresses(settings: Any) -> None:
    settings.EXPORTS_SITE_URL = "https://exports.example"
    settings.DEFAULT_FROM_EMAIL = "Exports <exports@mail.example>"


def completed(owner: User, **notify_by: bool) -> ExportJob:
    """A job that ended with a file a moment ago."""
    make_job(owner, notify=notify_by or {"email": True}, file_key=f"exports/{owner.pk}/x.1.csv")
    job = claim()
    lifecycle.complete(job, ttl=86_400, **PROOF)
    job.refresh_from_db()
    return job


def failed(owner: User) -> ExportJob:
    make_job(owner, notify={"email": True})
    job = claim()
    lifecycle.fail(job, code="permission_lost", detail="The permission to export this data was withdrawn.")
    return job


def only_notice() -> ExportNotification:
    return ExportNotification.objects.get()


def make_due() -> None:
    ExportNotification.objects.update(next_attempt_at=timezone.now(), lease_expires_at=None)


@pytest.mark.django_db
def test_the_owner_hears_once_that_the_file_is_ready(alice: User) -> None:
    job = completed(alice)
    assert notify.notify_next()
    assert not notify.notify_next()
    [message] = mail.outbox
    assert isinstance(message, EmailMultiAlternatives)
    assert job.expires_at is not None
    expires = f"{job.expires_at:%-d %B %Y, %H:%M} UTC"
    assert (message.to, message.subject) == (["alice@example.com"], "Your export of Customers is ready")
    assert message.from_email == "Exports <exports@mail.example>"
    assert message.extra_headers["Message-ID"] == f"<{only_notice().pk}@mail.example>"
    [(html, kind)] = message.alternatives
    assert kind == "text/html"
    for text in (str(message.body), str(html)):
        for fact in ("c.csv", "1,234,567", "64.0 MB", expires, f"https://exports.example/exports/{job.pk}/link/#"):
            assert fact in text
        assert text.isascii()
    assert (only_notice().status, only_notice().attempts) == ("sent", 1)


@pytest.mark.django_db
def test_the_mailed_link_fetches_the_file_once(alice: User) -> None:
    job = completed(alice)
    notify.notify_next()
    found = re.search(r"/link/#(\S+)", str(mail.outbox[0].body))
    assert found is not None
    answers = [APIClient().get(f"/api/v1/exports/{job.pk}/download/", {"token": found[1]}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 403]
    job.refresh_from_db()
    token = ExportToken.objects.get()
    assert token.expires_at == job.expires_at, "the mail does not have the file live longer"


@pytest.mark.django_db
def test_at_failure_the_owner_reads_the_plain_reason_and_what_to_do(alice: User) -> None:
    job = failed(alice)
    notify.notify_next()
    [message] = mail.outbox
    assert message.subject == "Your export of Customers failed"
    assert "The permission to export this data was withdrawn." in str(message.body)
    assert "What to do: Ask for the permission again, then retry." in str(message.body)
    assert f"https://exports.example/exports/{job.pk}/" in str(message.body)
    assert "Traceback" not in str(message.message())


@pytest.mark.django_db
def test_a_failure_is_told_as_it_was_also_where_the_export_is_tried_again_by_then(alice: User) -> None:
    lifecycle.restart(failed(alice).pk)
    notify.notify_next()
    assert "The permission to export this data was withdrawn." in str(mail.outbox[0].body)


@pytest.mark.django_db
def test_no_mail_is_sent_that_nobody_asked_for(alice: User) -> None:
    completed(alice, email=False)
    services.cancel_export(make_job(alice, notify={"email": True}), by=alice)
    done = completed(alice)
    notify.notify_next()
    ExportJob.objects.filter(pk=done.pk).update(expires_at="2020-01-01T00:00:00Z")
    lifecycle.expire_due(1)
    assert not notify.notify_next()
    assert len(mail.outbox) == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"email": ""}, "The owner has no mail address."),
        ({"is_active": False}, "The owner is not active any more."),
    ],
)
def test_an_owner_who_cannot_be_reached_is_a_failed_mail_and_not_a_failed_export(
    alice: User, change: dict[str, Any], reason: str
) -> None:
    job = completed(alice)
    User.objects.filter(pk=alice.pk).update(**change)
    notify.notify_next()
    job.refresh_from_db()
    assert (only_notice().status, only_notice().error) == ("failed", reason)
    assert (job.status, mail.outbox) == (Status.COMPLETED, [])


@pytest.mark.django_db
def test_an_export_that_was_deleted_or_may_not_be_read_any_more_is_not_mailed(alice: User) -> None:
    ExportJob.objects.filter(pk=completed(alice).pk).update(deleted_at=timezone.now())
    alice.user_permissions.clear()
    completed(alice)
    while notify.notify_next():
        pass
    assert set(ExportNotification.objects.values_list("status", "error")) == {
        ("failed", "The export was deleted before its mail was sent."),
        ("failed", "You can see this export, but its data needs permissions that you do not have."),
    }
    assert mail.outbox == []


@pytest.mark.django_db
def test_a_mail_server_that_is_away_is_waited_out(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    completed(alice)
    with monkeypatch.context() as away:
        away.setattr(EmailMultiAlternatives, "send", Mock(side_effect=ConnectionRefusedError()))
        notify.notify_next()
    notice = only_notice()
    assert (notice.status, notice.error) == (
        "pending",
        "The mail server could not be reached (ConnectionRefusedError).",
    )
    assert ExportToken.objects.count() == 0, "the link of a mail that was not sent is not left behind"
    assert not notify.notify_next(), "it is not due yet"
    make_due()
    notify.notify_next()
    assert (only_notice().status, only_notice().attempts, len(mail.outbox)) == ("sent", 2, 1)
    total = sum(A_DAY.delay(attempt) or 0 for attempt in range(1, 150))
    assert 0.75 * 86_400 < total < 1.25 * 86_400


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (
            smtplib.SMTPRecipientsRefused({"alice@example.com": (550, b"no such user")}),
            "failed",
            "The mail server refuses the address.",
        ),
        (
            smtplib.SMTPRecipientsRefused({"alice@example.com": (450, b"mailbox busy")}),
            "pending",
            "The mail server refuses the address.",
        ),
        (smtplib.SMTPDataError(554, b"spam"), "failed", "The mail server refuses the mail."),
        (smtplib.SMTPDataError(451, b"later"), "pending", "The mail server refuses the mail."),
        (
            smtplib.SMTPAuthenticationError(535, b"who are you"),
            "pending",
            "The mail server could not be reached (SMTPAuthenticationError).",
        ),
    ],
)
def test_what_a_mail_server_refuses_for_good_is_not_tried_again(
    alice: User, error: Exception, status: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    completed(alice)
    monkeypatch.setattr(EmailMultiAlternatives, "send", Mock(side_effect=error))
    notify.notify_next()
    assert (only_notice().status, only_notice().error) == (status, reason)


# A worker that dies


WORKER = """
import django; django.setup()
import os, signal
from django.core.mail import EmailMultiAlternatives
send = EmailMultiAlternatives.send
def act(self):
    {act}
EmailMultiAlternatives.send = act
from workers import notify
notify.notify_next()
"""


def worker(act: str, folder: Path) -> subprocess.Popen[bytes]:
    """Another process that sends one mail as a file, and does ``act`` in place of sending it."""
    url = connection.settings_dict
    environment = os.environ | {
        "DATABASE_URL": f"postgresql://{url['USER']}:{url['PASSWORD']}@{url['HOST']}:{url['PORT']}/{url['NAME']}",
        "EMAIL_URL": f"file:///{folder}",
        "DJANGO_SETTINGS_MODULE": "exportsite.settings",
    }
    return subprocess.Popen([sys.executable, "-c", WORKER.format(act=act)], env=environment)


def send_the_rest(folder: Path, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(folder)
    ExportNotification.objects.update(lease_expires_at="2020-01-01T00:00:00Z")
    while notify.notify_next():
        pass


def message_ids(folder: Path) -> list[str]:
    return [
        line for file in folder.iterdir() for line in file.read_text().splitlines() if line.startswith("Message-ID")
    ]


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_before_it_sent_leaves_the_mail_to_the_next(alice: User, tmp_path: Path, settings: Any) -> None:
    completed(alice)
    assert worker("os.kill(os.getpid(), signal.SIGKILL)", tmp_path).wait() == -signal.SIGKILL
    assert (only_notice().status, message_ids(tmp_path)) == (Delivery.PENDING, [])
    send_the_rest(tmp_path, settings)
    assert (only_notice().status, only_notice().attempts, len(message_ids(tmp_path))) == ("sent", 2, 1)


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_between_the_mail_and_its_mark_repeats_the_very_same_mail(
    alice: User, tmp_path: Path, settings: Any
) -> None:
    settings.DEFAULT_FROM_EMAIL = "exports@localhost"  # as the other process has it
    completed(alice)
    assert worker("send(self); os.kill(os.getpid(), signal.SIGKILL)", tmp_path).wait() == -signal.SIGKILL
    assert only_notice().status == Delivery.PENDING
    send_the_rest(tmp_path, settings)
    assert only_notice().status == "sent"
    assert message_ids(tmp_path) == [f"Message-ID: <{only_notice().pk}@localhost>"] * 2


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_hangs_while_it_sends_keeps_the_mail_to_itself(
    alice: User, tmp_path: Path, settings: Any
) -> None:
    completed(alice)
    process = worker("os.kill(os.getpid(), signal.SIGSTOP); send(self)", tmp_path)
    os.waitpid(process.pid, os.WUNTRACED)
    with connection.cursor() as cursor:  # its lease ends; the row itself it holds
        cursor.execute("SELECT count(*) FROM exports_app_exportnotification WHERE lease_expires_at IS NOT NULL")
        assert cursor.fetchone() == (1,)
    assert not notify.notify_next()
    os.kill(process.pid, signal.SIGCONT)
    assert process.wait() == 0
    send_the_rest(tmp_path, settings)
    assert (only_notice().status, only_notice().attempts, len(message_ids(tmp_path))) == ("sent", 1, 1)


# Operators


def ended(owner: User, count: int, status: Status, **values: Any) -> None:
    done = {"row_count": 1, "file_size": 1} if status == Status.COMPLETED else {}
    for _ in range(count):
        make_job(owner, status=status, **{"completed_at": timezone.now()} | done | values)


@pytest.mark.django_db
def test_operators_hear_once_an_hour_that_more_than_a_tenth_failed(alice: User, settings: Any) -> None:
    settings.ADMINS = [("Operator", "operator@example.com")]
    ended(alice, 18, Status.COMPLETED)
    ended(alice, 2, Status.FAILED, error_code="database_unavailable")
    upkeep.sweep()
    assert ExportNotification.objects.count() == 0, "a tenth is not more than a tenth"
    ended(alice, 1, Status.FAILED, error_code="bad_query")
    upkeep.sweep()
    upkeep.sweep()
    assert notify.notify_next()
    assert not notify.notify_next()
    [message] = mail.outbox
    assert message.to == ["operator@example.com"]
    assert message.subject == "[Exports] 3 of 21 exports failed within the last hour"
    assert "2 x database_unavailable\n1 x bad_query" in str(message.body)
    assert b'exports_alerts_total{alert="failure_rate"} 1.0' in metrics.page()
    ExportNotification.objects.update(created_at="2020-01-01T00:00:00Z")
    upkeep.sweep()
    assert ExportNotification.objects.filter(status=Delivery.PENDING).count() == 1, "an hour later again"


@pytest.mark.django_db
def test_few_or_old_failures_and_cancelled_exports_alert_nobody(alice: User) -> None:
    ended(alice, 4, Status.FAILED, error_code="bad_query")
    ended(alice, 9, Status.FAILED, error_code="bad_query", completed_at="2020-01-01T00:00:00Z")
    ended(alice, 9, Status.CANCELLED)
    upkeep.alert_on_failures()
    assert ExportNotification.objects.count() == 0


@pytest.mark.django_db
def test_old_tests_and_alerts_are_pruned(alice: User) -> None:
    ended(alice, 5, Status.FAILED, error_code="bad_query")
    upkeep.alert_on_failures()
    ExportNotification.objects.update(created_at="2020-01-01T00:00:00Z")
    retention.prune()
    assert ExportNotification.objects.count() == 0
