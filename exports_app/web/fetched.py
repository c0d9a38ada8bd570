"""Who fetched a file, and which links to it are out, as its owner sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from exports_app import downloads, persons
from exports_app.models import ExportEvent, ExportJob
from exports_app.persons import Who

SHOWN = 20
"""Downloads on the page; the API has all of them."""


@dataclass(frozen=True, slots=True)
class Download:
    """One line of the list."""

    by: str
    is_link: bool
    at: datetime
    address: str

    @classmethod
    def of(cls, event: ExportEvent, who: Who) -> Download:
        return cls(who.name, event.data.get("via") == downloads.BY_TOKEN, event.at, who.address)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the section of the page shows."""

    downloads: Sequence[Download]
    more: int
    """Downloads before those."""
    links: int
    """Given out and not used yet."""

    @classmethod
    def of(cls, job: ExportJob) -> Fetched:
        events = downloads.downloads_of(job)
        shown = [Download.of(event, who) for event, who in persons.of_events(list(events[:SHOWN]))]
        more = events.count() - SHOWN if len(shown) == SHOWN else 0
        return cls(shown, more, downloads.waiting_tokens(job).count())
