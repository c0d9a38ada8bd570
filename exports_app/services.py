"""What people can do with exports; the API, the pages, the admin and the command line all come through here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from dataclasses import fields as dataclass_fields
from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models.functions import Now

from exports_app import (
    access,
    acts,
    clock,
    conf,
    dispatch,
    erasure,
    errors,
    keys,
    lifecycle,
    limits,
    locks,
    removals,
    rights,
    storage,
)
from exports_app.choices import ACTIVE, Act, EventKind, Scope, Status, Strategy
from exports_app.estimates import Estimate, estimate_rows
from exports_app.locks import Lock
from exports_app.logs import log
from exports_app.models import ExportJob
from exports_app.pipeline import formats
from exports_app.pipeline.types import Options, Store
from exports_app.plan import Plan, Request, make_plan
from exports_app.resources import faults
from exports_app.sharing import MAX_SHARED, NO_EXPORT, users_named

LINK_LIFE = timedelta(seconds=storage.LINK_SECONDS)
IDEMPOTENCY_LIFE = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What comes with a request but does not change the file."""

    shared_with: Sequence[str] = ()
    notify: dict[str, bool] | None = None
    idempotency_key: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A request that was checked: it may be accepted."""

    request: Request
    extras: Extras
    plan: Plan
    estimate: Estimate
    shared_with: Sequence[Any]


def request_export(user: Any, request: Request, extras: Extras | None = None) -> tuple[ExportJob, bool]:
    """Accept an export. Gives the job, and whether it is new (False: the same ``Idempotency-Key`` again).

    Raises the errors of ``exports_app.errors``; then nothing is stored or enqueued.
    """
    extras = extras or Extras()
    if known := known_export(user, request, extras):
        return known, False
    return accept(user, check_request(user, request, extras))


def known_export(user: Any, request: Request, extras: Extras) -> ExportJob | None:
    """The export that the same ``Idempotency-Key`` made. Raises ``errors.Conflict``, ``errors.Disabled``."""
    require_enabled()
    return _known(user, extras.idempotency_key, _digest(request, extras)) if extras.idempotency_key else None


def check_request(user: Any, request: Request, extras: Extras) -> Order:
    """Everything that needs no lock. Raises the errors of ``exports_app.errors``."""
    plan = make_plan(request, user)
    shared = users_named(extras.shared_with, by=user)
    return Order(request=request, extras=extras, plan=plan, estimate=_estimate(plan), shared_with=shared)


def accept(user: Any, order: Order, **begun: Any) -> tuple[ExportJob, bool]:
    """Store the job, and ring for a worker; gives what ``request_export`` does. Raises ``errors.Throttled``.

    ``begun``: columns of a job that this process works on itself (``lifecycle.begun_here``); nobody is rung for.
    """
    by_key = keys.permit_of(user).named()
    with transaction.atomic():
        locks.take(Lock.REQUESTS, user)
        if known := known_export(user, order.request, order.extras):
            return known, False
        limits.check(user)
        job = _create(user, order, begun)
        _share(job, order.shared_with)
        if begun:
            lifecycle.record_event(job.pk, EventKind.STARTED, {"attempt": 1, **by_key})
        else:
            lifecycle.record_event(job.pk, EventKind.QUEUED, by_key)
            transaction.on_commit(lambda: _announce(job), robust=True)
    return job, True


def leave_to_workers(job: ExportJob, order: Order) -> None:
    """Have a download that has sent nothing become the job that its request would have been. Raises ``LeaseLost``."""
    with transaction.atomic():
        expires = clock.now() + timedelta(seconds=file_ttl(order.plan))
        lifecycle.leave_to_workers(job, notify=order.extras.notify or {}, expires_at=expires)
        transaction.on_commit(lambda: _announce(job), robust=True)
    job.refresh_from_db()


def cancel_export(job: ExportJob, *, by: Any, reason: str = "") -> None:
    """Stop a queued or running export. Raises ``errors.Conflict`` where it has ended, ``errors.PermissionDenied``."""
    _require_act(by, job)
    with transaction.atomic():
        if not lifecycle.cancel(job.pk):
            job.refresh_from_db()
            raise errors.Conflict(f"This export is {job.status}; only a queued or running one can be cancelled.")
        acts.record(job, Act.CANCEL, by=by, reason=reason)
    log.info("export.job.cancelled", **job.names())


def retry_export(job: ExportJob, *, by: Any, reason: str = "") -> None:
    """Start a failed or cancelled export again, as a job in the background whatever it was.

    It counts as a request of whoever asks. Raises ``errors.Conflict`` in any other state, ``errors.Throttled``,
    ``errors.PermissionDenied``.
    """
    require_enabled()
    _require_act(by, job)
    with transaction.atomic():
        if by is not access.SYSTEM:
            locks.take(Lock.REQUESTS, by)
            limits.check(by)
        if not lifecycle.restart(job.pk):
            job.refresh_from_db()
            raise errors.Conflict(f"This export is {job.status}; only a failed or cancelled one can be retried.")
        acts.record(job, Act.RETRY, by=by, reason=reason)
        transaction.on_commit(lambda: _announce(job, again=True), robust=True)


def delete_export(job: ExportJob, *, by: Any, reason: str = "") -> None:
    """Cancel if active, and remove the file: at once where the storage does, by the upkeep where it does not.

    Raises ``errors.PermissionDenied``.
    The row stays until it is pruned, without what the request said; unseen, unless somebody else than its owner
    deleted it: they are told who, and why.
    """
    _require_act(by, job)
    with transaction.atomic():
        if lifecycle.cancel(job.pk):
            log.info("export.job.cancelled", **job.names())
        erasure.remove(job.pk, removal=acts.removal(job, by=by, reason=reason))
        lifecycle.withdraw_tokens(job.pk)
        acts.record(job, Act.DELETE, by=by, reason=reason)
    job.refresh_from_db()
    if job.status not in ACTIVE:
        removals.at_once(partial(discard_file, job), **job.names())


def share_export(job: ExportJob, name: str, *, by: Any) -> None:
    """Let one more user see the export and fetch its file. Raises ``errors.Invalid`` where that cannot be."""
    _require_share(by, job)
    if not name:
        raise errors.Invalid("Give the name of a user.")
    try:
        (person,) = users_named([name], by=by)
    except errors.Invalid as error:
        raise errors.Invalid(f"There is no user {name}.") from error
    if person.pk == job.owner_id:
        raise errors.Invalid(f"{name} owns this export.")
    if job.shared_with.count() >= MAX_SHARED:
        raise errors.Invalid(f"An export is shared with {MAX_SHARED} users at most.")
    with transaction.atomic():
        job.shared_with.add(person)
        acts.record(job, Act.SHARE, by=by)


def unshare_export(job: ExportJob, name: str, *, by: Any) -> None:
    """End it, at once; a name that it is not shared with is no error."""
    _require_share(by, job)
    field = get_user_model().USERNAME_FIELD
    if not (people := list(job.shared_with.filter(**{field: name}))):
        return
    with transaction.atomic():
        job.shared_with.remove(*people)
        acts.record(job, Act.UNSHARE, by=by)


def discard_file(job: ExportJob, store: Store | None = None) -> None:
    """Remove what the storage holds of a job that has ended: the object and any unfinished upload.

    No two uploads share a key, so this touches nothing of a later one. The key of a job that ended a moment ago
    stays on record: its worker may still be writing, and the upkeep looks again.
    """
    if not job.file_key:
        return
    if (store or storage.store()).discard(job.upload()):
        removals.say_what_remains(1)
    settled = ExportJob.objects.filter(pk=job.pk, file_key=job.file_key).exclude(
        status__in=(Status.CANCELLED, Status.FAILED), completed_at__gt=Now() - removals.SETTLING
    )
    settled.exclude(status__in=ACTIVE).update(file_key="", upload_id="", discard_failures=0, discard_due_at=None)


def get_export(user: Any, job_id: Any) -> ExportJob:
    """An export that exists for this user. Raises ``errors.NotFound``, also for another user's."""
    try:
        return access.of(user).exports().get(pk=job_id)
    except ExportJob.DoesNotExist as error:
        raise errors.NotFound(NO_EXPORT) from error


