"""A web process with a pool of database connections: who holds one, and what becomes of it with the database."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import requests
from django.contrib.auth.models import User
from django.db import connection

from exports_app.models import ExportJob
from tests.connections.limiting import connections_of_database
from tests.jobs import fill_customers
from tests.test_direct_served import begin, headers
from tests.web_server import WebServer, serve, wait_until

__all__ = ["headers"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(transactional_db: None) -> Iterator[WebServer]:
    """With one connection for everybody."""
    with serve(DATABASE_POOL="1", EXPORTS_RATE="", EXPORTS_MAX_ACTIVE="0") as running:
        yield running


@pytest.fixture
def locked(transactional_db: None) -> Iterator[None]:
    """The database takes no new connections."""
    allow_connections(False)
    yield
    allow_connections(True)


def allow_connections(allowed: bool) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as other:  # not from within the database itself
        other.execute(f'ALTER DATABASE "{connection.settings_dict["NAME"]}" ALLOW_CONNECTIONS {allowed}'.encode())


def end_sessions() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_terminate_backend(pid) {OTHERS}")


OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def sessions() -> set[int]:
    """The server's processes that others than this test are connected to."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pid {OTHERS} AND application_name <> 'exports'")
        return {pid for (pid,) in cursor.fetchall()}


def get(server: WebServer, headers: dict[str, str]) -> requests.Response:
    return requests.get(f"{server.url}/api/v1/exports/", headers=headers, timeout=30)


def test_calls_share_a_connection(server: WebServer, headers: dict[str, str]) -> None:
    assert get(server, headers).status_code == 200
    first = sessions()
    assert len(first) == 1
    for _ in range(5):
        assert get(server, headers).status_code == 200
    assert sessions() == first


def test_the_first_call_after_every_connection_was_lost_is_answered(server: WebServer, headers: dict[str, str]) -> None:
    get(server, headers)
    before = sessions()
    end_sessions()
    wait_until(lambda: not sessions() & before)
    assert get(server, headers).status_code == 200


def test_a_database_that_is_away_is_503_with_a_time_to_come_back_and_then_all_is_well(
    server: WebServer, headers: dict[str, str], locked: None
) -> None:
    end_sessions()
    away = get(server, headers)
    assert (away.status_code, away.json()["code"], away.headers["Retry-After"]) == (503, "unavailable", "5")
    allow_connections(True)
    wait_until(lambda: get(server, headers).status_code == 200)


def test_a_slow_download_and_an_event_stream_hold_no_connection_of_the_pool(
    server: WebServer, headers: dict[str, str], alice: User
) -> None:
    fill_customers(100_000)
    slow = begin(server, headers)
    job = ExportJob.objects.get(owner=alice)
    url = f"{server.url}/api/v1/exports/{job.pk}/events/"
    with requests.get(url, headers=headers, stream=True, timeout=30) as events:
        assert next(events.iter_lines(chunk_size=1))
        for _ in range(5):
            assert get(server, headers).status_code == 200
    assert ExportJob.objects.get().status == "running"
    slow.close()
    wait_until(lambda: ExportJob.objects.get().status == "cancelled")


EIGHT = [
    ("GET", "exports/", None),
    ("POST", "exports/", {"resource": "customers"}),
    ("POST", "exports/download/", {"resource": "customers"}),
    ("GET", "resources/", None),
    ("GET", "resources/customers/", None),
    ("POST", "resources/customers/estimate/", {"format": "csv"}),
    ("POST", "exports/download/", {"resource": "customers", "format": "xlsx"}),
    ("GET", "exports/?status=queued", None),
]


def test_eight_requests_at_once_by_one_connection_are_slow_and_not_stuck(
    server: WebServer, headers: dict[str, str], alice: User
) -> None:
    fill_customers(2_000)

    def call(asked: tuple[str, str, Any]) -> int:
        method, path, body = asked
        url = f"{server.url}/api/v1/{path}"
        return requests.request(method, url, headers=headers, json=body, timeout=30).status_code

    for _ in range(3):
        with ThreadPoolExecutor(8) as clients:
            found = list(clients.map(call, EIGHT))
        assert found == [200, 202, 200, 200, 200, 200, 200, 200]


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_database_with_few_connections_left_says_so_or_answers(
    server: WebServer, headers: dict[str, str], most: int
) -> None:
    """The pool has the first of them."""
    fill_customers(10)
    assert get(server, headers).status_code == 200
    connection.close()
    with connections_of_database(most):
        url = f"{server.url}/api/v1/exports/download/"
        answer = requests.post(url, headers=headers, json={"resource": "customers"}, timeout=30)
        again = get(server, headers)
    assert again.status_code == 200
    if most == 1:
        assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "unavailable", "5")
    else:
        assert (answer.status_code, answer.text.count("Customer ")) == (200, 10)


SAY = "from django.conf import settings as s; d = s.DATABASES['default']; print(d['ENGINE'], d['OPTIONS'].get('pool'))"


@pytest.mark.parametrize(
    ("size", "engine", "pool"),
    [("0", "django.db.backends.postgresql", "None"), ("7", "exportsite.database", "'max_size': 7")],
)
def test_only_who_is_given_a_size_has_a_pool(size: str, engine: str, pool: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SAY],
        env=os.environ | {"DATABASE_POOL": size},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(engine)
    assert pool in done.stdout


def test_a_size_below_nothing_is_refused_by_name() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SAY],
        env=os.environ | {"DATABASE_POOL": "-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "DATABASE_POOL is -1. Set it to a number of connections, or 0 for no pool." in done.stderr
