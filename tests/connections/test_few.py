"""A server with few connections left: a run does without those it can spare, and waits for those it cannot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now

from exports_app import services
from exports_app.choices import Status
from exports_app.models import ExportJob
from exports_app.pipeline.sources import counting
from tests.connections.limiting import connections_of_database
from tests.jobs import fill_customers, request
from workers import run

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 20_000


@pytest.fixture
def job(alice: User) -> Iterator[ExportJob]:
    fill_customers(ROWS)
    asked = services.request_export(alice, request())[0]
    yield asked
    asked.refresh_from_db()
    services.discard_file(asked)


def test_without_one_to_read_by_it_waits_as_for_an_outage(job: ExportJob) -> None:
    with connections_of_database(1):
        assert run.run_next("exports") is not None
    job.refresh_from_db()
    assert (job.status, job.error_code, job.failures, job.crashes) == (Status.QUEUED, "database_unavailable", 0, 0)
    assert job.outage_since is not None
    ExportJob.objects.update(next_attempt_at=Now())
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.row_count, job.rows_verified) == (Status.COMPLETED, ROWS, True)


@pytest.mark.parametrize("most", [2, 3, 4])
def test_without_one_to_count_by_it_counts_where_it_has_read(
    job: ExportJob, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(counting, "BESIDE_SECONDS", 0.0)
    with connections_of_database(most):
        assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.row_count, job.rows_verified) == (Status.COMPLETED, ROWS, True)
    assert (job.failures, job.crashes, job.claim) == (0, 0, 1)
