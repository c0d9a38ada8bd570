"""What a run does while the pipeline waits for a database or a storage: look whether it shall stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

POLL_SECONDS = 0.25
"""Longest wait between two looks, and before Python may act on a signal."""

_act: ContextVar[Callable[[], None] | None] = ContextVar("while_waiting", default=None)


@contextmanager
def while_waiting(act: Callable[[], None]) -> Iterator[None]:
    """Have ``act`` called again and again while this thread waits; what it raises ends the wait."""
    token = _act.set(act)
    try:
        yield
    finally:
        _act.reset(token)


def look() -> None:
    """Called by whoever waits, every ``POLL_SECONDS``."""
    if act := _act.get():
        act()
