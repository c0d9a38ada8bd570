"""Connections to the database that the rows come from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections

from exports_app import conf

CONNECT_TIMEOUT = 10  # seconds


def connect_source() -> psycopg.Connection[Any]:
    """A connection of its own to the source database. Raises ``psycopg.OperationalError``."""
    url = conf.settings.SOURCE_DATABASE_URL
    if url:
        return psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT, prepare_threshold=None, **_KEEPALIVE)
    parameters = connections[DEFAULT_DB_ALIAS].get_connection_params()
    wanted = {name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if name in parameters}
    return psycopg.connect(**wanted, connect_timeout=CONNECT_TIMEOUT, prepare_threshold=None, **_KEEPALIVE)


@contextmanager
def borrow_source() -> Iterator[psycopg.Connection[Any]]:
    """A connection to the source for a short question: Django's own where the rows live there, which need not sign in.

    Never amid a transaction, as the question changes settings. Raises ``OperationalError``, psycopg's or Django's.
    """
    django = connections[DEFAULT_DB_ALIAS]
    if conf.settings.SOURCE_DATABASE_URL or django.in_atomic_block or not django.get_autocommit():
        with connect_source() as connection:
            yield connection
        return
    try:
        yield django.connection
    except psycopg.Error:
        django.errors_occurred = True  # has Django look at the connection before it is used again
        raise


_KEEPALIVE: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "exports",
}
