"""Estimates and previews of one user: one at a time, a few waiting, so many a minute, and the newest of a page alone.

Each process counts for itself. What a user asks waits behind what they asked before; others have their own turns.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from exports_app import errors, questions

MOST = 4
"""Questions of one user: the one that is answered, and those that wait."""
A_MINUTE = 120
"""Questions that one user may ask within a minute; a page asks at each pause in typing."""
MINUTE = 60.0
PATIENCE_SECONDS = 5.0
"""Longer than it takes to answer ``MOST`` questions; after that something is wrong with those in front."""
RETRY_SECONDS = 1
CANCEL_SECONDS = 1.0
CANCEL_AGAIN_SECONDS = 0.1
"""A cancel that comes before its statement has no effect."""


class Superseded(errors.Conflict):
    """A newer question of the same page took the place of this one."""


class Turn:
    """One question, from when it is asked until it is answered."""

    def __init__(self, page: str) -> None:
        self.page = page
        self.is_over = False
        """A newer one of its page has come."""
        self._asking = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        """By which it asks just now."""

    def check(self) -> None:
        """Raises ``Superseded``."""
        if self.is_over:
            raise Superseded

    @contextmanager
    def asks_by(self, connection: psycopg.Connection[Any]) -> Iterator[None]:
        """While it lasts, a newer question of the same page cancels what runs on this connection."""
        with self._asking:
            self._connection = connection
        try:
            self.check()
            yield
        finally:
            with self._asking:  # what is cancelled from here on is another's
                self._connection = None

    def cancel(self) -> None:
        """What it asks the database is not waited for any more."""
        with self._asking, suppress(psycopg.Error):
            if self._connection is not None:
                self._connection.cancel_safe(timeout=CANCEL_SECONDS)


class _Asker:
    """One user."""

    def __init__(self) -> None:
        self.turns: deque[Turn] = deque()
        """The first is the one that is answered."""
        self.asked: deque[float] = deque()
        """When, within the last minute."""

    def join(self, mine: Turn) -> list[Turn]:
        """Take a place; those of the same page are over. Raises ``errors.Throttled``."""
        older = [each for each in self.turns if mine.page and each.page == mine.page]
        self._require_room(len(self.turns) - len(older))
        for each in older:
            each.is_over = True
        self.asked.append(time.monotonic())
        self.turns.append(mine)
        return older

    def _require_room(self, waiting: int) -> None:
        if waiting >= MOST:
            raise errors.Throttled(
                f"You asked for {MOST} estimates or previews at once, which is all that is allowed.",
                retry_after=RETRY_SECONDS,
            )
        if len(self.asked) >= A_MINUTE:
            raise errors.Throttled(
                f"You asked for {A_MINUTE} estimates or previews within one minute, which is all that is allowed.",
                retry_after=max(1, math.ceil(self.asked[0] + MINUTE - time.monotonic())),
            )

    def forget(self, before: float) -> bool:
        """What was asked before that; whether nothing is left."""
        while self.asked and self.asked[0] < before:
            self.asked.popleft()
        return not (self.turns or self.asked)


_changed = threading.Condition()
_askers: dict[Any, _Asker] = {}


@contextmanager
def turn(user: Any, page: str = "") -> Iterator[None]:
    """The user's turn, waited for. ``page``: whatever tells one open page from others; empty: none.

    Raises ``errors.Throttled`` where too many wait or were asked, and ``Superseded``.
    """
    mine = Turn(page)
    with _changed:
        _forget()
        asker = _askers.setdefault(user.pk, _Asker())
        older = asker.join(mine)
        _changed.notify_all()
    try:
        questions.leave_pool()
        _wait(asker, mine, older)
        with questions.watched_by(mine.asks_by):
            yield
    except Exception as error:
        if mine.is_over and not isinstance(error, Superseded):
            raise Superseded from error  # its statement was cancelled
        raise
    finally:
        with _changed:
            asker.turns.remove(mine)
            _changed.notify_all()
    mine.check()


def _wait(asker: _Asker, mine: Turn, older: list[Turn]) -> None:
    """Until those in front are answered; the ``older`` ones are cancelled, again and again."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while not (mine.is_over or asker.turns[0] is mine):
        if time.monotonic() > ends:
            raise errors.Throttled("The questions that you asked before take long.", retry_after=RETRY_SECONDS)
        for each in older:
            each.cancel()
        with _changed:
            _changed.wait_for(lambda: mine.is_over or asker.turns[0] is mine, CANCEL_AGAIN_SECONDS)
    mine.check()


def _forget() -> None:
    """Moments of more than a minute ago, and who asks nothing any more."""
    before = time.monotonic() - MINUTE
    for user_id, asker in [*_askers.items()]:
        if asker.forget(before):
            del _askers[user_id]
