"""A process with a pool keeps a few connections beside it for short questions; without one, Django's own is lent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection

from exports_app import questions
from tests.connections.reading import url
from tests.web_server import source_connections, wait_until


@pytest.fixture
def pooled(options: dict[str, Any]) -> Iterator[None]:
    options["pool"] = {"min_size": 1, "max_size": 2}
    yield
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's


def pid_of_a_question() -> int:
    with questions.ask("default") as asked:
        return asked.info.backend_pid


def end_session(pid: int) -> None:
    # Each look in a transaction of its own: within one, PostgreSQL shows the same sessions again.
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])
        wait_until(lambda: not other.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid]).fetchall())


def test_one_question_after_another_signs_in_once(pooled: None) -> None:
    assert len({pid_of_a_question() for _ in range(5)}) == 1
    assert source_connections() == 1


def test_a_question_that_fails_leaves_a_connection_that_is_still_good(pooled: None) -> None:
    before = pid_of_a_question()
    with pytest.raises(psycopg.errors.UndefinedTable), questions.ask("default") as asked:
        asked.execute("SELECT FROM nothing")
    assert pid_of_a_question() == before


def test_a_connection_that_the_server_ended_is_not_used(pooled: None) -> None:
    before = pid_of_a_question()
    end_session(before)
    assert pid_of_a_question() != before
    assert source_connections() == 1


def test_one_that_breaks_amid_a_question_is_not_kept(pooled: None) -> None:
    with questions.ask("default") as asked:
        end_session(asked.info.backend_pid)
    assert source_connections() == 0
    assert pid_of_a_question()


def test_one_that_was_idle_for_too_long_is_not_used(pooled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    before = pid_of_a_question()
    monkeypatch.setattr(questions, "KEEP_SECONDS", 0.0)
    assert pid_of_a_question() != before
    assert source_connections() == 1


def test_there_are_four_at_most_whatever_they_lead_to(pooled: None, settings: Any) -> None:
    for number in range(6):
        settings.EXPORTS_SOURCE_DATABASE_URL = url(f"&connect_timeout={number + 5}")
        pid_of_a_question()
    assert source_connections() == 4


def test_the_pool_is_left_while_a_source_is_asked(pooled: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    with questions.ask("default"):
        assert connection.connection is None


def test_without_a_pool_the_connection_of_the_thread_is_lent(options: dict[str, Any]) -> None:
    connection.ensure_connection()
    assert pid_of_a_question() == connection.connection.info.backend_pid
    with questions.ask("default", own=True) as asked:
        assert asked is not connection.connection
    assert source_connections() == 0
