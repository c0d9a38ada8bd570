"""The ways to a finished file: by login, or by a one-time token that needs none.

Whoever comes, the permissions are checked again at that moment; each download is kept.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, BinaryIO
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core import signing
from django.db import transaction
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet, Value
from django.db.models.functions import Least, Now
from django.http import HttpRequest
from django.urls import reverse

from exports_app import (
    access,
    acts,
    conf,
    errors,
    keys,
    lifecycle,
    passwords,
    persons,
    rights,
    services,
    sharing,
    storage,
)
from exports_app.choices import Act, EventKind, Status, Strategy
from exports_app.logs import log
from exports_app.models import ExportEvent, ExportJob, ExportToken

TOKEN_LIFE = timedelta(hours=24)
LONGEST_LIFE = timedelta(days=7)
"""From its completion; tokens extend a file's life to so much in all."""
MOST_WAITING = 100
"""Links to one export that are not used yet."""
SECRET_BYTES = 32
IS_OVER = ExpressionWrapper(Q(expires_at__lte=Now()), output_field=BooleanField())
"""The time of a file or token has passed by the database's clock, whether or not the sweep came by."""
BY_LOGIN, BY_TOKEN = "login", "token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A one-time token in the forms that people pass on. The token itself is nowhere else: only its digest is kept."""

    token: str
    download_url: str
    """Redeems the token by GET: for programs."""
    page_url: str
    """A page whose button redeems it, for mails: what follows links by itself uses nothing up."""
    expires_at: datetime


# By login


def get_file(user: Any, job_id: UUID) -> ExportJob:
    """An export whose file this user may fetch now. Nothing is kept of the look.

    Raises ``NotFound``, ``Conflict`` before there is a file, ``Gone`` after, ``PermissionDenied``, ``Disabled``.
    """
    services.require_enabled()
    allowed = access.of(user)
    job = allowed.exports().annotate(is_over=IS_OVER).filter(pk=job_id).first()
    if job is None:
        raise errors.NotFound(sharing.NO_EXPORT)
    _require_file(job)
    if refusal := rights.refusal(allowed, job):
        raise refusal
    return job


def download(user: Any, job_id: UUID, *, address: str) -> str:
    """A fresh link to the file, for who may fetch it by login. Raises what ``get_file`` does."""
    job = get_file(user, job_id)
    url = _url(user, job)
    with transaction.atomic():
        keep(job, user, via=BY_LOGIN, address=address)
        acts.opened(job, by=user)
    return url


# By token


def make_token(job: ExportJob, user: Any, *, extends: bool = True) -> Link:
    """A token that fetches the file once, without a login, as long as ``user`` may fetch it.

    It lives 24 hours, and ``extends`` has the file live as long (7 days from its completion in all at most) where
    the user may change the export; else the token ends with the file. Raises what ``get_file`` does, and
    ``Conflict`` where too many wait to be used.
    """
    with transaction.atomic():
        get_file(user, job.pk)
        if waiting_tokens(job).count() >= MOST_WAITING:
            raise errors.Conflict(f"{MOST_WAITING} links to this export are not used yet. End them to make others.")
        if extends and access.of(user).may_act(job):
            lifecycle.extend(job.pk, life=TOKEN_LIFE, longest=LONGEST_LIFE)
        file_ends = ExportJob.objects.values_list("expires_at", flat=True).get(pk=job.pk)
        token = _signer(job.pk).sign(secrets.token_urlsafe(SECRET_BYTES))
        expires: Any = Least(Now() + TOKEN_LIFE, Value(file_ends))
        row = ExportToken.objects.create(
            job=job,
            created_by=user,
            digest=_digest(token),
            password_mark=passwords.mark_of(user),
            expires_at=expires,
        )
        row.refresh_from_db(fields=["expires_at"])
        acts.record(job, Act.LINK, by=user)
    log.info("export.token.made", job=str(job.pk), token_id=str(row.pk), user=user.pk)
    site = conf.settings.SITE_URL
    return Link(
        token=token,
        download_url=f"{site}{reverse('api:export-download', args=[job.pk])}?token={token}",
        page_url=f"{site}{reverse('exports:link', args=[job.pk])}#{token}",
        expires_at=row.expires_at,
    )


def look_up(job_id: UUID, token: str) -> ExportToken:
    """The token, if it would fetch the file now; it is not used up.

    Raises ``LinkWrong`` (without asking the database where it was never signed for this export), ``LinkUsed``,
    ``LinkWithdrawn`` (also where its maker may not fetch the file any more, or has another password),
    ``LinkExpired``, ``Disabled``.
    """
    services.require_enabled()
    _check_signature(job_id, token)
    found = _find(job_id, token)
    if found.redeemed_at:
        raise errors.LinkUsed
    _check_right(found)
    return found


def redeem(job_id: UUID, token: str, *, address: str) -> str:
    """Use the token up: a fresh link to the file, for exactly one caller. Raises what ``look_up`` does."""
    services.require_enabled()
    _check_signature(job_id, token)
    with transaction.atomic():
        # First the compare-and-set, which holds up everybody else; what is refused below undoes it.
        mine = ExportToken.objects.filter(
            job_id=job_id, digest=_digest(token), redeemed_at=None, revoked_at=None, expires_at__gt=Now()
        ).update(redeemed_at=Now())
        found = _find(job_id, token)
        if found.redeemed_at and not mine:
            raise errors.LinkUsed
        _check_right(found)
        url = _url(found.created_by, found.job)
        keep(found.job, found.created_by, via=BY_TOKEN, address=address, token=found)
    return url


