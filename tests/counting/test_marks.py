"""What is stored so far is counted while a run goes on, and a later run counts only the rest.

Nothing here depends on the pace of storage or count: each part is awaited, and its count as well.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, models

from exports_app.models import ExportEvent, ExportJob, ExportPart
from exports_app.pipeline.sinks.s3 import S3Sink
from exports_app.pipeline.sources import counting
from exports_app.pipeline.sources.counting import RowCounter
from exports_app.pipeline.sources.sql import SqlSource
from exports_app.pipeline.types import Chunk, Cursor
from exports_app.plan import Plan
from exports_app.resources import Resource, register, registry
from tests.counting.test_resumed import ROWS, ask, parts, run_to
from workers import run
from workers.lease import Drained
from workers.run import Run

__all__ = ["parts"]
pytestmark = pytest.mark.django_db(transaction=True)
SECONDS = 30


@pytest.fixture(autouse=True)
def in_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part is stored before the next chunk is read, marked at once, and counted before the run goes on."""
    monkeypatch.setattr(counting, "BESIDE_SECONDS", 0.0)
    monkeypatch.setattr(run, "PROGRESS_SECONDS", 0.0)
    put, mark, answer = S3Sink.put, RowCounter.mark, threading.Condition()

    def stored(self: S3Sink, part: Any, *, last: bool) -> None:
        put(self, part, last=last)
        self.flush()

    def counted(self: RowCounter, rows: int, cursor: Cursor | None) -> None:
        assert self._done.wait(SECONDS)
        self._next_mark = 0.0
        mark(self, rows, cursor)
        with answer:
            while self._confirmed is None and self._failure is None and self._doubt is None:
                answer.wait(0.01)

    monkeypatch.setattr(S3Sink, "put", stored)
    monkeypatch.setattr(RowCounter, "mark", counted)


class Passing(models.Model):
    name = models.CharField(max_length=100)
    email = models.CharField(max_length=100)

    class Meta:
        app_label = "marks"
        managed = False
        db_table = "marks_passing"


@pytest.fixture
def passing() -> Iterator[None]:
    """A view that ten rows leave in each millisecond, in the order of their key; a quarter of them has left."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT now() - (min(id) + count(*) / 4) * interval '100 us' FROM samples_customer")
        (first,) = cursor.fetchone()
        cursor.execute(f"""
            CREATE VIEW marks_passing AS SELECT * FROM samples_customer
             WHERE '{first.isoformat()}'::timestamptz + id * interval '100 us' > now()""")
    register("passing")(type("PassingRows", (Resource,), {"model": Passing, "columns": ("id", "name", "email")}))
    yield
    registry.unregister("passing")
    with connection.cursor() as cursor:
        cursor.execute("DROP VIEW marks_passing")


@pytest.fixture
def drained(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first run ends as soon as a count is on its row."""
    check, ended = Run._check, threading.Event()

    def stop(self: Run, heartbeat: Any) -> None:
        check(self, heartbeat)
        if not ended.is_set() and ExportJob.objects.get(pk=self.job.pk).rows_counted is not None:
            ended.set()
            raise Drained

    monkeypatch.setattr(Run, "_check", stop)


def test_a_later_run_counts_only_what_no_mark_has_confirmed(
    alice: User, drained: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = run_to(ask(alice), "queued")
    first = ExportPart.objects.get(job=job, number=1)
    assert job.rows_counted == first.rows
    assert 40_000 < first.rows < 70_000
    asked: list[Any] = []
    count_stored = Plan.count_stored

    def spy(self: Plan, after: Cursor | None, upto: Cursor, last: Cursor | None) -> int:
        asked.append(after)
        return count_stored(self, after, upto, last)

    monkeypatch.setattr(Plan, "count_stored", spy)
    job = run_to(job, "completed")
    assert (job.row_count, job.rows_verified) == (ROWS, True)
    assert asked == []  # all that was stored had been confirmed


def test_a_fault_that_the_sum_hides_is_found_by_its_mark(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """One chunk dropped and another one doubled are as many rows as there should be."""
    read = SqlSource.read
    chunks: list[Chunk | None] = []

    def faulty(self: SqlSource, limit: int) -> Chunk | None:
        if len(chunks) == 50:
            chunks.append(chunks[-1])
            return chunks[-1]
        chunks.append(read(self, limit))
        return read(self, limit) if len(chunks) == 2 else chunks[-1]

    monkeypatch.setattr(SqlSource, "read", faulty)
    job = ask(alice)
    again = run.run_next("exports")
    assert again is not None
    assert again.code == "incomplete"
    (retry,) = ExportEvent.objects.filter(job=job, kind="retry")
    assert retry.data["detail"].startswith("The file's first ")
    job.refresh_from_db()
    assert job.rows_counted is None


def test_a_view_that_looks_at_the_clock_is_marked_by_a_connection_that_began_later(
    alice: User, passing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = run_to(ask(alice, resource="passing"), "completed")
    assert (job.rows_verified, job.failures) == (True, 0)
    assert 0 < (job.row_count or 0) < ROWS
