"""How much one user may ask for: exports at once, and exports in a period. ``exports_app.unlimited`` exempts."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from django.utils import timezone

from exports_app import access, conf, errors
from exports_app.choices import ACTIVE
from exports_app.models import ExportJob

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
    """Every export counts, whatever became of it: also those that were deleted, and downloads."""
    rate = conf.parse_rate(conf.settings.RATE)
    if rate is None:
        return
    now, period = timezone.now(), timedelta(seconds=rate.seconds)
    asked = ExportJob.objects.filter(owner=user, created_at__gt=now - period).order_by("-created_at")
    # Once this one has left the period, fewer than the limit are in it.
    blocking = asked.values_list("created_at", flat=True)[rate.count - 1 : rate.count].first()
    if blocking is not None:
        raise errors.Throttled(
            f"You asked for {rate.count} exports within one {rate.period}, which is all that is allowed.",
            retry_after=max(1, math.ceil((blocking + period - now).total_seconds())),
        )
