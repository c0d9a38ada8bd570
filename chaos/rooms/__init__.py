"""The rooms that faults are tried in: the site on other infrastructure each time.

A room is one file here and one line of ``ROOMS``. Each runs in a process of its own, since Django is set up once.
"""

from __future__ import annotations

from chaos.rooms import house, pooler, queue, sentinel, stores
from chaos.rooms.base import Room

ROOMS: dict[str, Room] = {
    room.name: room
    for room in [
        house.ROOM,
        *stores.ROOMS,
        pooler.ROOM,
        sentinel.ROOM,
        queue.ROOM,
    ]
}
"""In the order in which they run."""

__all__ = ["ROOMS", "Room"]