def own_export(user: Any, job_id: Any) -> ExportJob:
    """An export that this user may act on. Raises ``errors.NotFound``, ``errors.PermissionDenied``."""
    job = get_export(user, job_id)
    _require_act(user, job)
    return job


def _require_act(by: Any, job: ExportJob) -> None:
    allowed = access.of(by)
    if not allowed.may_act(job):
        raise errors.PermissionDenied("Only its owner may change this export.")
    if not allowed.owns(job):
        allowed.permit.require(Scope.MANAGE)  # a key that makes exports changes no others


def _require_share(by: Any, job: ExportJob) -> None:
    if not access.of(by).may_share(job):
        raise errors.PermissionDenied("Only its owner may share this export.")


def download_url(user: Any, job: ExportJob) -> str | None:
    """A fresh link to the file for who may fetch it now; None where there is none, or it is not theirs to fetch.

    ``user``: or their ``Access``, for a whole list.
    """
    allowed = access.of(user)
    over = job.has_expired(clock.now()) or not allowed.permit.allows(Scope.EXPORT)
    if job.status != Status.COMPLETED or over or not job.has_file or rights.refusal(allowed, job):
        return None
    if storage.is_local():
        return storage.signed_url(job.pk, allowed.user.pk, job.file_name)
    return storage.presigned_url(job.file_key, job.file_name, content_type(job))


def content_type(job: ExportJob) -> str:
    """Media type of the job's file."""
    return formats.content_type(job.format, job.compression)


