"""PgBouncer before the tests' database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from exportsite.stack import pgbouncer
from exportsite.stack.pgbouncer import Pooler


@contextmanager
def pooler(mode: str, *, size: int = 10) -> Iterator[Pooler]:
    """It runs in this mode (``session``, ``transaction``) with so many connections."""
    given = urlsplit(os.environ["DATABASE_URL"])
    url = urlunsplit(given._replace(path=f"/{connection.settings_dict['NAME']}"))
    try:
        with pgbouncer.pooler(url, mode, size=size) as running:
            yield running
    except FileNotFoundError as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))
