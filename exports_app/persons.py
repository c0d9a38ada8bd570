"""Names and addresses of who did something, apart from the histories that say what was done.

An entry holds a pseudonym. The row it stands for goes with the user, or once addresses have been kept long enough, and
the entry stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exports_app.models import ExportEvent, ExportPerson


@dataclass(frozen=True, slots=True)
class Who:
    """Who did what an entry says; ``address`` is empty where it was not kept."""

    name: str
    address: str = ""


SITE = Who("the site")
FORMER = Who("a former user")


def note(user: Any, *, address: str = "") -> str:
    """A new pseudonym for ``user``, who came from ``address``."""
    return str(ExportPerson.objects.create(user=user, name=user.get_username()[:254], address=address[:45]).pk)


def of_events(events: Sequence[ExportEvent]) -> Iterator[tuple[ExportEvent, Who]]:
    """Each event with who stands behind it."""
    yield from zip(events, of_entries([event.data for event in events]), strict=True)


def of_entries(entries: Sequence[Mapping[str, Any]]) -> list[Who]:
    """Who stands behind entries with a ``person``; those without one are the site's.

    The release before put names into the entries themselves.
    """
    pseudonyms = [entry.get("person") for entry in entries]
    rows = ExportPerson.objects.filter(pk__in={each for each in pseudonyms if each}) if any(pseudonyms) else ()
    known = {str(row.pk): Who(row.name, row.address) for row in rows}
    return [
        known.get(each, FORMER) if each else Who(entry["by"], entry.get("address", "")) if "by" in entry else SITE
        for each, entry in zip(pseudonyms, entries, strict=True)
    ]
