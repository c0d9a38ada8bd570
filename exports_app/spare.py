"""The connection to a source that a worker's process keeps from one run to the next.

Signing in, and what PostgreSQL reads of its catalogue for a new session, take an eighth of the CPU of a small export.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import psycopg
from psycopg.pq import TransactionStatus

from exports_app.connections import KEEP_SECONDS, Source, is_lost, source_url
from exports_app.questions import connect_reader

LIFE_SECONDS = 60.0
"""A session has the settings of its role and database as they were when it began."""


@dataclass(frozen=True, slots=True)
class _Spare:
    source: tuple[str, str]
    """Alias and URL."""
    connection: Source
    since: float


_lock = threading.Lock()
_spare: _Spare | None = None
_keeps = False
_begun: WeakKeyDictionary[Source, float] = WeakKeyDictionary()


def keep() -> None:
    """Have this process keep one, from now on. A connection must not outlive a fork: call it in a pool's child."""
    global _keeps
    _keeps = True


def take(alias: str) -> Source:
    """The one that is kept, if it leads there, else a new one. Raises what ``connect_reader`` raises."""
    kept = _swap(None)
    if kept is not None and kept.source == (alias, source_url(alias)) and _is_fresh(kept):
        return kept.connection
    if kept is not None:
        kept.connection.close()
    connection = connect_reader(alias)
    _begun[connection] = time.monotonic()
    return connection


def give_back(alias: str, connection: Source) -> None:
    """Keep it for the next run, in place of another one; close it where none is kept, or where it is not in order."""
    if _keeps:
        with suppress(psycopg.Error):
            connection.rollback()
        if connection.pgconn.transaction_status == TransactionStatus.IDLE:
            kept = _swap(_Spare((alias, source_url(alias)), connection, time.monotonic()))
            if kept is not None:
                kept.connection.close()
            return
    connection.close()


def _swap(spare: _Spare | None) -> _Spare | None:
    global _spare
    with _lock:
        former, _spare = _spare, spare
    return former


def _is_fresh(kept: _Spare) -> bool:
    now = time.monotonic()
    is_young = now - _begun.get(kept.connection, 0.0) < LIFE_SECONDS
    return is_young and now - kept.since < KEEP_SECONDS and not is_lost(kept.connection)
