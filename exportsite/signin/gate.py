"""How many passwords are checked at a time."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Busy(Exception):
    """All places were taken for as long as one may wait, or too many wait already."""


WAITING = 16
"""Threads that wait for a place; each holds a request."""


class Gate:
    """One place a core. Browsers that signed in before go ahead of those that wait."""

    def __init__(self, places: int) -> None:
        self._free = places
        self.waiting = self._first_waiting = 0
        self._changed = threading.Condition()

    @contextmanager
    def place(self, *, first: bool, seconds: float) -> Iterator[None]:
        """Raises ``Busy`` after ``seconds``."""
        self._wait(first, seconds)
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    def _wait(self, first: bool, seconds: float) -> None:
        ends = time.monotonic() + seconds
        with self._changed:
            if self.waiting >= WAITING and not first:
                raise Busy
            self.waiting += 1
            self._first_waiting += first
            try:
                while not self._free or (self._first_waiting and not first):
                    if not self._changed.wait(ends - time.monotonic()) and time.monotonic() >= ends:
                        raise Busy
                self._free -= 1
            finally:
                self.waiting -= 1
                self._first_waiting -= first
                self._changed.notify_all()


gate = Gate(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
