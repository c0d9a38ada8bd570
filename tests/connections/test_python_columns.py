"""A preview of columns that Python computes reads by two connections, and takes two of the four places for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from exports_app import questions
from exports_app.pipeline.errors import DatabaseBusy
from exports_app.plan import Plan, Request, make_plan
from exports_app.previews import forecast
from exports_app.resources import Column
from tests.connections.models import Thing
from tests.connections.reading import Declare, url
from tests.web_server import source_connections

NO_PREVIEW = "There is no preview, since the first rows take too long to find."
UNKNOWN_ROWS = (
    "How many rows there are is not known: the database does not answer in time, as while a table is changed."
)
SLOWER = "Columns computed in Python make this export slower: Told."


@pytest.fixture(params=[False, True], ids=["without a pool", "with a pool"])
def pool(options: dict[str, Any], request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param:
        options["pool"] = {"min_size": 1, "max_size": 2}
    yield
    questions.close_idle()
    connection.close()
    if request.param:
        connection.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's


@pytest.fixture
def plan_of(owner: User, things: None, declare: Declare, pool: None) -> Callable[..., Plan]:
    """The plan of an export of one row, of which Python computes a column by a function."""
    Thing.objects.create(pk=1)

    def plan_of(tell: Callable[[Any], Any]) -> Plan:
        declare("things", Thing, columns=("id", Column("told", python=tell, kind="text")))
        return make_plan(Request(resource="things"), owner)

    return plan_of


def free_places() -> int:
    with ExitStack() as held:
        for number in range(questions.AT_ONCE):
            try:
                held.enter_context(questions.ask("default", own=True))
            except DatabaseBusy:
                return number
    return questions.AT_ONCE


def test_both_count(plan_of: Callable[..., Plan]) -> None:
    assert free_places() == 4
    answer = forecast(plan_of(lambda thing: f"{free_places()} places are free"))
    assert answer.preview is not None
    assert answer.preview.rows == [["1", "2 places are free"]]
    assert free_places() == 4


def test_there_is_no_preview_where_one_place_is_left(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(lambda thing: "told")
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(questions.ask("default", own=True))
        answer = forecast(plan)
        assert free_places() == 1
    assert (answer.preview, answer.warnings) == (None, [NO_PREVIEW, UNKNOWN_ROWS, SLOWER])
    assert free_places() == 4


def test_several_at_once_are_answered_one_after_another(
    plan_of: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four that have taken one place each would all wait for a second."""
    met = threading.Barrier(4)

    class Places(threading.BoundedSemaphore):
        def acquire(self, *args: Any, **values: Any) -> bool:
            taken = super().acquire(*args, **values)
            with suppress(threading.BrokenBarrierError):
                met.wait(0.2)  # where each can take one, all do before the first takes its second
            return taken

    def ask(_: int) -> int:
        with questions.ask("default", own=True, beside=1) as asked:
            return int(asked.info.backend_pid)

    monkeypatch.setattr(questions, "_places", Places(4))
    monkeypatch.setattr(questions, "PATIENCE_SECONDS", 30.0)
    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(ask, range(4)))
    monkeypatch.setattr(questions, "PATIENCE_SECONDS", 0.1)
    assert free_places() == 4


def test_connections_that_are_kept_make_room(plan_of: Callable[..., Plan], settings: Any) -> None:
    for number in range(4):
        settings.EXPORTS_SOURCE_DATABASE_URL = url(f"&connect_timeout={number + 5}")
        with questions.ask("default", own=True):
            pass
    answer = forecast(plan_of(lambda thing: source_connections() <= 4))
    assert answer.preview is not None
    assert answer.preview.rows == [["1", "True"]]
