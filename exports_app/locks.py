"""PostgreSQL's advisory locks, held until the transaction ends. All keys stand here, so that no two are the same."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from django.db import connection


class Lock(IntEnum):
    """What is done one by one."""

    NOTIFICATIONS = 0x6578706E
    """Taking notifications, and alerting the operators."""
    REQUESTS = 0x65787075
    """Counting and accepting the exports of one user."""
    PRESETS = 0x65787072
    """Counting and making the presets of one user."""
    SHARES = 0x65787073
    """Counting whom one user shares with."""
    WEBHOOKS = 0x65787077
    """Counting and making the webhooks and tests of one user."""


def take(lock: Lock, user: Any = None) -> None:
    """Wait for the lock; ``user``: the one whose it is. What is counted under it stays true until the commit."""
    with connection.cursor() as cursor:
        if user is None:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock.value])
        else:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [lock.value, user.pk])
