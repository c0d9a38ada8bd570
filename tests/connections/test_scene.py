"""Many who ask about a table that a migration holds, all at once, and everybody else meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.api_keys.making import make_key
from tests.connections.locking import Client, Told, at_once, held, sessions
from tests.jobs import fill_customers
from tests.web_server import serve

pytestmark = pytest.mark.django_db(transaction=True)
POOL = 10
QUESTIONS = 4
"""Connections beside the pool."""
OTHERS = ("/health/", "/health/ready/", "/api/v1/exports/")


@pytest.fixture
def headers(alice: User) -> dict[str, str]:
    fill_customers(50)
    return {"Authorization": f"Bearer {make_key(alice)}"}


def asking(client: Client, number: int) -> list[Callable[[], Told]]:
    kinds: list[Callable[[], Told]] = [
        lambda: client.post("resources/customers/estimate/"),
        lambda: client.post("exports/", resource="customers"),
        lambda: client.post("exports/download/", resource="customers"),
    ]
    return [kinds[each % 3] for each in range(number)]


@contextmanager
def looking(look: Callable[[], Any]) -> Iterator[list[Any]]:
    """What ``look`` gives, again and again while the block lasts."""
    seen: list[Any] = []
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(0.02):
            seen.append(look())

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def test_a_held_table_holds_up_only_who_asks_about_it_and_them_for_a_moment(headers: dict[str, str]) -> None:
    with serve(DATABASE_POOL=str(POOL), EXPORTS_RATE="", EXPORTS_MAX_ACTIVE="0", PGAPPNAME="web") as server:
        client = Client(server.url, headers)
        client.post("resources/customers/estimate/")  # loads what a first call does
        with held(), looking(sessions) as connected:
            with looking(lambda: [client.get(path) for path in OTHERS]) as others:
                began = time.monotonic()
                told = at_once(asking(client, 12))
                took = time.monotonic() - began
            assert [each.status for each in told] == [200, 202, 202] * 4
            assert {each.body["estimated_rows"] for each in told} == {None}
            assert took < 5  # on a busy machine; the lock is still held
            assert {each.status for every in others for each in every} == {200}
            assert max(each.seconds for every in others for each in every) < 3
            many = at_once(asking(client, 200))
            # 429: more than four estimates of one user wait. 503: waited too long for a place in the pool.
            assert {each.status for each in many} <= {200, 202, 429, 503}
            assert {each.status for each in many[0::3]} <= {200, 429, 503}
            assert {each.status for each in many[1::3] + many[2::3]} <= {202, 503}
            assert sum(each.status in {200, 202} for each in many) >= 50
            assert client.get("/api/v1/exports/").status == 200
        assert max(sum(each.values()) for each in connected) <= POOL + QUESTIONS
        assert max(each.get("exports", 0) for each in connected) <= QUESTIONS
        assert client.post("resources/customers/estimate/").body["estimated_rows"] == 50


def test_the_same_under_wsgi(headers: dict[str, str], live_server: Any, settings: Any) -> None:
    settings.EXPORTS_RATE, settings.EXPORTS_MAX_ACTIVE = "", 0
    client = Client(live_server.url, headers)
    client.get("/api/v1/exports/")
    with held(), looking(lambda: client.get("/api/v1/exports/")) as others:
        told = at_once(asking(client, 12))
        assert [each.status for each in told] == [200, 202, 202] * 4
        assert max(each.seconds for each in told) < 5
    assert {each.status for each in others} == {200}
