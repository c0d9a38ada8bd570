"""How far an export is: percent, total, speed, time left and place in the queue, wherever they are shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from exports_app import lifecycle, progress
from exports_app.choices import Status
from exports_app.models import ExportJob, ExportPerformance
from exports_app.progress import Rate
from tests.costs import queries
from tests.jobs import make_job

FINISHED: dict[str, Any] = {"row_count": 10, "file_size": 100, "completed_at": "2026-01-01T00:00:00Z"}
RUNNING: dict[str, Any] = {"status": Status.RUNNING, "claim": 1, "lease_expires_at": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("values", "percent", "total", "eta"),
    [
        # half way, at 100 rows a second
        ({"rows_done": 500, "estimated_rows": 1_000, "estimate_exact": True, "rows_per_second": 100}, 50.0, 1_000, 5.0),
        # every row is written, but nothing is proven
        ({"rows_done": 1_000, "estimated_rows": 1_000, "estimate_exact": True, "rows_per_second": 9}, 99.9, 1_000, 0.0),
        # more rows than the planner thought: how many more, nobody knows
        ({"rows_done": 1_200, "estimated_rows": 1_000, "rows_per_second": 100}, 99.9, 1_200, None),
        # more rows than were counted, since some were added meanwhile
        ({"rows_done": 9, "estimated_rows": 8, "estimate_exact": True, "rows_per_second": 100}, 99.9, 9, 0.0),
        # nothing is known of the total
        ({"rows_done": 700, "estimated_rows": 0, "rows_per_second": 100}, None, None, None),
        ({"rows_done": 700, "estimated_rows": None, "rows_per_second": 100}, None, None, None),
        # no speed yet
        ({"rows_done": 0, "estimated_rows": 1_000, "rows_per_second": None}, 0.0, 1_000, None),
        # an export without rows
        ({"rows_done": 0, "estimated_rows": 0, "estimate_exact": True}, 0.0, 0, None),
    ],
)
def test_percent_total_and_time_left_of_a_running_export(
    values: dict[str, Any], percent: float | None, total: int | None, eta: float | None
) -> None:
    shown = progress.of(ExportJob(status=Status.RUNNING, **values), {})
    assert (shown.percent, shown.total_rows, shown.eta_seconds) == (percent, total, eta)


def test_only_a_running_export_has_a_time_left() -> None:
    values: dict[str, Any] = {"rows_done": 5, "estimated_rows": 10, "rows_per_second": 1}
    for status in (Status.QUEUED, Status.FAILED, Status.CANCELLED):
        assert progress.of(ExportJob(status=status, **values), {}).eta_seconds is None
    done = progress.of(ExportJob(status=Status.COMPLETED, row_count=10, rows_done=10, rows_per_second=1), {})
    assert (done.percent, done.total_rows, done.eta_seconds) == (100.0, 10, None)


def test_the_rate_follows_what_happens_now() -> None:
    rate = Rate(rows=1_000, at=50.0)
    assert rate.update(rows=1_000, at=50.0) is None
    assert rate.update(rows=1_100, at=51.0) == pytest.approx(100)
    for second in range(2, 31):
        steady = rate.update(rows=1_000 + 100 * second, at=50.0 + second)
    assert steady == pytest.approx(100)
    for second in range(31, 61):
        slower = rate.update(rows=4_000 + 10 * (second - 30), at=50.0 + second)
    assert slower == pytest.approx(14.3, abs=0.1)  # the whole-run mean would be 55


def test_rows_of_an_earlier_run_make_nobody_fast() -> None:
    assert Rate(rows=900_000, at=0.0).update(rows=900_050, at=1.0) == pytest.approx(50)


def test_a_stall_shows_as_a_falling_rate_and_never_a_negative_one() -> None:
    rate = Rate(rows=0, at=0.0)
    first = rate.update(rows=1_000, at=1.0)
    later = rate.update(rows=1_000, at=5.0)
    fallen_back = rate.update(rows=400, at=6.0)
    assert first is not None
    assert later is not None
    assert fallen_back is not None
    assert first > later > fallen_back > 0


def test_the_status_has_exactly_its_fields(api: APIClient, alice: User) -> None:
    job = make_job(alice, estimated_rows=10, estimate_exact=True)
    assert api.get(f"/api/v1/exports/{job.pk}/status/").json() == {
        "id": str(job.pk),
        "status": "queued",
        "progress": {
            "percent": 0.0,
            "rows": 0,
            "total_rows": 10,
            "bytes": 0,
            "rows_per_second": None,
            "eta_seconds": None,
            "queue_position": 1,
        },
        "attempt": 1,
        "max_attempts": 3,
        "next_attempt_at": None,
        "error": None,
        "row_count": None,
        "file_size": None,
    }


def test_the_status_of_anothers_export_is_not_found(api: APIClient, bob: User) -> None:
    assert api.get(f"/api/v1/exports/{make_job(bob).pk}/status/").status_code == 404
    assert APIClient().get(f"/api/v1/exports/{make_job(bob).pk}/status/").status_code == 401


def test_a_job_that_waits_for_its_next_attempt_has_no_place_until_it_is_due(alice: User) -> None:
    retrying = make_job(alice, next_attempt_at=timezone.now() + timedelta(seconds=60))
    next_one = make_job(alice)
    large = make_job(alice, queue="exports.large")
    assert progress.places([retrying, next_one, large]) == {next_one.pk: 1, large.pk: 1}
    ExportJob.objects.filter(pk=retrying.pk).update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    retrying.refresh_from_db()
    assert progress.places([retrying, next_one]) == {next_one.pk: 1}  # nobody has looked since
    lifecycle.due_queues()
    assert progress.places([retrying, next_one]) == {retrying.pk: 1, next_one.pk: 2}


def queries_of(client: Client, path: str) -> int:
    with queries() as asked:
        assert client.get(path).status_code == 200
    return len(asked)


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/api/v1/exports/", 8),
        ("/api/v1/exports/{0}/", 8),
        ("/api/v1/exports/{0}/status/", 6),
        ("/exports/", 10),
        ("/exports/{0}/", 9),
    ],
)
def test_a_call_costs_as_many_queries_among_fifty_jobs_as_among_two(
    client: Client, alice: User, bob: User, path: str, most: int
) -> None:
    client.force_login(alice)
    job = make_job(alice)
    make_job(alice, status=Status.COMPLETED, file_key="exports/1", **FINISHED)
    few = queries_of(client, path.format(job.pk))
    for _ in range(24):
        make_job(alice).shared_with.add(bob)
        make_job(alice, status=Status.COMPLETED, file_key="exports/1", **FINISHED)
    assert queries_of(client, path.format(job.pk)) == few
    assert few <= most


def test_recent_runs_are_mine_and_for_operators_everybodys(api: APIClient, alice: User, bob: User, olga: User) -> None:
    job = make_job(alice, status=Status.COMPLETED, **FINISHED)
    figures: dict[str, Any] = {"resource": "customers", "format": "csv", "strategy": "background"}
    chunks: dict[str, Any] = {"chunk_p50_ms": 3.5, "chunk_p95_ms": 8.0, "chunk_max_ms": 21.25}
    ExportPerformance.objects.create(
        job=job, owner=alice, rows=1_000_000, bytes=64_000_000, seconds=2.5, peak_memory_mb=101.5, **figures, **chunks
    )
    ExportPerformance.objects.create(job=None, owner=bob, rows=0, bytes=0, seconds=0, **figures)
    mine = api.get("/api/v1/exports/performance/").json()
    assert (mine["next"], mine["previous"]) == (None, None)
    run = mine["results"][0]
    assert run.pop("created_at") is not None
    assert [run] == [
        {
            "job": str(job.pk),
            "owner": "alice",
            "resource": "customers",
            "format": "csv",
            "strategy": "background",
            "rows": 1_000_000,
            "bytes": 64_000_000,
            "seconds": 2.5,
            "rows_per_second": 400_000,
            "chunk_p50_ms": 3.5,
            "chunk_p95_ms": 8.0,
            "chunk_max_ms": 21.25,
            "peak_memory_mb": 101.5,
        }
    ]
    api.force_authenticate(olga)
    everybodys = api.get("/api/v1/exports/performance/?page_size=1").json()
    assert [(each["owner"], each["rows_per_second"]) for each in everybodys["results"]] == [("bob", None)]
    assert everybodys["next"] is not None
