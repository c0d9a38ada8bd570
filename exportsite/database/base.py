"""Django's backend for PostgreSQL; where a pooled connection was lost, all that were lost with it go at once.

Django's own check asks the server before each request, and finds lost connections one by one, with growing pauses
between: after a restart of the database the first requests would fail although it is back.
"""

from __future__ import annotations

import select
from typing import Any

import psycopg
from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Used where ``DATABASE_POOL`` is set."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """A connection from the pool. Raises ``OperationalError`` where none is to be had in time."""
        connection = super().get_new_connection(conn_params)
        pool = self.pool
        if pool is None or not is_lost(connection):
            return connection
        connection.close()
        pool.putconn(connection)
        pool.check()
        return super().get_new_connection(conn_params)


def is_lost(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server has ended an idle connection: then there is something to read, the end if nothing else."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
