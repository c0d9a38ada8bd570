"""Counts of exports that several runs wrote, each at a moment of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection

from exports_app import services
from exports_app.models import ExportJob
from exports_app.pipeline.sources import counting
from exports_app.pipeline.sources.sql import SqlSource
from exports_app.pipeline.types import Cursor
from exports_app.plan import Plan
from tests.jobs import FIVE_MIB, fill_customers, read_object, request
from workers import lease, run
from workers.run import Run

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 120_000  # two parts and a rest


@pytest.fixture(autouse=True)
def parts(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Chunks so small that a part is stored while there are rows left to read."""
    monkeypatch.setattr("exports_app.pipeline.sources.sql.MAX_CHUNK_ROWS", 2_000)
    settings.EXPORTS_PART_SIZE = FIVE_MIB
    settings.EXPORTS_STREAM_MAX_ROWS = 1_000_000
    fill_customers(ROWS)
    yield
    lease.draining.value = 0
    for job in ExportJob.objects.exclude(file_key=""):
        services.discard_file(job)


def ask(user: User, **values: Any) -> ExportJob:
    return services.request_export(user, request(**values))[0]


def run_to(job: ExportJob, status: str) -> ExportJob:
    ExportJob.objects.update(next_attempt_at=None)
    run.run_next("exports")
    job.refresh_from_db()
    assert job.status == status, (job.error_code, job.error_detail)
    return job


def break_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the first run end behind its first part."""
    reason = Run._stop_reason
    stopped: list[bool] = []

    def stop(self: Run) -> str | None:
        if stopped:
            return reason(self)
        stopped.append(True)
        return "slice"

    monkeypatch.setattr(Run, "_stop_reason", stop)


def change(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def lines(job: ExportJob) -> list[bytes]:
    return read_object(job).splitlines()[1:]


def test_what_was_stored_before_is_counted_as_it_is_now(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = ask(alice)
    break_off(monkeypatch)
    assert run_to(job, "queued").rows_counted is None
    job = run_to(job, "completed")
    assert (job.row_count, job.rows_verified, len(job.snapshots)) == (ROWS, True, 2)
    assert job.upload_number == 1
    assert len(set(lines(job))) == ROWS


def test_rows_that_changed_since_are_written_again(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = ask(alice)
    break_off(monkeypatch)
    run_to(job, "queued")
    change("DELETE FROM samples_customer WHERE name = (SELECT min(name) FROM samples_customer WHERE id % 7 = 0)")
    change("DELETE FROM samples_customer WHERE id IN (SELECT id FROM samples_customer ORDER BY id LIMIT 10)")
    job = run_to(job, "completed")
    assert (job.row_count, job.rows_verified, job.upload_number) == (ROWS - 11, True, 2)
    assert len(lines(job)) == ROWS - 11


def test_rows_that_came_behind_the_last_one_are_not_part_of_it(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = ask(alice)
    break_off(monkeypatch)
    run_to(job, "queued")
    fill_customers(1_000)
    job = run_to(job, "completed")
    assert (job.row_count, job.rows_verified, job.upload_number) == (ROWS, True, 1)


def test_a_limit_is_counted_over_all_runs(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = ask(alice, limit=100_000)
    break_off(monkeypatch)
    run_to(job, "queued")
    job = run_to(job, "completed")
    assert (job.row_count, job.rows_verified) == (100_000, True)


def test_a_workbook_goes_on_in_the_middle_of_a_sheet(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_customers(ROWS)
    job = ask(alice, format="xlsx")
    break_off(monkeypatch)
    run_to(job, "queued")
    job = run_to(job, "completed")
    assert (job.row_count, job.rows_verified) == (2 * ROWS, True)


def test_a_cursor_that_was_cut_on_its_way_is_found(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind of fault that lost rows of keys of the type char: a bound that is not the key of the last row."""
    job = ask(alice)
    break_off(monkeypatch)
    read = SqlSource.read

    def cut(self: SqlSource, limit: int) -> Any:
        chunk = read(self, limit)
        if chunk is not None:
            object.__setattr__(chunk, "cursor", (str(int(chunk.cursor[0]) - 5),))
        return chunk

    monkeypatch.setattr(SqlSource, "read", cut)
    run_to(job, "queued")
    monkeypatch.setattr(SqlSource, "read", read)
    job = run_to(job, "completed")
    assert (job.row_count, job.rows_verified) == (ROWS, True)
    assert len(set(lines(job))) == ROWS


def test_a_stored_count_that_takes_too_long_leaves_the_export_unverified(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ask(alice)
    break_off(monkeypatch)
    run_to(job, "queued")

    def late(self: Plan, after: Cursor | None, upto: Cursor, last: Cursor | None) -> int:
        raise counting.Uncounted(counting.too_long(60))

    monkeypatch.setattr(Plan, "count_stored", late)
    job = run_to(job, "completed")
    assert (job.row_count, job.rows_verified) == (ROWS, None)
    assert job.warnings == ["The number of rows was not verified: the count took more than 60 seconds."]


def test_without_a_second_connection_the_first_one_counts(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "BESIDE_SECONDS", 0.0)
    refused: list[bool] = []

    def beside(self: SqlSource) -> psycopg.Connection[Any]:
        refused.append(True)
        raise psycopg.OperationalError("too many connections")

    monkeypatch.setattr(SqlSource, "beside", beside)
    job = run_to(ask(alice), "completed")
    assert (job.row_count, job.rows_verified, refused) == (ROWS, True, [True])
