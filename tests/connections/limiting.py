"""A database that has few connections to give."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connection


@contextmanager
def connections_of_database(most: int) -> Iterator[None]:
    """So many to the tests' database at once, for all together."""
    _limit(most)
    try:
        yield
    finally:
        _limit(-1)


def _limit(most: int) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as other:  # not from within the database itself
        other.execute(f'ALTER DATABASE "{connection.settings_dict["NAME"]}" CONNECTION LIMIT {most}'.encode())
