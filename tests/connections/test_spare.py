"""The connection that a worker's process keeps from one run to the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from exports_app import spare
from exports_app.pipeline.sources.sql import SqlSource
from exports_app.plan import make_plan
from tests.connections.reading import url
from tests.connections.test_questions import end_session
from tests.jobs import fill_customers, request

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process keeps one, as a worker's does."""
    monkeypatch.setattr(spare, "_keeps", True)
    fill_customers(300)
    yield
    if left := spare._swap(None):
        left.connection.close()


def read(user: User, rows: int = 1_000, **values: Any) -> int:
    """The session in which a run reads so many rows, or all of them."""
    source = make_plan(request(**values), user).open_source(chunk_rows=100)
    assert isinstance(source, SqlSource)
    while rows > 0 and (chunk := source.read(min(rows, 100))) is not None:
        rows -= chunk.rows
    pid = source._connection.info.backend_pid
    source.close()
    source.close()  # once more does no harm
    return pid


def test_two_runs_read_in_one_session(alice: User) -> None:
    assert read(alice) == read(alice)


def test_each_run_sees_what_was_stored_before_it(alice: User) -> None:
    session = read(alice)
    fill_customers(100)
    source = make_plan(request(), alice).open_source(chunk_rows=1_000)
    assert isinstance(source, SqlSource)
    chunk = source.read(1_000)
    assert chunk is not None
    assert (chunk.rows, source._connection.info.backend_pid) == (400, session)
    source.close()


def test_a_run_that_wanted_fewer_rows_than_its_statement_has_leaves_none(alice: User) -> None:
    session = read(alice, rows=100)  # of three hundred that the statement sends
    assert session != read(alice)


def test_a_process_that_keeps_none_closes_it(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "_keeps", False)
    assert read(alice) != read(alice)


def test_a_session_that_the_server_ended_is_not_used(alice: User) -> None:
    session = read(alice)
    end_session(session)
    assert read(alice) != session


@pytest.mark.parametrize("bound", ["KEEP_SECONDS", "LIFE_SECONDS"])
def test_neither_is_one_that_was_idle_or_lasted_for_too_long(
    bound: str, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = read(alice)
    monkeypatch.setattr(spare, bound, 0.0)
    assert read(alice) != session


def test_nor_one_that_leads_elsewhere(alice: User, settings: Any) -> None:
    session = read(alice)
    settings.EXPORTS_SOURCE_DATABASE_URL = url("&connect_timeout=7")
    assert read(alice) != session


def test_one_that_broke_is_not_kept(alice: User) -> None:
    source = make_plan(request(), alice).open_source()
    assert isinstance(source, SqlSource)
    session = source._connection.info.backend_pid
    end_session(session)
    source.close()
    assert read(alice) != session


def test_settings_of_one_run_are_not_those_of_the_next(alice: User) -> None:
    connection = spare.take("default")
    connection.execute("SET LOCAL TimeZone = 'Asia/Tokyo'")
    spare.give_back("default", connection)
    again = spare.take("default")
    assert again is connection
    assert again.execute("SHOW TimeZone").fetchone() == ("UTC",)
    spare.give_back("default", again)
