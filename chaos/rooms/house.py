"""The embedded services as they are, behind proxies that cut, delay and swallow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos.rooms.base import Inside, Room


@contextmanager
def _open(_: Path) -> Iterator[Inside]:
    yield Inside()


ROOM = Room(
    name="house",
    what="the embedded services: C1 to C35, and S1 to S7 by name",
    open=_open,
    faults=(
        "chaos.files",
        "chaos.processes",
        "chaos.replica",
        "chaos.scenarios",
        "chaos.stores",
        "chaos.webhooks",
    ),
)