def stored_request(job: ExportJob) -> Request:
    """What was asked for, as a worker plans it again."""
    related = (job.tables or [])[1:]
    return Request(
        resource=job.resource,
        format=job.format,
        compression=job.compression or None,
        columns=job.columns,
        filters=job.filters,
        ids=job.ids,
        limit=job.row_limit,
        sheets=job.sheets,
        sheet_columns={table["resource"]: table["columns"] for table in related},
        parameters=job.parameters,
        options=job.options,
    )


def require_enabled() -> None:
    """Raises ``errors.Disabled`` while ``ENABLE_EXPORTS=0``."""
    if not conf.settings.ENABLED:
        raise errors.Disabled(retry_after=60)


def _create(user: Any, order: Order, begun: Mapping[str, Any]) -> ExportJob:
    request, extras, plan, estimate = order.request, order.extras, order.plan, order.estimate
    today = clock.now()
    job = ExportJob(
        owner=user,
        resource=request.resource,
        format=request.format,
        compression=request.compression or "",
        columns=[{"name": field.name, "label": field.label} for field in plan.fields],
        filters=dict(request.filters),
        ids=list(request.ids) if request.ids is not None else None,
        row_limit=request.limit,
        sheets=_chosen_sheets(request, plan),
        tables=rights.record(plan, user),
        parameters=plan.resource.parameters,
        context=plan.resource.get_context(user),
        options=resolved_options(plan),
        notify=extras.notify or {},
        file_name=f"{request.resource}-{today:%Y-%m-%d}.{plan.extension}",
        request_id=extras.request_id[:100],
        idempotency_key=extras.idempotency_key or None,
        idempotency_hash=_digest(request, extras),
        strategy=Strategy.BACKGROUND,
        queue=lifecycle.queue_for(estimate.rows),
        estimated_rows=estimate.rows,
        estimate_exact=estimate.exact,
        max_attempts=plan.resource.retry.attempts or conf.settings.MAX_ATTEMPTS,
        expires_at=today + timedelta(seconds=file_ttl(plan)),
    )
    # As if the bell had been heard, which it nearly always is: `_announce` takes it back where it was not, and where
    # nobody is left to do that, the sweep rings once this is older than its own round.
    for name, value in (begun or {"rung_at": Now()}).items():
        setattr(job, name, value)
    job.save(force_insert=True)
    if begun:
        job.refresh_from_db()  # times are the database's
    return job


def _chosen_sheets(request: Request, plan: Plan) -> list[str] | None:
    """Related tables by name, so that a later run means the same; None where the file can have none."""
    if request.sheets is None and not (plan.resource.sheets and plan.format.sheets):
        return None
    return [table.resource.name for table in plan.tables[1:]]


def _share(job: ExportJob, people: Sequence[Any]) -> None:
    """Share a new job; with nobody, as nearly always, showing it does not ask the database with whom."""
    if people:
        job.shared_with.add(*people)
    else:
        job.people = []


def resolved_options(plan: Plan) -> dict[str, Any]:
    """Every option that the format heeds, defaults spelled out, as the job records them."""
    values = {field.name: getattr(plan.options, field.name) for field in dataclass_fields(Options)}
    if values["escape_formulas"] is None:
        values["escape_formulas"] = plan.format.guards_formulas
    return {name: value for name, value in values.items() if name in plan.format.options and value is not None}


def file_ttl(plan: Plan) -> int:
    """Seconds the file will live."""
    return plan.resource.file_ttl or conf.settings.FILE_TTL


def _estimate(plan: Plan) -> Estimate:
    with faults.declared_by(plan.resource):  # which may count its rows itself
        estimate = estimate_rows(plan)
    maximum = plan.resource.max_rows
    if maximum is not None and estimate.exact and estimate.rows is not None and estimate.rows > maximum:
        raise errors.TooManyRows.of(estimate.rows, maximum)
    return estimate


def _known(user: Any, key: str, digest: str) -> ExportJob | None:
    """The job that this key made. Raises ``errors.Conflict`` where it was made with another body."""
    job = ExportJob.objects.filter(owner=user, idempotency_key=key).first()
    if job is None or not keys.permit_of(user).allows_resource(job.resource):
        return None
    if job.created_at < clock.now() - IDEMPOTENCY_LIFE:
        ExportJob.objects.filter(pk=job.pk).update(idempotency_key=None)
        return None
    if job.idempotency_hash != digest:
        raise errors.Conflict("This Idempotency-Key was used with another request. Use a new one.")
    job.owner = user
    return job


def _digest(request: Request, extras: Extras) -> str:
    asked = asdict(request)
    del asked["sheet_columns"]
    body = {**asked, "shared_with": list(extras.shared_with), "notify": extras.notify}
    return hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()


def _announce(job: ExportJob, *, again: bool = False) -> None:
    log.info("export.job.enqueued", again=again, queue=str(job.queue), **job.names())
    if not dispatch.ring(job.queue):
        ExportJob.objects.filter(pk=job.pk, status=Status.QUEUED).update(rung_at=None)
