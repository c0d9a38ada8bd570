"""Downloads that do not end well: errors, clients that leave, servers that are full."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import TextField
from django.db.models.expressions import RawSQL
from rest_framework.test import APIClient

from exports_app import direct
from exports_app.models import ExportPerformance
from exports_app.pipeline.errors import DatabaseUnavailable, FormatLimit
from exports_app.pipeline.sinks.pipe import Cut
from exports_app.resources import Column, Resource, register, registry
from exports_app.slots import Slots
from exportsite.samples.models import Customer
from tests.direct.downloading import PATH, await_streams, download, ids, only_job
from tests.jobs import fill_customers
from tests.web_server import source_connections
from workers import run

pytestmark = pytest.mark.django_db(transaction=True)


# What goes wrong


def broken(monkeypatch: pytest.MonkeyPatch, error: Exception, *, after: int) -> None:
    """The source's read number ``after`` (from 0) raises."""
    from exports_app.pipeline.sources.sql import SqlSource

    reads = iter(range(1_000))
    read = SqlSource.read

    def fail(self: SqlSource, limit: int) -> Any:
        if next(reads) == after:
            raise error
        return read(self, min(limit, 5))

    monkeypatch.setattr(SqlSource, "read", fail)


@pytest.mark.parametrize("rows", [9, 15])
@pytest.mark.parametrize(
    ("error", "status", "code", "recorded"),
    [
        (DatabaseUnavailable(), 503, "unavailable", "database_unavailable"),
        (FormatLimit("A cell is too long."), 422, "format_limit", "format_limit"),
        (ZeroDivisionError(), 500, "internal", "internal"),
    ],
)
def test_what_goes_wrong_before_the_first_byte_is_an_answer(
    api: APIClient,
    small: None,
    monkeypatch: pytest.MonkeyPatch,
    rows: int,
    error: Exception,
    status: int,
    code: str,
    recorded: str,
) -> None:
    fill_customers(rows)
    broken(monkeypatch, error, after=0)
    response = download(api)
    assert (response.status_code, response.json()["code"]) == (status, code)
    job = only_job()
    assert (job.status, job.error_code) == ("failed", recorded)
    assert type(error).__name__ in job.error_trace
    assert ("Retry-After" in response) == (status == 503)


