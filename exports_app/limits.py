"""How much one user may ask for: exports at once, and exports in a period. ``exports_app.unlimited`` exempts."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

from exports_app import access, clock, conf, errors
from exports_app.choices import ACTIVE, EventKind
from exports_app.models import ExportEvent, ExportJob

ACTIVE_RETRY_SECONDS = 10
"""When one of several exports may have ended; nobody knows."""


def check(user: Any) -> None:
    """Raises ``errors.Throttled`` where one more export would be too many. Call it under ``Lock.REQUESTS``."""
    if access.of(user).is_unlimited:
        return
    _check_active(user)
    _check_rate(user)


def _check_active(user: Any) -> None:
    """All the exports queued or running that are allowed at once."""
    most = conf.settings.MAX_ACTIVE
    if not most:
        return
    active = ExportJob.objects.filter(owner=user, status__in=ACTIVE, deleted_at=None).count()
    if active >= most:
        raise errors.Throttled(
            f"You have {active} exports queued or running; {most} are allowed at once. "
            "Wait for one of them or cancel it.",
            retry_after=ACTIVE_RETRY_SECONDS,
        )


def _check_rate(user: Any) -> None:
    """Every export counts, whatever became of it: also those that were deleted, downloads, and each retry."""
    rate = conf.parse_rate(conf.settings.RATE)
    if rate is None:
        return
    now, period = clock.now(), timedelta(seconds=rate.seconds)
    asked = _requests(user, since=now - period, most=rate.count)
    if len(asked) >= rate.count:
        blocking = asked[rate.count - 1]  # once this one has left the period, fewer than the limit are in it
        raise errors.Throttled(
            f"You asked for {rate.count} exports within one {rate.period}, which is all that is allowed.",
            retry_after=max(1, math.ceil((blocking + period - now).total_seconds())),
        )


def _requests(user: Any, *, since: datetime, most: int) -> list[datetime]:
    """When exports were asked for, or asked for again: the newest first, at most ``most``."""
    new = ExportJob.objects.filter(owner=user, created_at__gt=since).order_by("-created_at").values_list("created_at")
    again = ExportEvent.objects.filter(job__owner=user, kind=EventKind.QUEUED, data__again=True, at__gt=since)
    both = new[:most].union(again.order_by("-at").values_list("at")[:most], all=True)
    return [moment for (moment,) in both.order_by("-created_at")[:most]]
