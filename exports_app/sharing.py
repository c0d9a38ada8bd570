"""With whom exports and presets are shared: names looked up within a limit, and receivers who let go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models.functions import Now

from exports_app import access, errors, locks
from exports_app.choices import Scope
from exports_app.locks import Lock
from exports_app.models import ExportJob, ExportPreset, ExportShare

MAX_SHARED = 50
"""Users that one export or preset may be shared with."""
MAX_NAMES = 100
"""Different names that one user may share with within an hour, those that nobody has included."""
MAX_NAME = 254
"""Characters of a name that are remembered."""
PERIOD = timedelta(hours=1)
NO_EXPORT = "There is no such export."


def users_named(names: Sequence[str], *, by: Any) -> list[Any]:
    """Users to share something with. Raises ``errors.Invalid`` under ``shared_with`` for a name that nobody has.

    Each name counts, also such a one: raises ``errors.Throttled`` where they are too many; ``errors.PermissionDenied``
    for an API key without the scope for it.
    """
    if not names:
        return []
    access.of(by).permit.require(Scope.MANAGE)
    _count([name[:MAX_NAME] for name in names], by)
    model = get_user_model()
    field = model.USERNAME_FIELD
    users = model._default_manager.filter(**{f"{field}__in": list(names)}, is_active=True)
    found = {getattr(user, field): user for user in users}
    missing = [name for name in names if name not in found]
    if missing:
        raise errors.Invalid(
            "It cannot be shared as asked.", errors={"shared_with": [f"There is no user {missing[0]}."]}
        )
    return list(found.values())


def _count(names: Sequence[str], by: Any) -> None:
    """In a transaction of its own, since a refusal counts too."""
    if access.of(by).is_unlimited:
        return
    lately = ExportShare.objects.filter(user=by, at__gt=Now() - PERIOD)
    with transaction.atomic():
        locks.take(Lock.SHARES, by)
        known = set(lately.values_list("name", flat=True))
        if len(known | set(names)) > MAX_NAMES:
            raise errors.Throttled(
                f"You shared with {len(known)} people within the last hour; {MAX_NAMES} are allowed.",
                retry_after=int(PERIOD.total_seconds()),
            )
        ExportShare.objects.bulk_create(ExportShare(user=by, name=name) for name in set(names) - known)


def leave_export(user: Any, job_id: Any) -> None:
    """Let go of an export that somebody shared. Raises ``errors.NotFound`` where nobody did."""
    shared = ExportJob.shared_with.through.objects.filter(user_id=user.pk, exportjob_id=job_id)
    if resources := access.of(user).permit.resources:
        shared = shared.filter(exportjob__resource__in=resources)
    if not shared.delete()[0]:
        raise errors.NotFound(NO_EXPORT)


def leave_preset(user: Any, preset_id: Any) -> None:
    """The same of a preset."""
    shared = ExportPreset.shared_with.through.objects.filter(user_id=user.pk, exportpreset_id=preset_id)
    if resources := access.of(user).permit.resources:
        shared = shared.filter(exportpreset__resource__in=resources)
    if not shared.delete()[0]:
        raise errors.NotFound("There is no such preset.")
