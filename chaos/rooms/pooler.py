"""Debian's PgBouncer between the site and its database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos.rooms.base import Inside, NotHere, Room
from exportsite.stack.pgbouncer import pooler

CONNECTIONS = 12
"""To the server; the site's two workers of two children alone would have as many."""


@contextmanager
def _open(_: Path) -> Iterator[Inside]:
    try:
        with pooler(os.environ["DATABASE_URL"], "transaction", size=CONNECTIONS) as running:
            yield Inside(sites={"DATABASE_URL": running.url}, there=running)
    except FileNotFoundError as missing:
        raise NotHere(str(missing)) from missing


ROOM = Room(
    name="pgbouncer",
    what="Debian's PgBouncer in transaction mode before the database",
    open=_open,
    faults=("chaos.poolers",),
    minutes=3,
)
