"""Two Redis servers and three sentinels that say which of them is the master."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos.rooms.base import Inside, Room
from exportsite.stack import sentinels


@contextmanager
def _open(folder: Path) -> Iterator[Inside]:
    place = folder / "sentinels"
    place.mkdir()
    with sentinels.started(place) as group:
        yield Inside(environment={"REDIS_URL": group.url}, there=group)


ROOM = Room(
    name="sentinel",
    what="a Redis with a replica and three sentinels",
    open=_open,
    faults=("chaos.masters",),
    minutes=3,
)
