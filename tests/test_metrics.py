"""`/metrics`: what each move counts, who may read it, and what it costs."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction
from prometheus_client.parser import text_string_to_metric_families
from rest_framework.test import APIClient

from exports_app import lifecycle, metrics
from exports_app.models import ExportCounter, ExportEvent, ExportJob
from tests.api_keys.making import make_key
from tests.conftest import OPERATE, make_user
from workers import run

committed = pytest.mark.django_db(transaction=True)


def figures() -> dict[str, float]:
    """Every sample of the page: ``name{label="value"}`` to its value."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics.page().decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def queue(owner: User, **values: Any) -> ExportJob:
    return ExportJob.objects.create(**({"owner": owner, "resource": "customers", "format": "csv"} | values))


def claimed(owner: User, **values: Any) -> ExportJob:
    queue(owner, **values)
    job = lifecycle.claim_next("exports", "a worker")
    assert job is not None
    return job


@committed
def test_a_whole_run_counts_its_job_rows_bytes_time_and_chunks(api: APIClient) -> None:
    call_command("load_samples", rows=40, verbosity=0)
    api.post("/api/v1/exports/", {"resource": "customers", "format": "ndjson"})
    before = figures()
    assert (before["exports_queue_depth{queue=exports}"], before["exports_running"]) == (1, 0)
    assert before["exports_oldest_queued_seconds"] > 0
    assert run.run_next("exports") is None
    after = figures()
    job = ExportJob.objects.get()
    assert after["exports_jobs_total{format=ndjson,outcome=completed,resource=customers}"] == 1
    assert (after["exports_rows_total"], after["exports_bytes_total"]) == (40, job.file_size)
    assert (after["exports_queue_depth{queue=exports}"], after["exports_oldest_queued_seconds"]) == (0, 0)
    assert after["exports_duration_seconds_count"] == after["exports_duration_seconds_bucket{le=+Inf}"] == 1
    assert after["exports_duration_seconds_sum"] > 0
    assert after["exports_chunk_seconds_count"] == 1


@pytest.mark.django_db
def test_a_failure_a_retry_and_a_cancel_are_counted_by_their_codes(alice: User) -> None:
    lifecycle.retry_later(claimed(alice), delay=60, code="storage_unavailable", detail="away", counts=True)
    lifecycle.fail(claimed(alice, format="json"), code="bad_key", detail="doubled")
    assert lifecycle.cancel(queue(alice).pk)
    assert not lifecycle.cancel(ExportJob.objects.get(status="cancelled").pk)
    found = figures()
    assert found["exports_retries_total{code=storage_unavailable}"] == 1
    assert found["exports_failures_total{code=bad_key}"] == 1
    assert found["exports_failures_total{code=internal}"] == 0
    assert found["exports_jobs_total{format=json,outcome=failed,resource=customers}"] == 1
    assert found["exports_jobs_total{format=csv,outcome=cancelled,resource=customers}"] == 1


@pytest.mark.django_db
def test_a_lost_worker_is_a_retry_until_it_is_a_failure(alice: User) -> None:
    for _ in range(3):
        job = claimed(alice) if not ExportJob.objects.exists() else lifecycle.claim_next("exports", "a worker")
        assert job is not None
        ExportJob.objects.update(lease_expires_at="2020-01-01T00:00:00Z")
        lifecycle.take_back_lost()
    found = figures()
    assert found["exports_retries_total{code=worker_lost}"] == 2
    assert found["exports_failures_total{code=worker_lost}"] == 1


@committed
def test_a_move_that_is_undone_is_not_counted(alice: User) -> None:
    job = queue(alice)
    with transaction.atomic():
        assert lifecycle.cancel(job.pk)
        transaction.set_rollback(True)
    assert not ExportCounter.objects.exists()


@pytest.mark.django_db
def test_labels_come_from_closed_sets(alice: User) -> None:
    lifecycle.fail(claimed(alice, resource="removed last week", format="dbf"), code="made up", detail="x")
    found = figures()
    assert found["exports_jobs_total{format=other,outcome=failed,resource=other}"] == 1
    assert found["exports_failures_total{code=internal}"] == 1


@pytest.mark.django_db
def test_an_export_that_is_started_again_waits_from_then_on(alice: User) -> None:
    job = queue(alice)
    ExportJob.objects.update(created_at="2020-01-01T00:00:00Z")
    assert figures()["exports_oldest_queued_seconds"] > 86_400
    ExportEvent.objects.create(job=job, kind="queued")
    assert figures()["exports_oldest_queued_seconds"] < 60


@pytest.mark.django_db
def test_the_page_takes_four_queries_however_much_there_is(alice: User, django_assert_num_queries: Any) -> None:
    for number in range(30):
        lifecycle.fail(claimed(alice, format=("csv", "json", "xlsx")[number % 3]), code="bad_key", detail="x")
    queue(alice)
    with django_assert_num_queries(4):
        metrics.page()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("who", "status"),
    [
        ("nobody", 401),
        ("a user", 403),
        ("staff by token", 403),
        ("operator by token", 200),
        ("prometheus", 200),
        ("a wrong token", 401),
    ],
)
def test_the_page_is_for_operators_and_prometheus(alice: User, settings: Any, who: str, status: int) -> None:
    settings.EXPORTS_METRICS_TOKEN = "scrape-me"
    staff, operator = make_user("staff", is_staff=True), make_user("operator", permissions=OPERATE)
    header = {
        "nobody": "",
        "a user": f"Bearer {make_key(alice)}",
        "staff by token": f"Bearer {make_key(staff)}",
        "operator by token": f"Bearer {make_key(operator)}",
        "prometheus": "Bearer scrape-me",
        "a wrong token": "Bearer scrape-you",
    }[who]
    answer = APIClient().get("/metrics", headers={"Authorization": header} if header else {})
    assert answer.status_code == status
    if status == 200:
        assert answer["Content-Type"].startswith("text/plain; version=")
        assert b"exports_queue_depth" in answer.content
    else:
        assert "exports_" not in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(("debug", "status"), [(True, 200), (False, 401)])
def test_without_a_token_the_page_is_open_at_a_desk_alone(settings: Any, debug: bool, status: int) -> None:
    settings.DEBUG, settings.EXPORTS_METRICS_TOKEN = debug, ""
    assert APIClient().get("/metrics").status_code == status
