"""The embedded services with 100,000 exports that wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos.rooms.base import Inside, Room


@contextmanager
def _open(_: Path) -> Iterator[Inside]:
    yield Inside()


ROOM = Room(
    name="queue",
    what="100,000 exports of 20 people that wait",
    open=_open,
    faults=("chaos.long_queue",),
    minutes=3,
)
