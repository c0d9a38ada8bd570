"""The ORM's connection at another one's moment."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from exports_app.pipeline.errors import DatabaseUnavailable
from exports_app.resources import snapshots


@pytest.mark.parametrize(
    ("given", "statement", "seconds"), [(10, 60.0, 10), (3, 60.0, 3), (10, 0.5, 2), (10, 5.0, 5), (1, 0.5, 1)]
)
def test_a_connection_is_waited_for_as_long_as_a_statement(given: int, statement: float, seconds: int) -> None:
    assert snapshots._patience({"connect_timeout": given}, statement) == seconds


def test_what_reads_for_a_moment_does_not_wait_for_a_server_that_says_nothing(db: None, settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.EXPORTS_SOURCE_DATABASE_URL = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/nothing"
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            snapshots.Snapshot("default", "00000003-0000001B-1", statement_timeout=0.5)
        assert time.monotonic() - began < 8  # 10 s by itself
