"""Fixtures that every test may use. Real PostgreSQL, Redis and S3 come from ``make test``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission, User
from django.test import Client
from rest_framework.test import APIClient

from exports_app import clock
from exports_app.pipeline.sources import keys
from exportsite.signin.counters import LocalCounters
from tests import emptying, matrices
from tests.rendering import connect

CI = os.environ.get("CI") == "true"
SERVICES = ("DATABASE_URL", "REDIS_URL", "AWS_ENDPOINT_URL_S3")


def pytest_configure() -> None:
    """Passwords protect nobody here, so their hashes need no second each; links begin alike everywhere."""
    matrices.begin()
    emptying.install()
    settings.EXPORTS_SITE_URL = "http://localhost"
    settings.EXPORTS_MEMORY_SOFT_LIMIT_MB = 4_096  # this process does more than a worker's child
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


LONGEST = "test_walks.py"
"""Takes as long as a hundred others: of two processes, neither shall begin it last."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    """Without the services nothing here means much: say so at once, and how to have them."""
    items.sort(key=lambda item: item.path.name != LONGEST)
    matrices.leave_out(items, config)
    missing = [name for name in SERVICES if not os.environ.get(name)]
    if missing:
        raise pytest.UsageError(
            f"{', '.join(missing)} not set: run the tests with `make test`, "
            "or inside `python -m exportsite.stack run --services-only -- CMD`."
        )


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not matrices.WHOLE:
        terminalreporter.write_line(matrices.told())


@pytest.fixture(autouse=True)
def read_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database's clock is this machine's: no test asks for it, with or without a database."""
    now = clock.ticks()
    monkeypatch.setattr(clock, "_last", clock.Reading(shown=datetime.now(UTC), ticks=now, took=0.0, due=now + 86_400))


@pytest.fixture(autouse=True)
def forget_proofs() -> None:
    """Tables of one name have other constraints in another test."""
    keys.forget()


@pytest.fixture(autouse=True)
def own_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for the wrong passwords of another."""
    monkeypatch.setattr("exportsite.signin.guard.counters", LocalCounters())


def make_user(name: str, *, permissions: tuple[str, ...] = (), **values: Any) -> User:
    """A user who can sign in with their name as password."""
    user = get_user_model().objects.create_user(name, password=name, email=f"{name}@example.com", **values)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return get_user_model().objects.get(pk=user.pk)


@pytest.fixture(scope="module")
def connection() -> Iterator[psycopg.Connection[Any]]:
    """One connection for all examples of a property, its texts of times in UTC."""
    with connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened
        opened.rollback()


VIEW_SAMPLES = (
    "view_transaction", "view_customer", "view_trade", "view_tag", "view_goal", "view_propevaluation",
)  # fmt: skip

OPERATE = ("view_exportjob", "change_exportjob")
"""What operators need to see everybody's exports and to act on them."""


@pytest.fixture
def alice(db: None) -> User:
    """Owns the exports in the tests."""
    return make_user("alice", permissions=VIEW_SAMPLES)


@pytest.fixture
def bob(db: None) -> User:
    """Has the same permissions; things are shared with him."""
    return make_user("bob", permissions=VIEW_SAMPLES)


@pytest.fixture
def olga(db: None) -> User:
    """Operates exports, and may not read the data."""
    return make_user("olga", permissions=OPERATE, is_staff=True)


@pytest.fixture
def charlie(db: None) -> User:
    """Has no access to anything."""
    return make_user("charlie")


@pytest.fixture
def api(alice: User) -> APIClient:
    """The API as Alice uses it."""
    client = APIClient()
    client.force_authenticate(alice)
    return client


@pytest.fixture
def browser(client: Client, alice: User) -> Client:
    """Alice, signed in."""
    client.force_login(alice)
    return client


@pytest.fixture(autouse=True)
def silent_bell(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[str]:
    """Tests without workers hear the bell instead of Redis; ``real_bell`` in a test's fixtures leaves it."""
    rung: list[str] = []

    def ring(queue: str) -> bool:
        rung.append(queue)
        return True

    if "real_bell" not in request.fixturenames:
        monkeypatch.setattr("exports_app.dispatch.ring", ring)
        monkeypatch.setattr("exports_app.dispatch.ring_for_notifications", lambda: ring("notifications"))
    return rung


@pytest.fixture
def real_bell() -> None:
    """The test rings Redis itself."""
