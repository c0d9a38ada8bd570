"""One clock, the database's: what processes whose own one is an hour off store, compare and show."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core import signing
from django.db import DatabaseError, connection, connections
from django.db.models.functions import Now
from django.utils.dateparse import parse_datetime

from exports_app import clock, services, storage
from exports_app.choices import Status
from exports_app.models import ApiKey, ExportEvent, ExportJob, ExportPart
from tests.api_keys.making import bearer
from tests.costs import queries
from tests.jobs import fill_customers, finish, make_job, request
from tests.web_server import WebServer, serve

pytestmark = pytest.mark.django_db(transaction=True)

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
HALF_HOUR = 30 * MINUTE


def by_database() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


@pytest.fixture(autouse=True)
def unread() -> Iterator[None]:
    clock.forget()
    yield
    clock.forget()


# What is known of it


def test_it_is_the_databases_within_a_tenth_of_a_second() -> None:
    assert abs((clock.now() - by_database()).total_seconds()) < 0.1


@pytest.mark.parametrize("off", [3_600, -3_600])
def test_ours_may_be_set_at_any_time(monkeypatch: pytest.MonkeyPatch, off: int) -> None:
    clock.now()
    ours = time.time
    monkeypatch.setattr(time, "time", lambda: ours() + off)
    assert abs((clock.now() - by_database()).total_seconds()) < 0.1


def test_it_is_read_once_a_minute_and_no_query_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[float] = []
    ask = clock._ask

    def count(cursor: object) -> clock.Reading:
        read.append(1)
        return ask(cursor)

    monkeypatch.setattr(clock, "_ask", count)
    ticks = clock.ticks
    with queries() as asked:
        for later in (0.0, 1.0, 59.0, 61.0, 62.0):
            monkeypatch.setattr(clock, "ticks", lambda later=later: ticks() + later)
            clock.now()
    assert (len(read), asked) == (2, [])


def test_of_slow_readings_the_quickest_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        clock.Reading(datetime(2026, 1, day, tzinfo=UTC), 0.0, took, 99.0) for day, took in ((1, 3), (2, 1), (3, 2))
    ]
    monkeypatch.setattr(clock, "_ask", lambda _: found.pop(0))
    monkeypatch.setattr(clock, "ticks", lambda: 5.0)
    assert clock.now() == datetime(2026, 1, 2, 0, 0, 5, tzinfo=UTC)


def test_while_the_database_is_away_the_last_reading_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock.now()
    ticks = clock.ticks
    tries: list[int] = []

    def fail() -> None:
        tries.append(1)
        raise DatabaseError("away")

    monkeypatch.setattr(connections["default"], "ensure_connection", fail)
    monkeypatch.setattr(clock, "ticks", lambda: ticks() + 100)
    assert 99 < (clock.now() - datetime.now(UTC)).total_seconds() < 101
    clock.now()
    assert tries == [1]  # not again within five seconds
    clock.forget()
    with pytest.raises(DatabaseError):
        clock.now()


def test_an_event_loop_asks_nobody() -> None:
    async def look() -> datetime:
        return clock.now()

    assert abs((asyncio.run(look()) - datetime.now(UTC)).total_seconds()) < 1
    assert clock._last is None


def test_a_connection_that_was_not_open_is_not_kept() -> None:
    connection.close()
    clock.now()
    assert connection.connection is None


def test_new_rows_have_the_time_of_the_database(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: datetime(2001, 1, 1, tzinfo=UTC))
    job = make_job(alice)
    part = ExportPart.objects.create(job=job, number=1, offset=0, size=1, rows=1, crc32=1, claim=1)
    event = ExportEvent.objects.create(job=job, kind="queued")
    now = by_database()
    for moment in (job.created_at, part.stored_at, event.at):
        assert timedelta() <= now - moment < timedelta(seconds=5)


def test_a_link_to_a_local_file_lives_by_it(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job, ours = make_job(alice), time.time
    with monkeypatch.context() as ahead:
        ahead.setattr(time, "time", lambda: ours() + 3_600)
        signature = storage.signed_url(job.pk, alice.pk, "a.csv").partition("signature=")[2]
    assert storage.signed_for(job.pk, signature) == str(alice.pk)
    ticks = clock.ticks
    monkeypatch.setattr(clock, "ticks", lambda: ticks() + 901)
    monkeypatch.setattr(clock, "_read", lambda: clock._last)
    with pytest.raises(signing.SignatureExpired):
        storage.signed_for(job.pk, signature)


# Whole processes whose clock is an hour off


def off_by(offset: str) -> dict[str, str]:
    """Variables of such a process."""
    found = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if found is None:
        missing = "libfaketime (Debian: faketime) is not installed."
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    return {"LD_PRELOAD": str(found), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@pytest.fixture(scope="module", params=["+1h", "-1h"])
def web(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[WebServer]:
    with django_db_blocker.unblock(), serve(EXPORTS_RATE="3/hour", **off_by(request.param)) as running:
        answer = requests.get(f"{running.url}/health/", timeout=10)
        shown = parsedate_to_datetime(answer.headers["Date"]) - datetime.now(UTC)
        assert abs(abs(shown) - HOUR) < MINUTE  # it is off
        yield running


@pytest.fixture
def headers(alice: User) -> dict[str, str]:
    return bearer(alice)


def call(web: WebServer, method: str, path: str, headers: dict[str, str], **options: Any) -> requests.Response:
    return requests.request(method, f"{web.url}/api/v1/{path}", headers=headers, timeout=30, **options)


def create(web: WebServer, headers: dict[str, str], **more: str) -> requests.Response:
    return call(web, "POST", "exports/", headers | more, json={"resource": "customers"})


def seconds_from_now(text: str) -> float:
    moment = parse_datetime(text)
    assert moment is not None
    return (moment - by_database()).total_seconds()


def test_limits_count_an_hour(web: WebServer, headers: dict[str, str]) -> None:
    asked = [create(web, headers) for _ in range(4)]
    assert [each.status_code for each in asked] == [202, 202, 202, 429]
    assert 3_500 < int(asked[3].headers["Retry-After"]) <= 3_600
    ExportJob.objects.update(created_at=Now() - 59 * MINUTE)
    later = create(web, headers)
    assert (later.status_code, 40 < int(later.headers["Retry-After"]) <= 60) == (429, True)
    ExportJob.objects.update(created_at=Now() - 61 * MINUTE)
    assert create(web, headers).status_code == 202


def test_a_new_export_shows_the_times_of_the_database(web: WebServer, headers: dict[str, str]) -> None:
    shown = create(web, headers).json()
    assert abs(seconds_from_now(shown["created_at"])) < 10
    assert abs(seconds_from_now(shown["expires_at"]) - 86_400) < 10
    listed = call(web, "GET", "exports/", headers).json()["results"][0]
    assert (listed["created_at"], listed["expires_at"]) == (shown["created_at"], shown["expires_at"])
    job = ExportJob.objects.get()
    assert job.file_name == f"customers-{by_database():%Y-%m-%d}.csv"


def test_a_file_and_its_links_live_until_their_time(web: WebServer, headers: dict[str, str], alice: User) -> None:
    fill_customers(3)
    job = finish(alice)
    path = f"exports/{job.pk}/"
    try:
        ExportJob.objects.update(expires_at=Now() + HALF_HOUR)
        shown = call(web, "GET", path, headers).json()
        assert abs(seconds_from_now(shown["download_url_expires_at"]) - 900) < 10
        assert requests.get(shown["download_url"], timeout=10).status_code == 200
        made = call(web, "POST", f"{path}token/", headers).json()
        assert abs(seconds_from_now(made["expires_at"]) - 86_400) < 10
        link = urlsplit(made["download_url"])
        assert requests.get(f"{web.url}{link.path}?{link.query}", timeout=10).text.count("Customer ") == 3
        assert call(web, "GET", f"{path}download/", headers).status_code == 200
        ExportJob.objects.update(expires_at=Now() - HALF_HOUR)
        assert call(web, "GET", path, headers).json()["download_url"] is None
        assert call(web, "GET", f"{path}download/", headers).status_code == 410
    finally:
        storage.store().discard(job.upload())


def test_an_api_key_lives_until_its_time(web: WebServer, headers: dict[str, str]) -> None:
    ApiKey.objects.update(expires_at=Now() + HALF_HOUR)
    assert call(web, "GET", "exports/", headers).status_code == 200
    used = ApiKey.objects.get().last_used_at
    assert used is not None
    assert abs((used - by_database()).total_seconds()) < 10
    ApiKey.objects.update(expires_at=Now() - HALF_HOUR)
    assert call(web, "GET", "exports/", headers).status_code == 401


def test_an_idempotency_key_lives_a_day(web: WebServer, headers: dict[str, str]) -> None:
    key = {"Idempotency-Key": "once"}
    first = create(web, headers, **key).json()["id"]
    ExportJob.objects.update(created_at=Now() - 24 * HOUR + HALF_HOUR)
    assert create(web, headers, **key).json()["id"] == first
    ExportJob.objects.update(created_at=Now() - 24 * HOUR - HALF_HOUR)
    assert create(web, headers, **key).json()["id"] != first


def test_progress_tells_the_place_of_a_job_that_is_due(web: WebServer, headers: dict[str, str], alice: User) -> None:
    due, later = make_job(alice), make_job(alice, next_attempt_at=Now() + HALF_HOUR)
    status = {job.pk: call(web, "GET", f"exports/{job.pk}/status/", headers).json() for job in (due, later)}
    assert status[due.pk]["progress"]["queue_position"] == 1
    assert status[later.pk]["progress"]["queue_position"] is None


@pytest.fixture(params=["+10m", "-10m"])
def process(request: pytest.FixtureRequest) -> Any:
    """Runs Python in a process whose clock is off by ten minutes: of fifteen and more S3 itself refuses its calls."""

    def run(code: str) -> None:
        setup = "import django; django.setup(); import time; print(round(time.time()));"
        database = os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{connection.settings_dict['NAME']}"
        done = subprocess.run(
            [sys.executable, "-c", setup + code],
            cwd=django_settings.BASE_DIR,
            env=os.environ
            | {"DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "exportsite.settings"}
            | off_by(request.param),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        shown = int(done.stdout.split()[0])
        assert abs(abs(shown - time.time()) - 600) < 60  # it is off

    return run


def test_a_worker_writes_the_times_of_the_database(process: Any, alice: User) -> None:
    fill_customers(3)
    job, _ = services.request_export(alice, request())
    process("from workers import run; run.run_next('exports')")
    job.refresh_from_db()
    storage.store().discard(job.upload())
    assert (job.status, job.error_code, job.row_count) == (Status.COMPLETED, "", 3)
    now = by_database()
    read_at = parse_datetime(job.snapshots[0]["at"])
    moments = [job.started_at, job.completed_at, read_at, *job.events.values_list("at", flat=True)]
    assert all(moment is not None and timedelta() <= now - moment < 2 * MINUTE for moment in moments)


def test_pruning_takes_what_is_over_and_leaves_the_rest(process: Any, alice: User) -> None:
    done = {"status": Status.COMPLETED, "row_count": 1, "file_size": 1, "completed_at": Now(), "tables": []}
    over = make_job(alice, **done, expires_at=Now() - 5 * MINUTE)
    alive = make_job(alice, **done, expires_at=Now() + 5 * MINUTE)
    process("from exports_app import retention; retention.prune()")
    assert {job.pk: job.status for job in ExportJob.objects.all()} == {over.pk: "expired", alive.pk: "completed"}
