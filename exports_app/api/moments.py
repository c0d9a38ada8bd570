"""What a stream of events is made of: an export's row and stored events at one moment, and the messages they give."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, OuterRef, Q
from django.db.models.functions import JSONObject

from exports_app import access, clock, progress
from exports_app.api.serializers import iso, status_json
from exports_app.choices import ACTIVE, FINAL, EventKind, Status
from exports_app.keys import Permit
from exports_app.models import ExportEvent, ExportJob
from exports_app.visibility import WHOLE, View

STATUS_AFTER: dict[str, Status] = {
    EventKind.QUEUED: Status.QUEUED,
    EventKind.STARTED: Status.RUNNING,
    EventKind.RESUMED: Status.RUNNING,
    EventKind.RETRY: Status.QUEUED,
    EventKind.HANDED_ON: Status.QUEUED,
    EventKind.LOST: Status.QUEUED,
    EventKind.COMPLETED: Status.COMPLETED,
    EventKind.FAILED: Status.FAILED,
    EventKind.CANCELLED: Status.CANCELLED,
    EventKind.EXPIRED: Status.EXPIRED,
}
"""The events that move a job; others are not part of a stream."""
SHOWN = (
    "id", "status", "queue", "owner_id", "rows_done", "bytes_done", "rows_per_second", "row_count", "sheet_rows",
    "file_size",
    "estimated_rows", "estimate_exact", "failures", "max_attempts", "next_attempt_at", "error_code", "error_detail",
    "claim",
)  # fmt: skip
"""Columns that the status object is made of, or that tell who may see it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One job as one statement saw it."""

    job: ExportJob
    events: list[dict[str, Any]]
    """``id``, ``kind``, ``at`` and ``data`` of the asked-for stored events, oldest first."""
    places: progress.Places


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One server-sent event."""

    type: str
    data: dict[str, Any]
    id: int | None = None
    """Of the last stored event that the client knows with this one."""

    def encode(self) -> bytes:
        number = f"id: {self.id}\n" if self.id is not None else ""
        return f"{number}event: {self.type}\ndata: {json.dumps(self.data)}\n\n".encode()


def read(job_ids: Iterable[UUID], *, since: int) -> list[Moment]:
    """The jobs and their stored events behind ``since``, each job of one piece.

    Two queries at most, whatever the number of jobs.
    """
    events = (
        ExportEvent.objects.filter(job=OuterRef("pk"), id__gt=since, kind__in=list(STATUS_AFTER))
        .order_by("id")
        .values(fact=JSONObject(id="id", kind="kind", at="at", data="data"))
    )
    jobs = ExportJob.objects.filter(pk__in=list(job_ids)).order_by()
    found = list(jobs.only(*SHOWN).annotate(recent=ArraySubquery(events)))
    places = progress.places(found)
    clock.now()  # so that the event loop, which asks nobody, knows it
    return [Moment(job=job, events=job.recent, places=places) for job in found]


@dataclass(frozen=True, slots=True)
class Seen:
    """Who sees a job."""

    tables: list[str]
    """Its resource, and those of the related tables of its file."""
    by: dict[Any, View]
    """By user: how much of it."""

    def exists_for(self, user_id: Any, permit: Permit) -> bool:
        """Whether this user sees it by a key, if it is one, with this permit."""
        return user_id in self.by and permit.allows_resource(self.tables[0])

    def view_for(self, user_id: Any, permit: Permit) -> View:
        """How much of it that user sees, so."""
        return self.by[user_id].without(permit.outside(self.tables))


def active_jobs(user_ids: Iterable[Any], others: Iterable[UUID] = ()) -> dict[UUID, Seen]:
    """Jobs that these users own or have been given to see, by user, and how much they see of them.

    All that are queued or running, and of ``others`` those in any state.
    """
    users, wanted = list(user_ids), Q(status__in=ACTIVE) | Q(pk__in=list(others))
    jobs = ExportJob.objects.filter(wanted, deleted_at=None).order_by()
    seen: dict[UUID, Seen] = {}
    for job in jobs.filter(owner_id__in=users).only("owner_id", "resource", "tables", "columns"):
        seen[job.pk] = Seen(_tables(job), {job.owner_id: WHOLE})
    shared: Any = list(jobs.filter(shared_with__in=users).annotate(receiver=F("shared_with")))
    receivers = get_user_model()._default_manager.filter(pk__in={job.receiver for job in shared})
    allowed = {receiver.pk: access.of(receiver) for receiver in receivers}
    for job in shared:
        if job.receiver in allowed:  # and not deleted since
            view = allowed[job.receiver].view(job)
            seen.setdefault(job.pk, Seen(_tables(job), {})).by[job.receiver] = view
    return seen


def _tables(job: ExportJob) -> list[str]:
    return [job.resource, *(name for name, _ in job.contents()[1:])]


@dataclass(slots=True)
class Track:
    """What one client has been told of one job."""

    view: View = WHOLE
    """How much of it the client is told."""
    last_id: int = 0
    """Of the last stored event that it was told."""
    shown: dict[str, Any] = field(default_factory=dict)
    """The status object that it was told last."""
    is_done: bool = False

    def snapshot(self, moment: Moment, *, after: int | None) -> Iterator[Message]:
        """Where the job stands, and behind that the stored events since ``after``, if the client named one."""
        known = max((event["id"] for event in moment.events), default=0)
        missed = [] if after is None else [event for event in moment.events if event["id"] > after]
        self.shown = status_json(self.view.of(moment.job), moment.places)
        # A client that is cut off amid what it missed comes back for the rest of it, not for what follows.
        yield _message("snapshot", self.shown, number=None if missed else known or None)
        self.last_id = after if after is not None and missed else known
        yield from self.news(Moment(job=moment.job, events=missed, places=moment.places))

    def news(self, moment: Moment) -> Iterator[Message]:
        """What the client does not know yet: stored events one by one, else the progress; ``done`` at the end."""
        job = self.view.of(moment.job)
        news = [event for event in moment.events if event["id"] > self.last_id]
        if not self.shown:
            news = news[-1:]  # a job that came up behind the beginning of the stream: only where it stands
        status = status_json(job, moment.places)
        for event in news[:-1]:
            self.last_id = event["id"]
            past = status_json(_as_of(job, event), moment.places)
            yield _message(_type(event), past, number=self.last_id, at=event["at"])
        self.is_done = job.status in FINAL
        if news:
            last = news[-1]
            self.last_id = last["id"]
            kind = "done" if self.is_done else _type(last)
            yield _message(kind, status, number=self.last_id, at=last["at"])
        elif self.is_done or status != self.shown:
            yield _message("done" if self.is_done else "progress", status, number=self.last_id or None)
        self.shown = status


def _type(event: dict[str, Any]) -> str:
    return "retry" if event["kind"] == EventKind.RETRY else "status"


def _message(kind: str, status: dict[str, Any], *, number: int | None, at: str | None = None) -> Message:
    return Message(type=kind, id=number, data={"type": kind, "at": at or iso(clock.now()), **status})


def _as_of(job: ExportJob, event: dict[str, Any]) -> ExportJob:
    """The job as it stood after an event that others have followed, as far as that is on record."""
    past = copy.copy(job)
    past.status = STATUS_AFTER[event["kind"]]
    if past.status not in (Status.COMPLETED, Status.EXPIRED):
        past.row_count = past.file_size = None
    past.next_attempt_at = None
    past.error_code = event["data"].get("code", "")
    past.error_detail = job.error_detail if past.error_code == job.error_code else ""
    return past
