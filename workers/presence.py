"""This worker says that it is there. Redis being away loses nothing: then no worker gets work either."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import redis

from exports_app import presence
from exports_app.logs import log


@dataclass(slots=True)
class _Here:
    node: str
    queues: Sequence[str]
    said: float


_here: _Here | None = None
in_thread = False
"""Whether the worker is busy with its exports itself (the pool ``solo``), so that a thread has to speak for it."""


def begin(node: str, queues: Sequence[str]) -> None:
    """The worker is ready for work from ``queues``."""
    global _here
    _here = _Here(node, queues, time.monotonic())
    _try(presence.say, _here)
    if in_thread:
        threading.Thread(target=_go_on_while, args=[_here], name="presence", daemon=True).start()


def go_on() -> None:
    """Say it again where that was a while ago."""
    if _here is not None and time.monotonic() - _here.said >= presence.SAY_SECONDS:
        _here.said = time.monotonic()
        _try(presence.say, _here)


def _go_on_while(here: _Here) -> None:
    while _here is here:
        go_on()
        time.sleep(1)


def end() -> None:
    """The worker takes no more work."""
    global _here
    if _here is not None:
        _try(presence.say_goodbye, _here)
    _here = None


def _try(send: Callable[[str, Sequence[str]], None], here: _Here) -> None:
    try:
        send(here.node, here.queues)
    except redis.RedisError as error:
        log.warning("export.presence.unsaid", error=type(error).__name__)