def withdraw(job: ExportJob, *, by: Any) -> int:
    """End all links that were given out and not used; gives how many there were."""
    with transaction.atomic():
        withdrawn = lifecycle.withdraw_tokens(job.pk)
        acts.record(job, Act.END_LINKS, by=by)
    log.info("export.token.withdrawn", job=str(job.pk), tokens=withdrawn)
    return withdrawn


def waiting_tokens(job: ExportJob) -> QuerySet[ExportToken]:
    """Links that were given out and still work."""
    return job.tokens.filter(redeemed_at=None, revoked_at=None, expires_at__gt=Now())


# By a link to a local file


def open_file(job_id: UUID, signature: str) -> tuple[ExportJob, BinaryIO]:
    """The file behind a link that ``storage.signed_url`` made, as long as its user may fetch it.

    Raises ``LinkWrong``, ``LinkExpired``, ``LinkWithdrawn`` and what ``get_file`` does.
    """
    services.require_enabled()
    try:
        user_id = storage.signed_for(job_id, signature)
    except signing.SignatureExpired:
        raise errors.LinkExpired from None
    except signing.BadSignature:
        raise errors.LinkWrong from None
    if not storage.is_local():
        raise errors.LinkWrong
    user = get_user_model()._default_manager.filter(pk=user_id, is_active=True).first()
    if user is None:
        raise errors.LinkWithdrawn
    job = get_file(user, job_id)
    try:
        return job, storage.open_local(job.file_key)
    except FileNotFoundError:
        raise errors.NotFound("Its file was deleted.") from None


# What was fetched


def address_of(request: HttpRequest) -> str:
    """Where a request came from, as it is kept with a download; empty where the server does not say."""
    return str(request.META.get("REMOTE_ADDR", ""))


def keep(job: ExportJob, user: Any, *, via: str, address: str, token: ExportToken | None = None) -> None:
    """Note that ``user`` fetched the file, or was sent it."""
    data = {"person": persons.note(user, address=address), "via": via, **keys.permit_of(user).named()}
    if token is not None:
        data["token"] = str(token.pk)
    ExportEvent.objects.create(job=job, kind=EventKind.DOWNLOADED, data=data)
    log.info("export.job.downloaded", job=str(job.pk), user=user.pk, via=via)


def downloads_of(job: ExportJob) -> QuerySet[ExportEvent]:
    """Each download of the file, the last one first; ``data``: ``person`` (a pseudonym), ``via`` (login or token)."""
    return job.events.filter(kind=EventKind.DOWNLOADED).order_by("-id")


def file_headers(job: ExportJob) -> dict[str, str]:
    """What an answer to HEAD says about the file."""
    return {
        "Content-Type": services.content_type(job),
        "Content-Length": str(job.file_size),
        "Content-Disposition": storage.content_disposition(job.file_name),
        "Accept-Ranges": "bytes",
    }


def _require_file(job: Any) -> None:
    if job.status == Status.EXPIRED or (job.status == Status.COMPLETED and job.is_over):
        raise errors.Gone("The file of this export has expired. Start a new export to have it again.")
    if job.status != Status.COMPLETED:
        raise errors.Conflict(f"This export is {job.status}; it has no file to download.")
    if not job.has_file:
        kept = job.strategy == Strategy.BACKGROUND
        raise errors.NotFound("Its file was deleted." if kept else "Its file was sent at once; no copy was kept.")


def _url(user: Any, job: ExportJob) -> str:
    url = services.download_url(user, job)
    if url is None:  # the permission went while we looked
        raise errors.PermissionDenied
    return url


def _signer(job_id: UUID) -> signing.Signer:
    """A token of one export is garbage to another."""
    return signing.Signer(salt=f"exports.token.{job_id}", sep=".")


def _check_signature(job_id: UUID, token: str) -> None:
    try:
        _signer(job_id).unsign(token)
    except signing.BadSignature:
        raise errors.LinkWrong from None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _find(job_id: UUID, token: str) -> ExportToken:
    found = (
        ExportToken.objects.filter(job_id=job_id, digest=_digest(token))
        .select_related("job__owner", "created_by")
        .annotate(is_over=IS_OVER)
        .first()
    )
    if found is None:  # it was ours once: the upkeep removes what has long expired
        raise errors.LinkExpired
    return found


def _check_right(token: Any) -> None:
    """Whether the token's maker may still fetch the file. Raises ``LinkWithdrawn``, ``LinkExpired``."""
    if token.revoked_at:
        raise errors.LinkWithdrawn
    if token.is_over:
        raise errors.LinkExpired
    try:
        ended = token.password_mark and not passwords.fits(token.created_by, token.password_mark)
        if ended or not token.created_by.is_active:
            raise errors.PermissionDenied
        get_file(token.created_by, token.job_id)
    except errors.Gone:
        raise errors.LinkExpired from None
    except errors.ExportError:
        raise errors.LinkWithdrawn from None
