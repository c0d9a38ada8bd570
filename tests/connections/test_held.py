"""While a migration holds a table, whatever asks about it is answered within a second, and says what is not known."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from exports_app import direct, questions, services
from exports_app.estimates import UNKNOWN, Estimate, estimate_rows
from exports_app.models import ExportJob
from exports_app.pipeline.errors import DatabaseBusy
from exports_app.plan import Plan, Request, make_plan
from tests.connections.locking import held
from tests.direct.downloading import await_streams
from tests.jobs import fill_customers, read_object
from workers import run

pytestmark = pytest.mark.django_db(transaction=True)
UNKNOWN_ROWS = (
    "How many rows there are is not known: the database does not answer in time, as while a table is changed."
)
SOON = 5.0
"""Seconds, on a machine that others keep busy; the table is held for longer. On a quiet one it is below one second."""
NO_PREVIEW = "There is no preview, since the first rows take too long to find."


@pytest.fixture
def customers(alice: User) -> Plan:
    fill_customers(3)
    return make_plan(Request(resource="customers"), alice)


def test_an_estimate_is_unknown(customers: Plan) -> None:
    with held():
        began = time.monotonic()
        assert estimate_rows(customers) == UNKNOWN == Estimate(rows=None, exact=False)
        assert time.monotonic() - began < SOON
    assert estimate_rows(customers) == Estimate(rows=3, exact=True)


def test_the_estimate_of_the_api_says_so(api: APIClient, customers: Plan) -> None:
    with held():
        began = time.monotonic()
        answer = api.post("/api/v1/resources/customers/estimate/", {})
        assert time.monotonic() - began < SOON
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "estimated_rows": None,
            "estimate_exact": False,
            "strategy": "background",
            "estimated_bytes": None,
            "warnings": [NO_PREVIEW, UNKNOWN_ROWS],
            "preview": None,
        },
    )


def test_an_export_is_accepted_and_runs_later(api: APIClient, customers: Plan) -> None:
    with held():
        began = time.monotonic()
        answer = api.post("/api/v1/exports/", {"resource": "customers"})
        assert time.monotonic() - began < SOON
    told = answer.json()
    assert (answer.status_code, told["status"], told["estimated_rows"], told["estimate_exact"]) == (
        202, "queued", None, False,
    )  # fmt: skip
    assert (told["progress"]["percent"], told["progress"]["total_rows"]) == (None, None)
    job = ExportJob.objects.get()
    assert job.queue == "exports.large"  # nobody knows that it is small
    assert run.run_next(job.queue) is None
    job.refresh_from_db()
    assert (job.status, job.row_count, job.rows_verified) == ("completed", 3, True)


def test_an_unknown_number_is_not_refused_for_too_many_rows(
    api: APIClient, customers: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exportsite.samples.exports.CustomerExport.max_rows", 1)
    assert api.post("/api/v1/exports/", {"resource": "customers"}).status_code == 422
    with held():
        assert api.post("/api/v1/exports/", {"resource": "customers"}).status_code == 202


def test_a_download_becomes_a_job(api: APIClient, customers: Plan) -> None:
    with held():
        began = time.monotonic()
        answer = api.post("/api/v1/exports/download/", {"resource": "customers"})
        assert time.monotonic() - began < SOON
    assert (answer.status_code, answer.json()["strategy"]) == (202, "background")


@pytest.mark.parametrize("rows", [3, 20])
def test_a_download_becomes_a_job_where_the_lock_comes_after_its_estimate(
    alice: User, settings: Any, rows: int, silent_bell: list[str]
) -> None:
    """Three rows would be built, twenty streamed."""
    settings.EXPORTS_DIRECT_MAX_ROWS = 10
    fill_customers(rows)
    asked = Request(resource="customers", columns=["id"])
    order = services.check_request(alice, asked, services.Extras(notify={"email": True}))
    assert order.estimate == Estimate(rows=rows, exact=True)
    make = direct.build if rows < 10 else direct._stream
    with held():
        began = time.monotonic()
        answer = make(alice, order, "")
        assert time.monotonic() - began < SOON
    await_streams()
    assert isinstance(answer, tuple)
    job = ExportJob.objects.get()
    assert (answer[0].pk, answer[1]) == (job.pk, True)
    assert (job.status, job.strategy, job.queue, job.notify) == ("queued", "background", "exports", {"email": True})
    assert job.expires_at is not None
    assert silent_bell == ["exports"]
    assert [event.kind for event in job.events.order_by("id")] == ["started", "queued"]
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.row_count, job.failures) == ("completed", rows, 0)
    assert len(read_object(job).splitlines()) == rows + 1


def test_the_page_shows_that_nobody_knows(browser: Client, customers: Plan) -> None:
    fields = {"format": "csv", "compression": "", "columns": ["id"]}
    with held():
        began = time.monotonic()
        shown = browser.post("/exports/new/customers/preview/", fields).content.decode()
        assert time.monotonic() - began < SOON
    assert "An unknown number of rows" in shown
    assert "Made in the background." in shown
    assert UNKNOWN_ROWS in shown


def test_so_many_ask_at_once_and_the_others_are_told_at_once_that_nobody_knows(customers: Plan) -> None:
    asking = threading.Barrier(questions.AT_ONCE + 1)
    over = threading.Event()

    def hold() -> None:
        with questions.ask("default", own=True):
            asking.wait(10)
            over.wait(10)

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        asking.wait(10)
        began = time.monotonic()
        assert estimate_rows(customers) == UNKNOWN
        assert time.monotonic() - began < SOON
        with pytest.raises(DatabaseBusy), questions.ask("default"):
            pass
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert estimate_rows(customers) == Estimate(rows=3, exact=True)


def test_the_site_goes_on_with_its_connection_as_it_was(customers: Plan) -> None:
    before = _settings()
    with held():
        estimate_rows(customers)
    assert _settings() == before


def _settings() -> list[Any]:
    names = "lock_timeout", "statement_timeout", "TimeZone", "jit"
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f"current_setting('{name}')" for name in names))
        return list(cursor.fetchone())
