"""Estimates and previews of one user: one at a time, three waiting, 120 a minute, the newest of a page alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from rest_framework.test import APIClient

from exports_app import asking, errors, questions
from tests.web_server import wait_until

ESTIMATE = "/api/v1/resources/customers/estimate/"
PREVIEW = "/exports/new/customers/preview/"
SECONDS = 10.0


@pytest.fixture(autouse=True)
def nobody_asks() -> Iterator[None]:
    asking._askers.clear()
    yield
    assert all(not each.turns for each in asking._askers.values())
    asking._askers.clear()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as running:
        yield running


class Asked:
    """Turns that are held until they are let go."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._go = threading.Event()

    def hold(self, user: Any, page: str = "") -> Future[str]:
        def answer() -> str:
            try:
                with asking.turn(user, page):
                    assert self._go.wait(SECONDS)
                return "answered"
            except errors.ExportError as error:
                return error.code

        before = asked_by(user)
        future = self._pool.submit(answer)
        wait_until(lambda: future.done() or asked_by(user) > before)
        return future

    def let_go(self) -> None:
        self._go.set()


def count(user: Any) -> int:
    asker = asking._askers.get(user.pk)
    return len(asker.turns) if asker else 0


def asked_by(user: Any) -> int:
    asker = asking._askers.get(user.pk)
    return len(asker.asked) if asker else 0


@pytest.fixture
def asked(pool: ThreadPoolExecutor) -> Iterator[Asked]:
    made = Asked(pool)
    yield made
    made.let_go()


def test_the_fifth_at_once_is_refused_and_others_have_their_own_turns(alice: User, bob: User, asked: Asked) -> None:
    four = [asked.hold(alice) for _ in range(4)]
    assert asked.hold(alice).result(SECONDS) == "throttled"
    other = asked.hold(bob)
    asked.let_go()
    assert [each.result(SECONDS) for each in [*four, other]] == ["answered"] * 5
    with asking.turn(alice):
        pass


def test_a_newer_question_of_a_page_ends_the_older_whether_it_waits_or_is_answered(alice: User, asked: Asked) -> None:
    first = asked.hold(alice, "page")
    waiting = asked.hold(alice, "page")
    newest = asked.hold(alice, "page")
    another = asked.hold(alice, "another page")
    assert waiting.result(SECONDS) == "conflict"
    asked.let_go()
    assert (first.result(SECONDS), newest.result(SECONDS)) == ("conflict", "answered")
    assert another.result(SECONDS) == "answered"


def test_questions_of_no_page_end_nothing(alice: User, asked: Asked) -> None:
    two = [asked.hold(alice), asked.hold(alice)]
    asked.let_go()
    assert [each.result(SECONDS) for each in two] == ["answered", "answered"]


def test_a_hundred_and_twenty_a_minute_are_answered(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    for _ in range(120):
        with asking.turn(alice):
            pass
    now = 1_059.5
    with (
        pytest.raises(errors.Throttled, match="120 estimates or previews within one minute") as refused,
        asking.turn(alice),
    ):
        pass
    assert refused.value.retry_after == 1
    now = 1_060.5
    with asking.turn(alice):
        pass


@pytest.mark.django_db(transaction=True)
def test_the_statement_of_an_older_question_is_cancelled(alice: User, pool: ThreadPoolExecutor) -> None:
    began = threading.Event()

    def older() -> str:
        try:
            with asking.turn(alice, "page"), questions.ask("default", own=True) as asked:
                began.set()
                asked.execute("SELECT pg_sleep(30)")
        except errors.ExportError as error:
            return type(error).__name__
        finally:
            connections.close_all()
        return "slept"

    first = pool.submit(older)
    assert began.wait(SECONDS)
    with asking.turn(alice, "page"):
        assert first.result(SECONDS) == "Superseded"


@pytest.mark.django_db(transaction=True)
def test_the_api_says_when_to_ask_again(alice: User, asked: Asked) -> None:
    api = APIClient()
    api.force_authenticate(alice)
    assert api.post(ESTIMATE, {}, format="json").status_code == 200
    for _ in range(4):
        asked.hold(alice)
    refused = api.post(ESTIMATE, {}, format="json")
    assert (refused.status_code, refused.json()["code"], refused["Retry-After"]) == (429, "throttled", "1")


@pytest.mark.django_db(transaction=True)
def test_the_page_is_told_to_wait_and_shows_no_error(alice: User, asked: Asked) -> None:
    client = Client()
    client.force_login(alice)
    for _ in range(4):
        asked.hold(alice)
    refused = client.post(PREVIEW, {"format": "csv", "columns": "id"}, headers={"HX-Request": "true"})
    assert (refused.status_code, refused["Retry-After"], refused.content) == (429, "1", b"")
    assert "HX-Refresh" not in refused
    asked.let_go()
    wait_until(lambda: count(alice) == 0)
    assert client.post(PREVIEW, {"format": "csv", "columns": "id"}, headers={"HX-Request": "true"}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_each_page_has_a_name_of_its_own(alice: User) -> None:
    client = Client()
    client.force_login(alice)
    names = {client.get("/exports/new/customers/").context["page_id"] for _ in range(2)}
    assert len(names) == 2
