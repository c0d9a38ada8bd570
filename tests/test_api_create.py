"""What accepting an export costs the database, and that it is rung for."""

from __future__ import annotations

from datetime import timedelta
from itertools import cycle, islice
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from exports_app import lifecycle, services
from exports_app.choices import Status
from exports_app.models import ExportJob
from tests.api_keys.making import client_of
from tests.jobs import make_job

pytestmark = pytest.mark.django_db(transaction=True)
"""The bell is rung on commit."""

TIMES: dict[str, Any] = {"completed_at": "2026-01-01T00:00:00Z"}
ENDED: list[dict[str, Any]] = [
    {"status": Status.COMPLETED, "row_count": 10, "file_size": 100, **TIMES},
    {"status": Status.FAILED, "error_code": "internal", **TIMES},
    {"status": Status.CANCELLED, **TIMES},
]
BUSY: list[dict[str, Any]] = [
    {"status": Status.QUEUED},
    {"status": Status.RUNNING, "claim": 1, "lease_expires_at": "2100-01-01T00:00:00Z"},
]


def fill(owner: User, states: list[dict[str, Any]], count: int) -> None:
    ExportJob.objects.bulk_create(
        ExportJob(owner=owner, resource="customers", format="csv", idempotency_key=str(uuid4()), **values)
        for values in islice(cycle(states), count)
    )


@pytest.fixture(params=[0, 300], ids="{} of each before".format)
def client(request: pytest.FixtureRequest, alice: User, bob: User, settings: Any) -> APIClient:
    """Alice's, who asked for so many exports within the hour; Bob asked for as many, none of which has ended."""
    settings.EXPORTS_RATE = "1000/hour"
    fill(alice, ENDED, request.param)
    fill(bob, BUSY, request.param)
    for job in ExportJob.objects.filter(owner=bob)[:20]:
        job.shared_with.add(alice)
    made = client_of(alice)
    made.get("/api/v1/presets/")  # the first call in a minute notes that the key is used
    return made


def ask(client: APIClient, **headers: str) -> int:
    status: int = client.post("/api/v1/exports/", {"resource": "customers"}, headers=headers).status_code
    return status


def test_an_export_takes_eleven_queries_however_many_there_are(
    client: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    # Key with user; permissions of the user and of groups; begin, lock, active ones, those of the hour, the job, its
    # event, commit; its place in the queue.
    with django_assert_num_queries(11):
        assert ask(client) == 202


def test_a_new_key_is_looked_for_before_the_lock_and_behind_it_and_an_old_one_is_found_at_once(
    client: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(13):
        assert ask(client, idempotency_key="k") == 202
    # Key with user, the job, permissions of the user and of groups, place in the queue, whom it is shared with.
    with django_assert_num_queries(6):
        assert ask(client, idempotency_key="k") == 200


def test_a_limit_that_is_reached_is_found_out_by_seven_queries(
    client: APIClient, settings: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    settings.EXPORTS_MAX_ACTIVE = 1
    assert ask(client) == 202
    with django_assert_num_queries(7):
        assert ask(client) == 429


def test_an_export_whose_bell_was_heard_is_not_rung_for_again_before_the_sweeps_time_is_over(
    alice: User, silent_bell: list[str]
) -> None:
    assert ask(client_of(alice)) == 202
    assert silent_bell == ["exports"]
    assert lifecycle.due_queues() == {}
    ExportJob.objects.update(rung_at=timezone.now() - timedelta(seconds=16))  # more than EXPORTS_SWEEP_SECONDS
    assert lifecycle.due_queues() == {"exports": 1}


def test_an_export_whose_bell_was_not_heard_is_rung_for_at_the_next_sweep(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exports_app.dispatch.ring", lambda queue: False)
    assert ask(client_of(alice)) == 202
    assert lifecycle.due_queues() == {"exports": 1}
    job = make_job(alice, status=Status.CANCELLED, **TIMES)
    services.retry_export(job, by=job.owner)
    assert lifecycle.due_queues() == {"exports": 1}


def test_a_retry_whose_bell_was_heard_is_not_rung_for_again_at_once(alice: User, silent_bell: list[str]) -> None:
    services.retry_export(make_job(alice, status=Status.CANCELLED, **TIMES), by=alice)
    assert silent_bell == ["exports"]
    assert lifecycle.due_queues() == {}


def test_an_export_is_shown_with_whom_it_is_shared_and_can_be_shared_afterwards(alice: User, bob: User) -> None:
    body = {"resource": "customers", "shared_with": ["bob"]}
    assert client_of(alice).post("/api/v1/exports/", body).json()["shared_with"] == ["bob"]
    job, _ = services.request_export(alice, services.stored_request(ExportJob.objects.get()))
    assert list(job.shared_with.all()) == []
    services.share_export(job, "bob", by=job.owner)
    assert list(job.shared_with.all()) == [bob]
