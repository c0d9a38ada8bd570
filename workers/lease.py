"""What keeps a run's lease, and what tells the run to stop."""

from __future__ import annotations

import multiprocessing
import threading
import time

from django.db import DatabaseError, InterfaceError, connection

from exports_app import conf, lifecycle
from exports_app.lifecycle import LeaseLost
from exports_app.models import ExportJob

HEARTBEAT_SECONDS = 5.0
STALL_SECONDS = 600.0
"""A run that moved nothing for so long is hung, and its lease is not renewed any more. Twice as long as one call
to S3 with all its own tries; a statement that PostgreSQL works on counts as moving."""
DRAIN_SECONDS = 1.0
"""How long a worker that stops waits for the end of a part; what is written of it is lost after that."""
JOIN_SECONDS = 5.0

draining = multiprocessing.Value("b", 0, lock=False)
"""Made before the pool forks, so that the parent's shutdown reaches every child. Without a lock, which a killed
child might hold for ever."""


class Drained(Exception):
    """The worker stops; the job goes on elsewhere."""


class Heartbeat:
    """Renews the lease from a thread of its own while the run moves, also during one long statement."""

    def __init__(self, job: ExportJob) -> None:
        self._job = job
        self._moved = time.monotonic()
        self._drained: float | None = None
        self._lost = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def moved(self) -> None:
        """The run did something. Raises ``LeaseLost`` or ``Drained`` where it shall do no more."""
        now = self._moved = time.monotonic()
        if self._lost:
            raise LeaseLost
        if draining.value:
            self._drained = self._drained or now
            if now - self._drained > DRAIN_SECONDS:
                raise Drained

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(JOIN_SECONDS)  # longer only where the database swallows what it is sent

    def _beat(self) -> None:
        try:
            while not self._stop.wait(min(HEARTBEAT_SECONDS, conf.settings.LEASE_SECONDS / 6)):
                if time.monotonic() - self._moved > STALL_SECONDS:
                    return
                try:
                    lifecycle.renew(self._job)
                except LeaseLost:
                    self._lost = True
                    return
                except (DatabaseError, InterfaceError, MemoryError):
                    connection.close()  # the next beat has a new one
        finally:
            connection.close()
