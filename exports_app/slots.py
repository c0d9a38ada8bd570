"""Places of which one process has so many, and one user at most some of them."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from exports_app import errors


class Slots:
    """``total`` places, ``each`` of them at most for one user."""

    def __init__(self, total: int, each: int) -> None:
        self._total, self._each = total, each
        self._taken: Counter[Any] = Counter()
        self._lock = threading.Lock()

    def take(self, user_id: Any, *, what: str, retry_after: int) -> None:
        """One place. ``what``: several of what is done in it, such as ``downloads``.

        Raises ``errors.Throttled`` where the user has all theirs, ``errors.Unavailable`` where none is free.
        """
        with self._lock:
            if self._taken[user_id] >= self._each:
                raise errors.Throttled(
                    f"You have {self._each} {what} under way, which is all that is allowed at once. Try again when one "
                    "of them has ended, or ask for an export and fetch its file.",
                    retry_after=retry_after,
                )
            if self._taken.total() >= self._total:
                raise errors.Unavailable(
                    f"This server sends {self._total} {what} at the moment. Try again in a few seconds, "
                    "or ask for an export and fetch its file.",
                    retry_after=retry_after,
                )
            self._taken[user_id] += 1

    def give_back(self, user_id: Any) -> None:
        """One place of this user."""
        with self._lock:
            self._taken[user_id] -= 1
            if not self._taken[user_id]:
                del self._taken[user_id]
