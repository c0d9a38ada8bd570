"""What happened to an export, a line for each event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from exports_app import persons
from exports_app.choices import Act, EventKind
from exports_app.models import ExportEvent, ExportJob
from exports_app.persons import Who
from exports_app.web import words

MOST = 50
"""Lines that are shown."""
REASONS = {
    "slice": "Its turn was over; it goes on behind the last stored part.",
    "drain": "Its worker stops; another one goes on behind the last stored part.",
    "shutdown": "Its worker was ended; another one goes on behind the last stored part.",
}
TONES = {
    EventKind.COMPLETED: "completed",
    EventKind.FAILED: "failed",
    EventKind.RETRY: "retrying",
    EventKind.LOST: "retrying",
    EventKind.STARTED: "running",
    EventKind.RESUMED: "running",
}


@dataclass(frozen=True, slots=True)
class Moment:
    at: datetime
    title: str
    text: str
    tone: str


def timeline(job: ExportJob, *, details: bool) -> list[Moment]:
    """The newest events, oldest first; downloads have a list of their own. ``details``: why it was interrupted."""
    newest = job.events.exclude(kind=EventKind.DOWNLOADED).order_by("-id")[:MOST]
    return [
        _moment(event, event.data if details else {**event.data, "detail": ""}, who)
        for event, who in persons.of_events(list(newest)[::-1])
    ]


def _moment(event: ExportEvent, data: dict[str, Any], who: Who) -> Moment:
    kind = EventKind(event.kind)
    return Moment(event.at, *_words(kind, data, who), TONES.get(kind, ""))


def _words(kind: EventKind, data: dict[str, Any], who: Who) -> tuple[str, str]:
    why = str(data.get("detail", ""))
    if kind == EventKind.OPERATED:
        return f"{Act(data['act']).label} by {words.isolated(who.name)}", str(data.get("reason", ""))
    if kind == EventKind.QUEUED:
        return ("Asked for again" if data.get("again") else "Asked for"), ""
    if kind == EventKind.STARTED:
        attempt = data.get("attempt", 1)
        return "Started", f"Attempt {attempt}." if attempt > 1 else ""
    if kind == EventKind.RESUMED:
        return "Went on", "Behind the last stored part, where there is one."
    if kind == EventKind.RETRY:
        uses = "" if data.get("counts") else " No attempt is used."
        return "Interrupted", f"{why} Tried again after {words.duration(float(data.get('delay', 0)))}.{uses}"
    if kind == EventKind.HANDED_ON:
        return "Handed on", REASONS.get(str(data.get("reason")), "")
    if kind == EventKind.LOST:
        return "Worker lost", "It is taken up by another one."
    if kind == EventKind.COMPLETED and "row_count" in data:
        return "Completed", f"{words.counted(data['row_count'], 'row')}, {words.size(data.get('file_size'))}."
    return str(kind.label), why
