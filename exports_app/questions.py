"""Short questions that a request asks of a source: so many at once, each for a moment, beside the site's own pool.

A table that a migration holds would otherwise hold every request that asks about it, and with them the site.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from psycopg.pq import TransactionStatus

from exports_app.connections import KEEP_SECONDS, connect_source, is_lost, require_postgresql, source_url
from exports_app.pipeline.errors import DatabaseBusy

AT_ONCE = 4
"""Of one process."""
PATIENCE_SECONDS = 0.1
"""For one of the others to end: most take milliseconds."""
STATEMENT_SECONDS = 0.5
LOCK_SECONDS = 0.2
CONNECT_SECONDS = 2
ROOM_SECONDS = (0.02, 0.1, 0.3)
"""Between the tries to have a connection in place of those that were given up for it."""


@dataclass(frozen=True, slots=True)
class _Idle:
    source: tuple[str, str]
    """Alias and URL."""
    connection: psycopg.Connection[Any]
    since: float


_places = threading.BoundedSemaphore(AT_ONCE)
_turn = threading.Lock()
"""Whoever takes places takes all of them before the next one does: four with one each would all wait for a second."""
_lock = threading.Lock()
_idle: list[_Idle] = []
Watch = Callable[[psycopg.Connection[Any]], AbstractContextManager[Any]]
_watch: ContextVar[Watch] = ContextVar("exports_question_watch", default=nullcontext)
_open = 0
"""Connections that are kept, idle or not: ``AT_ONCE`` at most."""


@contextmanager
def ask(alias: str, *, own: bool = False, beside: int = 0) -> Iterator[psycopg.Connection[Any]]:
    """A connection to where this alias's rows are read, for one question; the caller sets the time-outs.

    Where each thread has a connection of Django's own, it is lent, unless the question needs one for itself
    (``own``) or comes amid a transaction. A process with a pool keeps a few beside it. ``beside``: connections that the
    caller opens himself for the same question; each takes a place as well. Raises ``DatabaseBusy`` where no place is
    free, and ``OperationalError``, psycopg's or Django's.
    """
    require_postgresql(alias)
    leave_pool()
    _take_places(1 + beside)
    try:
        if _has_pool():
            with _kept(alias) as connection, _room(beside), _watch.get()(connection):
                yield connection
        elif own or not _can_lend(alias):
            with connect_source(alias, connect_timeout=CONNECT_SECONDS) as connection, _watch.get()(connection):
                yield connection
        else:
            with _lent(alias) as connection, _watch.get()(connection):
                yield connection
    finally:
        _places.release(1 + beside)


@contextmanager
def watched_by(watch: Watch) -> Iterator[None]:
    """While it lasts, ``watch`` has each connection that this context asks by."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


def connect_reader(alias: str) -> psycopg.Connection[Any]:
    """A connection for more than a question; where none is to be had, those that are kept for questions make room.

    Raises what psycopg raises.
    """
    try:
        return connect_source(alias)
    except psycopg.OperationalError:
        if not close_idle():
            raise
    for pause in ROOM_SECONDS:
        with suppress(psycopg.OperationalError):
            return connect_source(alias)
        time.sleep(pause)  # the server's processes end a moment after their connections
    return connect_source(alias)


def close_idle() -> int:
    """Close the connections that are kept and not used; gives how many those were."""
    global _open
    with _lock:
        closed = [*_idle]
        _open -= len(closed)
        _idle.clear()
    for each in closed:
        each.connection.close()
    return len(closed)


def _take_places(count: int) -> None:
    """All or none. Raises ``DatabaseBusy``."""
    ends, taken = time.monotonic() + PATIENCE_SECONDS, 0
    if not _turn.acquire(timeout=PATIENCE_SECONDS):
        raise DatabaseBusy
    try:
        while taken < count and _places.acquire(timeout=max(0.0, ends - time.monotonic())):
            taken += 1
    finally:
        _turn.release()
    if taken < count:
        if taken:
            _places.release(taken)
        raise DatabaseBusy


def _has_pool() -> bool:
    return bool(connections[DEFAULT_DB_ALIAS].settings_dict["OPTIONS"].get("pool"))


def leave_pool() -> None:
    """Whoever waits for a source keeps no connection of the pool from others."""
    for django in connections.all(initialized_only=True):
        is_used = django.in_atomic_block or not django.autocommit
        if django.settings_dict["OPTIONS"].get("pool") and django.connection is not None and not is_used:
            django.close()


def _can_lend(alias: str) -> bool:
    """Not amid a transaction, as a question changes settings."""
    django = connections[alias]
    return not (source_url(alias) or django.in_atomic_block) and django.get_autocommit()


@contextmanager
def _lent(alias: str) -> Iterator[psycopg.Connection[Any]]:
    django = connections[alias]
    django.ensure_connection()
    try:
        yield django.connection
    except psycopg.Error:
        django.errors_occurred = True  # has Django look at the connection before it is used again
        raise


@contextmanager
def _kept(alias: str) -> Iterator[psycopg.Connection[Any]]:
    """One that is there, else a new one; kept for the next question unless it broke."""
    source = (alias, source_url(alias))
    connection = _take(source)
    try:
        if connection is None:
            connection = connect_source(alias, connect_timeout=CONNECT_SECONDS)
        yield connection
    finally:
        _put_back(source, connection)


@contextmanager
def _room(count: int) -> Iterator[None]:
    """For connections that are not kept, in place of as many that are."""
    for _ in range(count):
        _take(None)
    try:
        yield
    finally:
        for _ in range(count):
            _put_back(None, None)


def _take(source: tuple[str, str] | None) -> psycopg.Connection[Any] | None:
    """The youngest to this source; None: there is room for a new one. Those that are over are closed."""
    global _open
    with _lock:
        over = [each for each in _idle if time.monotonic() - each.since > KEEP_SECONDS or is_lost(each.connection)]
        left = [each for each in _idle if each not in over]
        found = next((each for each in reversed(left) if each.source == source), None)
        if found is not None:
            left.remove(found)
        elif _open - len(over) >= AT_ONCE:
            over.append(left.pop(0))  # there is one: of those in use there are fewer than places
        _open += (found is None) - len(over)
        _idle[:] = left
    for each in over:
        each.connection.close()
    return found.connection if found else None


def _put_back(source: tuple[str, str] | None, connection: psycopg.Connection[Any] | None) -> None:
    """For the next question, unless it broke."""
    global _open
    if connection is not None:
        with suppress(psycopg.Error):
            connection.rollback()
    with _lock:
        if source and connection is not None and connection.pgconn.transaction_status == TransactionStatus.IDLE:
            _idle.append(_Idle(source, connection, time.monotonic()))
            return
        _open -= 1
    if connection is not None:
        connection.close()
