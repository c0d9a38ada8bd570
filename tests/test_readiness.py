"""`/health/ready/`: which parts must answer, which may be away, and that nothing is told that helps an attacker."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from exports_app import presence, s3, storage
from exports_app.api import readiness
from workers import presence as worker_presence

pytestmark = pytest.mark.django_db(transaction=True)
CHECKS = ("database", "migrations", "source", "redis", "s3", "workers")
QUEUES = ["exports", "exports.large", "maintenance", "notifications"]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody looked before, no worker is there, and clients are made for each test's addresses."""
    monkeypatch.setattr(readiness, "_last", readiness.Readiness({}, float("-inf")))
    monkeypatch.setattr(presence, "KEY", "exports:workers:test")
    presence._client.cache_clear()
    s3.quick_client.cache_clear()
    yield
    presence._client.cache_clear()
    s3.quick_client.cache_clear()


@pytest.fixture
def silence() -> Iterator[int]:
    """A port that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(autouse=True)
def scraper(settings: Any) -> None:
    settings.EXPORTS_METRICS_TOKEN = "scrape-me"


def look() -> tuple[int, str, dict[str, bool]]:
    answer = APIClient().get("/health/ready/", headers={"Authorization": "Bearer scrape-me"})
    body = answer.json()
    assert {tuple(sorted(check)) for check in body["checks"].values()} == {("ms", "ok")}
    return answer.status_code, body["status"], {name: check["ok"] for name, check in body["checks"].items()}


@pytest.fixture
def workers() -> Iterator[None]:
    worker_presence.begin("one@here", QUEUES[:2])
    presence.say("two@here", QUEUES[2:])
    yield
    presence._client.cache_clear()
    worker_presence.end()
    presence.say_goodbye("two@here", QUEUES[2:])


@pytest.mark.usefixtures("workers")
def test_everything_answers() -> None:
    assert look() == (200, "ok", dict.fromkeys(CHECKS, True))


def test_a_queue_without_a_worker_is_degraded() -> None:
    presence.say("one@here", QUEUES[:3])
    assert look()[:2] == (200, "degraded")
    presence.say_goodbye("one@here", QUEUES[:3])
    assert presence.served_queues() == set()


def test_a_worker_that_fell_silent_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    presence.say("one@here", QUEUES)
    now = presence._now()
    monkeypatch.setattr(presence, "_now", lambda: now + presence.ABSENT_SECONDS + 1)
    assert presence.served_queues() == set()
    presence.say_goodbye("one@here", QUEUES)


def test_without_redis_it_is_degraded_since_exports_are_accepted(settings: Any, silence: int) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{silence}/0"
    storage.prepare()
    checks = {"database": True, "migrations": True, "source": True, "redis": False, "s3": True, "workers": False}
    assert look() == (200, "degraded", checks)


def test_without_its_source_it_is_degraded(settings: Any, silence: int) -> None:
    settings.EXPORTS_SOURCE_DATABASE_URL = f"postgres://127.0.0.1:{silence}/none"
    status, word, checks = look()
    assert (status, word, checks["source"], checks["database"]) == (200, "degraded", False, True)


def test_what_is_away_is_told_to_operators_alone(alice: User, olga: User) -> None:
    told = {}
    for name, user in (("nobody", None), ("alice", alice), ("olga", olga)):
        client = APIClient()
        client.force_authenticate(user)
        told[name] = sorted(client.get("/health/ready/").json())
    assert told == {"nobody": ["status"], "alice": ["status"], "olga": ["checks", "status"]}


def test_without_storage_it_is_unavailable_and_says_nothing_about_where_that_is(
    monkeypatch: pytest.MonkeyPatch, silence: int
) -> None:
    monkeypatch.setattr(storage.exports_storage(), "endpoint_url", f"http://127.0.0.1:{silence}")
    storage.prepare()
    status, word, checks = look()
    assert (status, word, checks["s3"], checks["database"]) == (503, "unavailable", False, True)


def test_a_database_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()
    monkeypatch.setitem(readiness.CHECKS, "database", answers.wait)
    storage.prepare()
    try:
        assert look()[0] == 503
    finally:
        answers.set()
    assert readiness.CHECK_SECONDS < 2


def test_asking_often_looks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    monkeypatch.setitem(readiness.CHECKS, "database", lambda: looks.append(1))
    for _ in range(20):
        APIClient().get("/health/ready/")
    assert len(looks) == 1
