"""Ten million rows are counted as well: those of one run, and those of three.

With ``TEN_MILLION_ROWS=1`` alone: it takes two minutes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, models

from exports_app import services
from exports_app.models import ExportJob
from exports_app.pipeline.errors import DatabaseUnavailable
from exports_app.resources import Resource, register, registry
from tests.jobs import FIVE_MIB, bucket, request
from workers import run
from workers.run import Run

pytestmark = [
    pytest.mark.skipif(not os.environ.get("TEN_MILLION_ROWS"), reason="TEN_MILLION_ROWS=1 runs it"),
    pytest.mark.django_db(transaction=True),
]
ROWS = 10_000_000


class Reading(models.Model):
    objects: Any = models.Manager()
    value = models.IntegerField()

    class Meta:
        app_label = "counting"
        managed = False
        db_table = "counting_readings"


@pytest.fixture(scope="module", autouse=True)
def readings(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    register("readings")(type("Readings", (Resource,), {"model": Reading, "columns": ("id", "value")}))
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "CREATE UNLOGGED TABLE counting_readings AS "
            f"SELECT n::bigint AS id, n * 7 % 1000 AS value FROM generate_series(1, {ROWS}) AS n"
        )
        cursor.execute("ALTER TABLE counting_readings ADD PRIMARY KEY (id)")
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("DROP TABLE counting_readings")
    registry.unregister("readings")


@pytest.fixture
def job(alice: User, settings: Any) -> Iterator[ExportJob]:
    """A file of 23 parts."""
    settings.EXPORTS_PART_SIZE = FIVE_MIB
    job, _ = services.request_export(alice, request("readings"))
    yield job
    job.refresh_from_db()
    services.discard_file(job)


def run_to(job: ExportJob, status: str) -> ExportJob:
    ExportJob.objects.update(next_attempt_at=None)
    run.run_next(job.queue)
    job.refresh_from_db()
    assert job.status == status, (job.error_code, job.error_detail)
    return job


def is_whole(job: ExportJob) -> bool:
    """Whether the file has each number once, in order."""
    expected = 0
    with closing(bucket().Object(job.file_key).get()["Body"]) as body:
        lines = body.iter_lines(chunk_size=FIVE_MIB)
        assert next(lines) == b'"ID",Value'
        for expected, line in enumerate(lines, 1):
            assert line == b"%d,%d" % (expected, expected * 7 % 1000)
    return expected == ROWS


def test_a_file_of_one_run(job: ExportJob) -> None:
    job = run_to(job, "completed")
    assert (job.row_count, job.rows_verified, job.warnings, job.upload_number) == (ROWS, True, [], 1)
    assert is_whole(job)


def test_a_file_of_three_runs(job: ExportJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is handed on, the second loses the database."""
    ended: list[int] = []

    def stop(self: Run) -> str | None:
        ended.append(len(ended) + 1)
        if ended[-1] == 18:
            raise DatabaseUnavailable
        return "slice" if ended[-1] == 9 else None

    monkeypatch.setattr(Run, "_stop_reason", stop)
    first = run_to(job, "queued").rows_done
    second = run_to(job, "queued").rows_done
    assert 0 < first < second < ROWS
    job = run_to(job, "completed")
    assert (job.row_count, job.rows_verified, job.warnings, job.upload_number) == (ROWS, True, [], 1)
    assert len(job.snapshots) == 3
    assert is_whole(job)
