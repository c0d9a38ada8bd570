"""Time-outs for what a request asks the database on the way: the choices of filters, and whether a value is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, transaction

from exports_app.pipeline.sources.session import transaction_timeout

STATEMENT_MS = 500
LOCK_MS = 200


@contextmanager
def short_question(alias: str) -> Iterator[None]:
    """Statements within have so many milliseconds, and fewer to wait for a lock; nothing they write is kept.

    ``alias``: the database they go to. Raises Django's ``OperationalError`` where one of them takes longer; the
    connection, and a transaction that it is in, can still be used.
    """
    connection = connections[alias]
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic(using=alias):
        with connection.cursor() as cursor:
            settings = f"SET LOCAL statement_timeout = {STATEMENT_MS}; SET LOCAL lock_timeout = {LOCK_MS}"
            cursor.execute(settings + transaction_timeout(connection.connection.info.server_version))
        yield
        transaction.set_rollback(True, using=alias)  # which takes the settings back, also within a transaction
