"""What somebody else than its owner does to an export: on record, and told to its owner."""

from __future__ import annotations

from typing import Any

from exports_app import access, keys, lifecycle, persons
from exports_app.choices import Act, EventKind
from exports_app.models import ExportJob

MAX_REASON = 300
"""Characters of a reason."""


def record(job: ExportJob, act: Act, *, by: Any, reason: str = "") -> None:
    """Keep who did it and why. What owners do to their own is on record already."""
    if not access.of(by).owns(job):
        lifecycle.record_event(job.pk, EventKind.OPERATED, {"act": act.value, **_who(by), "reason": _short(reason)})


def removal(job: ExportJob, *, by: Any, reason: str) -> dict[str, str] | None:
    """What the owner reads in place of the export; None where they removed it themselves."""
    return None if access.of(by).owns(job) else {**_who(by), "reason": _short(reason)}


def _who(by: Any) -> dict[str, str]:
    return {} if by is access.SYSTEM else {"person": persons.note(by), **keys.permit_of(by).named()}


def _short(reason: str) -> str:
    return reason.strip()[:MAX_REASON]
