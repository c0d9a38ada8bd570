"""What somebody else than its owner does to an export: on record, and told to its owner, on its page and by mail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final
from uuid import UUID

from exports_app import access, keys, lifecycle, notifications, persons
from exports_app.choices import Act, EventKind
from exports_app.models import ExportJob

MAX_REASON = 300
"""Characters of a reason."""
OF_RECEIVERS: Final = frozenset({Act.LINK, Act.OPEN})
"""What those do whom the owner shared it with, as was meant: no mail."""

_gathered: ContextVar[list[UUID] | None] = ContextVar("exports_acts_gathered", default=None)
"""Mails of the acts that are done at once; None: each act is by itself."""


def record(job: ExportJob, act: Act, *, by: Any, reason: str = "") -> None:
    """Keep who did it and why, and have its owner told. What owners do to their own is on record already.

    Call it in the transaction of the act.
    """
    if not access.of(by).owns(job):
        entry = {"act": act.value, **_who(by), "reason": _short(reason)}
        lifecycle.record_event(job.pk, EventKind.OPERATED, entry)
        _tell(job, act, by, entry)


def opened(job: ExportJob, *, by: Any) -> None:
    """Have its owner told that somebody whom it is not shared with fetched the file; the download itself is on record.

    Call it in the transaction of the download.
    """
    if not access.of(by).owns(job):
        _tell(job, Act.OPEN, by, {"act": Act.OPEN.value, **_who(by), "reason": ""})


@contextmanager
def at_once() -> Iterator[None]:
    """Acts on many exports by one person: an owner of more than a few of them gets one mail about all."""
    token = _gathered.set([])
    try:
        yield
    finally:
        notices = _gathered.get() or []
        _gathered.reset(token)
        notifications.gather_acts(notices)


def removal(job: ExportJob, *, by: Any, reason: str) -> dict[str, str] | None:
    """What the owner reads in place of the export; None where they removed it themselves."""
    return None if access.of(by).owns(job) else {**_who(by), "reason": _short(reason)}


def _tell(job: ExportJob, act: Act, by: Any, entry: dict[str, Any]) -> None:
    if act in OF_RECEIVERS and any(person.pk == access.of(by).user.pk for person in job.people):
        return
    gathered = _gathered.get()
    notice = notifications.record_act(job, entry, later=gathered is not None)
    if notice is not None and gathered is not None:
        gathered.append(notice)


def _who(by: Any) -> dict[str, str]:
    return {} if by is access.SYSTEM else {"person": persons.note(by), **keys.permit_of(by).named()}


def _short(reason: str) -> str:
    return reason.strip()[:MAX_REASON]
