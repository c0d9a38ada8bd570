"""What a room is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(kw_only=True)
class Inside:
    """A room while it is open."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables for every process, which Django's settings are made of."""
    sites: Mapping[str, str] = field(default_factory=dict)
    """Variables for the site's processes alone: who breaks them goes another way."""
    there: Any = None
    """What the room's faults work with, as ``Scene.there``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Infrastructure, and the faults that are tried on it."""

    name: str
    what: str
    """For ``--help``."""
    open: Callable[[Path], AbstractContextManager[Inside]]
    """Gets a folder of its own; raises ``NotHere`` where this machine lacks what it needs."""
    faults: tuple[str, ...]
    """Modules that add faults, imported once Django is set up."""
    rows: int = 200_000
    """Customers in the table that is exported."""
    minutes: float = 10
    """No fault begins later."""


@contextmanager
def embedded(_: Path) -> Iterator[Inside]:
    """The embedded services as they are."""
    yield Inside()


class NotHere(Exception):
    """This cannot be made on this machine."""
