"""An export as the pages show it: its state in words, what it contains, and what this user may do with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from typing import Any

from django.utils.dateparse import parse_datetime

from exports_app import clock, persons, progress, rights
from exports_app.access import Access
from exports_app.choices import ACTIVE, Status, Strategy
from exports_app.counted import UNVERIFIED
from exports_app.models import ExportJob
from exports_app.pipeline.errors import RequestOutdated
from exports_app.pipeline.types import Options
from exports_app.resources import faults, registry
from exports_app.resources.base import Resource
from exports_app.resources.filters import FilterInput, describe
from exports_app.web import options, words
from exports_app.web.controls import END_OF_DAY

ADVICE = {
    "too_many_rows": "Start a new export with narrower filters or a row limit.",
    "memory_limit": "Leave out columns that hold very large values, or ask an operator.",
    "permission_lost": "Ask for the permission again, then retry.",
    "resource_gone": "Nothing you can do here; an operator has to bring the data back.",
    "column_gone": "Start a new export; it offers the columns that exist today.",
    "request_outdated": "Start a new export; it offers what there is today.",
    "switched_off": "Retry it once exports are switched on again.",
    "format_limit": "Start a new export in another format.",
    "time_limit": "Narrow the filters, or choose CSV, which has no time limit.",
    "incomplete": "An earlier file of this data may be wrong too: do not use its figures. "
    "An operator has to look; give them the export's ID below.",
    "worker_lost": "Retry it. If it fails again, an operator has to look.",
    "database_unavailable": "Retry it in a few minutes.",
    "storage_unavailable": "Retry it in a few minutes.",
}
ANEW = frozenset({"too_many_rows", "memory_limit", "column_gone", "request_outdated", "format_limit", "time_limit"})
"""Failures that come again with the same settings."""
PROOFS: Mapping[str, str] = {
    Strategy.BACKGROUND: "The stored file was checked before this export was called complete.",
    Strategy.DIRECT: "The whole file was read back before its first byte was sent.",
    Strategy.STREAM: "Its last byte was sent before this export was called complete.",
}
OPERATORS = "An operator has to look into it; give them the export's ID below."


@dataclass(frozen=True, slots=True)
class Named:
    """A line of a list of names and values."""

    name: str
    value: str


class JobView:
    """One export for one user at one moment. Everything a template asks for is an attribute."""

    def __init__(
        self,
        whole: ExportJob,
        allowed: Access,
        now: datetime | None = None,
        places: progress.Places | None = None,
    ) -> None:
        """``allowed``, ``places``: those of a whole list, so that its length costs little."""
        self.view = allowed.view(whole)
        self.job = job = self.view.of(whole)
        self.id = job.pk
        self.now = now or clock.now()
        self._user, self._sight = allowed.user, allowed.sight
        self.is_mine = allowed.owns(job)
        self.may_change = allowed.may_act(job) and job.removal is None
        self.may_share = allowed.may_share(job) and job.removal is None
        self.is_concealed = not self.view.contents
        self.progress = progress.of(job, progress.places([job]) if places is None else places)
        self.status: str = Status.EXPIRED if job.has_expired(self.now) else job.status
        self.is_active = self.status in ACTIVE
        refusal = rights.refusal(allowed, whole) if self.status == Status.COMPLETED else None
        self._may_read = self.status == Status.COMPLETED and refusal is None
        self._why_not = str(refusal) if refusal else ""

    # What it is

    @property
    def resource(self) -> Resource | None:
        declared = registry.get(self.job.resource)
        return next(faults.working([declared] if declared else [], lambda each: each), None)

    @property
    def title(self) -> str:
        return registry.title_of(self.job.resource) if not self.is_concealed else "An export"

    @property
    def format(self) -> str:
        label = words.format_name(self.job.format)
        return f"{label} · gzip" if self.job.compression else label

    @property
    def summary(self) -> str:
        """``12 columns · 2 filters · from bob``"""
        if self.is_concealed:
            return f"from {self.job.owner.get_username()}"
        parts = [words.counted(len(self.job.columns), "column")]
        if self.job.filters:
            parts.append(words.counted(len(self.job.filters), "filter"))
        if self.job.row_limit:
            parts.append(f"first {self.job.row_limit:,}")
        if self.job.strategy != Strategy.BACKGROUND:
            parts.append("downloaded at once")
        if not self.is_mine:
            parts.append(f"from {self.job.owner.get_username()}")
        return " · ".join(parts)

    @cached_property
    def removal(self) -> str:
        """``Removed by bob: too large``, where somebody else than its owner did that."""
        if self.job.removal is None:
            return ""
        (who,) = persons.of_entries([self.job.removal])
        reason = self.job.removal["reason"]
        return f"Removed by {words.isolated(who.name)}{f': {reason}' if reason else '.'}"

    @property
    def people(self) -> list[str]:
        """Who it is shared with."""
        return [person.get_username() for person in self.job.people]

    # How it is going

    @property
    def is_waiting_to_retry(self) -> bool:
        return self.status == Status.QUEUED and self.job.next_attempt_at is not None

    @property
    def state(self) -> str:
        return "Retrying" if self.is_waiting_to_retry else str(Status(self.status).label)

    @property
    def tone(self) -> str:
        """Picks the colour."""
        return "retrying" if self.is_waiting_to_retry else str(self.status)

    @property
    def percent(self) -> float | None:
        return self.progress.percent

    @property
    def percent_text(self) -> str:
        return "…" if self.percent is None else f"{int(self.percent)}%"

    @property
    def rows_of_total(self) -> str:
        """``417,000 of 1,000,000 rows``"""
        rows, total = self.progress.rows, self.progress.total_rows
        if total is None:
            return words.counted(rows, "row")
        about = "" if self.job.estimate_exact or self.job.row_count is not None else "about "
        return f"{rows:,} of {about}{words.counted(total, 'row')}"

    @property
    def speed(self) -> str:
        rate = self.progress.rows_per_second
        return words.NOTHING if rate is None else f"{rate:,} rows/s"

    @property
    def time_left(self) -> str:
        left = self.progress.eta_seconds
        return words.NOTHING if left is None else words.duration(left)

    @property
    def pace(self) -> str:
        """``402,113 rows/s · 42 s left``; a blank line as long as nobody knows."""
        known = [self.speed] if self.progress.rows_per_second is not None else []
        known += [f"{self.time_left} left"] if self.progress.eta_seconds is not None else []
        return " · ".join(known) or words.NO_BREAK

    @property
    def written(self) -> str:
        return words.size(self.job.bytes_done)

    @property
    def waiting(self) -> str:
        """Why nothing moves yet."""
        if self.is_waiting_to_retry and self.job.next_attempt_at:
            return f"Trying again {words.until(self.job.next_attempt_at, self.now)}."
        position = self.progress.queue_position
        return "Next in the queue." if position in (None, 1) else f"Number {position} in the queue."

    @property
    def took(self) -> str:
        if not self.job.started_at or not self.job.completed_at:
            return words.NOTHING
        return words.duration((self.job.completed_at - self.job.started_at).total_seconds())

    # What came out

    @property
    def rows(self) -> str:
        return words.number(self.job.row_count)

    @property
    def size(self) -> str:
        return words.size(self.job.file_size)

    @property
    def bytes(self) -> str:
        return words.number(self.job.file_size)

    @property
    def created(self) -> str:
        return words.ago(self.job.created_at, self.now)

    @property
    def expiry(self) -> str:
        """``in 23 hours``; only for a file that is or was there."""
        over = self.job.removal is not None or self.status not in (Status.COMPLETED, Status.EXPIRED)
        if self.job.expires_at is None or over:
            return words.NOTHING
        moment = self.job.expires_at
        return words.ago(moment, self.now) if self.status == Status.EXPIRED else words.until(moment, self.now)

    @property
    def advice(self) -> str:
        """What the user can do about a failure."""
        return ADVICE.get(self.job.error_code, OPERATORS)

    @property
    def begins_anew(self) -> bool:
        """Whether a new export, with settings that can be changed, is the way out."""
        if self.job.removal is not None:
            return False  # its settings are forgotten
        return self.resource is not None and (self.status == Status.EXPIRED or self.job.error_code in ANEW)

    @property
    def has_proof(self) -> bool:
        """Whether there is, or was, a file that was proven, and its moments are known."""
        return bool(self.job.crc32) and self.job.removal is None

    @property
    def proof(self) -> str:
        """Why the figures can be believed."""
        return PROOFS[self.job.strategy]

    @property
    def snapshots(self) -> list[datetime]:
        """The moments at which the rows were read."""
        moments = (parse_datetime(str(snapshot["at"])) for snapshot in self.job.snapshots)
        return [moment for moment in moments if moment]

    @property
    def doubt(self) -> str:
        """Why the rows were not counted, where the export says so."""
        reasons = (
            text.removeprefix(UNVERIFIED).rstrip(".") for text in self.job.warnings if text.startswith(UNVERIFIED)
        )
        return next(reasons, "")

    @property
    def notes(self) -> list[str]:
        """What else there is to mind about the file."""
        return [text for text in self.job.warnings if not text.startswith(UNVERIFIED)]

    @property
    def sheet_rows(self) -> list[Named]:
        """Rows of the related tables that this user may see."""
        titles = self._sheet_titles
        return [
            Named(titles[each["resource"]], words.number(each["rows"]))
            for each in self.job.sheet_rows or ()
            if each["resource"] in titles
        ]

    @property
    def chosen_sheets(self) -> str:
        """Those of the related tables that were asked for and this user may see; empty where nobody chose."""
        if self.job.sheets == []:
            return "None"
        titles = self._sheet_titles
        return ", ".join(titles[name] for name in self.job.sheets or () if name in titles)

    @cached_property
    def _sheet_titles(self) -> dict[str, str]:
        """By the names of the resources, those alone that this user may see."""
        sheets = self.resource.sheets if self.resource else ()
        titles = {sheet.resource: sheet.title or registry.title_of(sheet.resource) for sheet in sheets}
        return {name: title for name, title in titles.items() if self._sight.rights(name)}

    # What is in it

    @property
    def filters(self) -> list[Named]:
        seen = self._seen[1]
        described = faults.working(
            [self.resource] if self.resource and seen else [], lambda each: describe(each, self._user, seen)
        )
        known = {each.name: each for each in next(described, [])}
        return [_named(known.get(name), name, value) for name, value in self._seen[1].items()]

    @property
    def columns(self) -> list[dict[str, str]]:
        return self._seen[0] or []

    @property
    def hidden(self) -> str:
        """What stands in the file, or narrows it, but is not this user's to see: ``1 column, 1 filter``."""
        columns, filters = len(self.job.columns) - len(self.columns), len(self.job.filters) - len(self._seen[1])
        counts = {"column": columns, "filter": filters}
        return ", ".join(words.counted(count, noun) for noun, count in counts.items() if count)

    @cached_property
    def _seen(self) -> tuple[list[Any] | None, dict[str, Any]]:
        return self._sight.seen(self.job.resource, self.job.columns, self.job.filters)

    @property
    def parameters(self) -> list[Named]:
        """Those that are plain values."""
        plain = {name: value for name, value in self.job.parameters.items() if not isinstance(value, dict | list)}
        return [Named(name.replace("_", " ").capitalize(), _value(value)) for name, value in plain.items()]

    @property
    def narrowing(self) -> str:
        """Limit and chosen ids, where there are any."""
        parts = [f"the first {words.counted(self.job.row_limit, 'row')}"] if self.job.row_limit else []
        if self.job.ids is not None:
            parts.append(f"{words.counted(len(self.job.ids), 'chosen row')} only")
        return ", ".join(parts)

    @property
    def options(self) -> list[Named]:
        """Those that differ from the default, and the formula guard, which changes values."""
        usual = {field.name: field.default for field in fields(Options)}
        given: Mapping[str, Any] = self.job.options
        return [
            Named(*options.said(name, value))
            for name, value in given.items()
            if name == "escape_formulas" or value != usual.get(name)
        ]

    # What this user may do

    @property
    def can_download(self) -> bool:
        return self._may_read and self.job.has_file

    @property
    def no_download(self) -> str:
        """Why there is a finished file, but not for this user."""
        if self.status != Status.COMPLETED or self.can_download or self.job.removal is not None:
            return ""
        if self.job.strategy != Strategy.BACKGROUND:
            return "Its file was sent when it was made; no copy is kept here."
        if not self._may_read:
            return self._why_not
        return "Its file was deleted."

    @property
    def can_cancel(self) -> bool:
        return self.may_change and self.is_active

    @property
    def can_retry(self) -> bool:
        """Not where it would end in the same way: what it asks for is not offered any more."""
        may_help = self.job.error_code != RequestOutdated.code
        return self.may_change and self.status in (Status.FAILED, Status.CANCELLED) and may_help

    @property
    def can_leave(self) -> bool:
        """Whether somebody shared it with them."""
        return not self.is_mine and any(person.pk == self._user.pk for person in self.job.people)

    @property
    def can_delete(self) -> bool:
        return (self.may_change or (self.is_mine and self.job.removal is not None)) and not self.is_active


def _named(known: FilterInput | None, name: str, value: Any) -> Named:
    labels = dict(known.choices) if known else {}
    values: Sequence[Any] = value if isinstance(value, list) else [value]
    shown = ", ".join(labels.get(str(each), _value(each)) for each in values)
    return Named(known.label if known else name, shown)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).removesuffix(END_OF_DAY)
