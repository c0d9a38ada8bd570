"""Mails: to the owner of an export when it is ready, has failed or was changed by another, and to the operators.

Exactly one: the notification's row is locked while its mail is sent, and marked in the same transaction. Should a
worker die after the mail server took the mail and before the commit, the mail that is sent again has the same
Message-ID, so that mailboxes know it for the same one.
"""

from __future__ import annotations

import smtplib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings as django_settings
from django.core.mail import EmailMultiAlternatives
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.urls import reverse

from exports_app import conf, downloads, errors, notifications, persons
from exports_app.choices import Act, WebhookEvent
from exports_app.logs import log
from exports_app.models import ExportJob, ExportNotification
from exports_app.persons import FORMER, SITE, Who
from exports_app.resources import registry
from exports_app.web import words
from exports_app.web.jobs import ADVICE, OPERATORS
from workers.notify.base import Schedule, Undelivered

A_DAY = Schedule(tries=150, first=5.0, factor=2.0, longest=600.0)
PERMANENT = range(500, 600)
"""Replies of a mail server that another try would not change."""
ACTS = {
    Act.CANCEL: "cancelled your export of {}",
    Act.RETRY: "started your export of {} again",
    Act.DELETE: "removed your export of {}",
    Act.LINK: "made a link to the file of your export of {}",
    Act.END_LINKS: "ended the links to the file of your export of {}",
    Act.OPEN: "fetched the file of your export of {}",
    Act.SHARE: "shared your export of {}",
    Act.UNSHARE: "ended a share of your export of {}",
}
"""Behind a name, what its bearer did to an export of the reader's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What one mail says."""

    to: list[str]
    subject: str
    template: str
    """Name below ``exports/mail/``, of a ``.txt`` and an ``.html``."""
    context: dict[str, Any] = field(default_factory=dict)


class EmailChannel:
    """One mail through Django's mail settings. A mail server that is away is waited out for a day."""

    holds_row = True

    def schedule(self, notice: ExportNotification) -> Schedule:
        return A_DAY

    def send(self, notice: ExportNotification) -> int | None:
        letter = _to_operators(notice) if notice.job is None else _to_owner(notice.job, notice)
        message = EmailMultiAlternatives(
            subject=" ".join(letter.subject.split()),
            body=render_to_string(f"exports/mail/{letter.template}.txt", letter.context),
            to=letter.to,
            headers={"Message-ID": message_id(notice), "Auto-Submitted": "auto-generated"},
        )
        html = render_to_string(f"exports/mail/{letter.template}.html", letter.context)
        message.attach_alternative(html, "text/html")
        _hand_over(message)
        return None

    def gave_up(self, notice: ExportNotification) -> None:
        log.error("export.mail.unsent", reason=notice.error)


def message_id(notice: ExportNotification) -> str:
    """The same for each try of a notification."""
    domain = parseaddr(str(django_settings.DEFAULT_FROM_EMAIL))[1].rpartition("@")[2] or "localhost"
    return f"<{notice.pk}@{domain}>"


def _to_owner(job: ExportJob, notice: ExportNotification) -> Letter:
    owner = job.owner
    if not owner.is_active:
        raise Undelivered("The owner is not active any more.", final=True)
    if job.deleted_at is not None and (notice.event != notifications.ACT_EVENT or job.removal is None):
        raise Undelivered("The export was deleted before its mail was sent.", final=True)
    if not owner.email:
        raise Undelivered("The owner has no mail address.", final=True)
    if notice.event == notifications.ACT_EVENT:
        return _of_acts(notice, owner)
    title = registry.title_of(job.resource)
    page = _page(job.pk)
    context = {"title": title, "job": job, "page": page}
    if notice.event == WebhookEvent.COMPLETED:
        return _ready(job, title, owner, context)
    error = notice.body["data"]["error"]
    context |= {"reason": error["detail"], "advice": ADVICE.get(error["code"], OPERATORS)}
    return Letter(to=[owner.email], subject=f"Your export of {title} failed", template="failed", context=context)


def _ready(job: ExportJob, title: str, owner: Any, context: dict[str, Any]) -> Letter:
    try:
        link = downloads.make_token(job, owner, extends=False)
    except (errors.Disabled, errors.Unavailable) as error:
        raise Undelivered(str(error)) from error
    except errors.ExportError as error:
        raise Undelivered(str(error), final=True) from error
    context |= {
        "link": link.page_url,
        "link_ends": _moment(link.expires_at),
        "file_ends": _moment(job.expires_at),
        "rows": f"{job.row_count:,}",
        "size": filesizeformat(job.file_size or 0).replace("\N{NO-BREAK SPACE}", " "),  # so that the mail stays ASCII
    }
    return Letter(to=[owner.email], subject=f"Your export of {title} is ready", template="ready", context=context)


def _of_acts(notice: ExportNotification, owner: Any) -> Letter:
    acts, count = notice.body["acts"], notice.body["count"]
    names = [_name(who) for who in persons.of_entries(acts)]
    told = [
        {
            "what": f"{name} {ACTS[Act(act['act'])].format(registry.title_of(act['resource']))}",
            "reason": act["reason"],
            "page": _page(act["job"]),
        }
        for act, name in zip(acts, names, strict=True)
    ]
    subject = told[0]["what"] if count == 1 else f"{names[0]} changed {count} of your exports"
    context = {"subject": subject, "acts": told, "more": count - len(told)}
    return Letter(to=[owner.email], subject=subject, template="acts", context=context)


def _name(who: Who) -> str:
    """As a sentence begins with it."""
    return words.isolated(who.name) if who.name not in (SITE.name, FORMER.name) else who.name.capitalize()


def _page(job_id: Any) -> str:
    return f"{conf.settings.SITE_URL}{reverse('exports:detail', args=[job_id])}"


def _to_operators(notice: ExportNotification) -> Letter:
    addresses = [address for _, address in django_settings.ADMINS]
    if not addresses:
        raise Undelivered("ADMINS names no operator.", final=True)
    subject = f"{django_settings.EMAIL_SUBJECT_PREFIX}{notice.body['subject']}"
    return Letter(to=addresses, subject=subject, template="operators", context=dict(notice.body))


def _hand_over(message: EmailMultiAlternatives) -> None:
    try:
        message.send()
    except SoftTimeLimitExceeded:
        raise
    except smtplib.SMTPRecipientsRefused as error:
        replies = [reply for reply, _ in error.recipients.values()]
        raise Undelivered("The mail server refuses the address.", final=all(r in PERMANENT for r in replies)) from error
    except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
        raise Undelivered("The mail server refuses the mail.", final=error.smtp_code in PERMANENT) from error
    except Exception as error:  # backends raise what they like; whatever it is, it may pass
        raise Undelivered(f"The mail server could not be reached ({type(error).__name__}).") from error


def _moment(moment: datetime | None) -> str:
    """``26 February 2026, 12:00 UTC``"""
    return f"{moment.astimezone(UTC):%-d %B %Y, %H:%M} UTC" if moment else "-"
