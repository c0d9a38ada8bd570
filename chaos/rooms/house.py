"""The embedded services as they are, behind proxies that cut, delay and swallow."""

from __future__ import annotations

from chaos.rooms.base import Room, embedded

ROOM = Room(
    name="house",
    what="the embedded services: C1 to C35, and S1 to S7 by name",
    open=embedded,
    faults=(
        "chaos.files",
        "chaos.processes",
        "chaos.replica",
        "chaos.scenarios",
        "chaos.stores",
        "chaos.webhooks",
    ),
)
