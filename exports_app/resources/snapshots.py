"""The ORM at the moment at which another connection reads.

Objects that are read so carry an alias that is no entry of ``DATABASES``, by which their relations are read at the same
moment. It exists in the thread that opened it, until it is closed.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import Any

import psycopg
from django.db import Error, connections, models, router
from django.utils.connection import ConnectionDoesNotExist

from exports_app.connections import source_settings
from exports_app.pipeline.literals import quote
from exports_app.pipeline.sources import wire
from exports_app.pipeline.sources.session import transaction_timeout

PREFIX = "exports snapshot of "
KEPT_QUERIES = 100
"""Queries that Django keeps with DEBUG; a run has any number."""

SESSION = """
SET TRANSACTION SNAPSHOT {snapshot};
SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'postgres'; SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 1; SET LOCAL statement_timeout = {timeout};
SET LOCAL idle_in_transaction_session_timeout = '15min'
"""

_of_thread = threading.local()


class Snapshot:
    """Django's connection to ``database`` or its replica, which reads what the owner of ``snapshot`` reads.

    ``statement_timeout`` in seconds. Raises ``errors.DatabaseUnavailable``.
    """

    def __init__(self, database: str, snapshot: str, *, statement_timeout: float) -> None:
        _install_router()
        self.alias = _free_alias(database)
        settings = {**source_settings(database), "AUTOCOMMIT": True}
        settings["OPTIONS"]["connect_timeout"] = _patience(settings["OPTIONS"], statement_timeout)
        self.connection: Any = type(connections[database])(settings, self.alias)
        self.connection.queries_log = deque(maxlen=KEPT_QUERIES)
        self.connection.inc_thread_sharing()  # whoever gives up a run may close it
        connections[self.alias] = self.connection  # who is told of new connections asks questions by it
        try:
            with wire.database_errors():
                self._begin(snapshot, int(statement_timeout * 1000))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Forget the alias and close the connection. May be called twice."""
        with suppress(ConnectionDoesNotExist):  # another thread's, or gone already
            if connections[self.alias] is self.connection:
                del connections[self.alias]
        _aliases().discard(self.alias)
        connection, self.connection.connection = self.connection.connection, None
        if connection is not None:
            connection.close()

    def _begin(self, snapshot: str, timeout_ms: int) -> None:
        try:
            self.connection.connect()
        except Error as error:
            raise error.__cause__ or error from error
        self.connection.set_autocommit(False)
        connection: psycopg.Connection[Any] = self.connection.connection
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        settings = SESSION.format(snapshot=quote(snapshot), timeout=timeout_ms)
        connection.execute((settings + transaction_timeout(connection.info.server_version)).encode())


def _patience(options: dict[str, Any], statement_timeout: float) -> int:
    """Seconds to wait for a connection: what reads for a moment alone does not wait for a dead address; libpq has 2."""
    return min(int(options["connect_timeout"]), max(2, int(statement_timeout)))


class SnapshotRouter:
    """Reads what belongs to an object of a snapshot from that snapshot, whatever the project's routers say."""

    def db_for_read(self, model: type[models.Model], instance: models.Model | None = None, **_: Any) -> str | None:
        """The alias of the object's snapshot, unless the model's table is in another database."""
        alias = instance._state.db if instance is not None else None
        if not alias or not alias.startswith(PREFIX):
            return None
        database = alias.removeprefix(PREFIX).rpartition(" ")[0]
        return alias if router.allow_migrate_model(database, model) else None


def _install_router() -> None:
    if not any(isinstance(each, SnapshotRouter) for each in router.routers):
        router.routers.insert(0, SnapshotRouter())


def _free_alias(database: str) -> str:
    """The same few names again and again: Django keeps caches by alias."""
    taken, number = _aliases(), 1
    while (alias := f"{PREFIX}{database} {number}") in taken:
        number += 1
    taken.add(alias)
    return alias


def _aliases() -> set[str]:
    if not hasattr(_of_thread, "aliases"):
        _of_thread.aliases = set()
    aliases: set[str] = _of_thread.aliases
    return aliases
