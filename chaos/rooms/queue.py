"""The embedded services with 100,000 exports that wait."""

from __future__ import annotations

from chaos.rooms.base import Room, embedded

ROOM = Room(
    name="queue",
    what="100,000 exports of 20 people that wait",
    open=embedded,
    faults=("chaos.long_queue",),
    minutes=3,
)