def test_an_error_amid_a_stream_never_ends_the_file_as_if_whole(
    api: APIClient, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_customers(15)
    broken(monkeypatch, DatabaseUnavailable(), after=2)
    pieces = iter(download(api))
    assert next(pieces).startswith(b'"ID",')
    with pytest.raises(Cut):
        list(pieces)
    job = only_job()
    assert (job.status, job.error_code, job.row_count) == ("failed", "database_unavailable", None)
    assert ExportPerformance.objects.count() == 0


def test_a_person_retries_a_failed_download_as_a_job(
    api: APIClient, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_customers(15)
    with monkeypatch.context() as patch:
        broken(patch, DatabaseUnavailable(), after=0)
        assert download(api).status_code == 503
    job = only_job()
    shown = api.post(f"/api/v1/exports/{job.pk}/retry/").json()
    assert (shown["status"], shown["strategy"]) == ("queued", "background")
    assert run.run_next("exports") is None
    done = api.get(f"/api/v1/exports/{job.pk}/").json()
    assert (done["status"], done["row_count"], done["download_url"] is None) == ("completed", 15, False)


@pytest.fixture
def endless(alice: User) -> Iterator[threading.Event]:
    """Rows that go on until the event is set; nobody knows how many there are."""
    enough = threading.Event()

    @register("endless")
    class Endless(Resource):
        key = ("n",)

        def get_columns(self) -> Any:
            return (Column("n", kind="integer"), Column("text", kind="text"))

        def iter_rows(self, parameters: Any, after: Any) -> Iterator[Any]:
            n = 0
            while not enough.is_set():
                n += 1
                yield (n, "x" * 200)

    yield enough
    enough.set()
    registry.unregister("endless")


def test_a_client_that_leaves_ends_the_making(api: APIClient, endless: threading.Event) -> None:
    response = api.post(PATH, {"resource": "endless"})
    assert response["X-Export-Strategy"] == "stream"
    pieces = iter(response)
    next(pieces)
    response.close()
    job = only_job()
    assert (job.status, job.error_code) == ("cancelled", "")


@pytest.fixture
def stuck(alice: User, settings: Any) -> Iterator[None]:
    """100 rows, of which PostgreSQL takes longer to render the 60th than a statement may."""
    settings.EXPORTS_DIRECT_MAX_ROWS, settings.EXPORTS_CHUNK_ROWS = 10, 10
    fill_customers(100)
    late = ids()[59]
    with connection.cursor() as cursor:  # STABLE: not asked for where only keys are wanted
        cursor.execute(
            f"""
            CREATE OR REPLACE FUNCTION rendered_late(id bigint) RETURNS text STABLE COST 1000000 LANGUAGE plpgsql
            AS $$ BEGIN IF id = {late} THEN PERFORM pg_sleep(600); END IF; RETURN repeat('x', 1000); END $$
            """
        )

    @register("stuck")
    class Stuck(Resource):
        model = Customer
        columns = (Column("late", RawSQL("rendered_late(samples_customer.id)", (), TextField())),)

    yield
    registry.unregister("stuck")
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION rendered_late(bigint)")


def test_a_client_that_leaves_ends_the_query(api: APIClient, stuck: None) -> None:
    response = api.post(PATH, {"resource": "stuck"})
    pieces = iter(response)
    next(pieces)
    assert source_connections() in (1, 2)  # that which counts the rows may be there
    response.close()
    assert only_job().status == "cancelled"  # not failed, as after the statement's time-out
    assert source_connections() == 0


def test_a_client_that_takes_nothing_is_given_up(
    api: APIClient, endless: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "SEND_SECONDS", 0.2)
    api.post(PATH, {"resource": "endless"})
    job = only_job()
    assert (job.status, job.error_code) == ("failed", "time_limit")


def test_a_stream_may_not_go_on_for_ever(api: APIClient, endless: threading.Event, settings: Any) -> None:
    settings.EXPORTS_SLICE_SECONDS = 0.5
    with pytest.raises(Cut):
        for _ in api.post(PATH, {"resource": "endless"}):
            pass
    assert (only_job().status, only_job().error_code) == ("failed", "time_limit")


def test_a_cancelled_stream_breaks_off(
    api: APIClient, endless: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "RENEW_SECONDS", 0.05)
    response = api.post(PATH, {"resource": "endless"})
    assert api.post(f"/api/v1/exports/{response['X-Export-Id']}/cancel/").status_code == 200
    with pytest.raises(Cut):
        list(response)
    assert only_job().status == "cancelled"


def test_a_server_sends_so_many_streams_at_once(
    api: APIClient, endless: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "_places", Slots(1, 2))
    first = api.post(PATH, {"resource": "endless"})
    refused = api.post(PATH, {"resource": "endless"})
    assert (refused.status_code, refused.json()["code"], refused["Retry-After"]) == (503, "unavailable", "5")
    first.close()
    await_streams()
    again = api.post(PATH, {"resource": "endless"})
    assert again.status_code == 200
    again.close()
    await_streams()


def test_one_user_is_sent_two_streams_at_once_and_others_theirs(
    api: APIClient, endless: threading.Event, bob: User
) -> None:
    two = [api.post(PATH, {"resource": "endless"}) for _ in range(2)]
    refused = api.post(PATH, {"resource": "endless"})
    assert (refused.status_code, refused.json()["code"], refused["Retry-After"]) == (429, "throttled", "5")
    assert refused.json()["detail"].startswith("You have 2 downloads under way, which is all that is allowed at once.")
    other = APIClient()
    other.force_authenticate(bob)
    two.append(other.post(PATH, {"resource": "endless"}))
    assert [each.status_code for each in two] == [200, 200, 200]
    for each in two:
        each.close()
    await_streams()
    again = api.post(PATH, {"resource": "endless"})
    assert again.status_code == 200
    again.close()
    await_streams()


def test_a_refused_stream_gives_its_place_back(
    api: APIClient, endless: threading.Event, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "_places", Slots(1, 2))
    settings.EXPORTS_RATE = "1/day"
    first = api.post(PATH, {"resource": "endless"})
    first.close()
    await_streams()
    assert [api.post(PATH, {"resource": "endless"}).status_code for _ in range(2)] == [429, 429]
