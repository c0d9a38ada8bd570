"""What is stored so far is counted while a run goes on, and a later run counts only the rest.

Nothing here depends on the pace of storage or count: each part is awaited, and its count as well.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.contrib.auth.models import User

from exports_app.models import ExportEvent, ExportJob, ExportPart
from exports_app.pipeline.sinks.s3 import S3Sink
from exports_app.pipeline.sources import counting
from exports_app.pipeline.sources.counting import RowCounter
from exports_app.pipeline.sources.sql import SqlSource
from exports_app.pipeline.types import Chunk, Cursor
from exports_app.plan import Plan
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
            while self._confirmed is None and self._failure is None:
                answer.wait(0.01)

    monkeypatch.setattr(S3Sink, "put", stored)
    monkeypatch.setattr(RowCounter, "mark", counted)


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


def test_a_mark_that_disagrees_ends_the_run_before_its_last_row(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    read = SqlSource.read
    reads: list[int] = []

    def dropped(self: SqlSource, limit: int) -> Chunk | None:
        chunk = read(self, limit)
        reads.append(chunk.rows if chunk else 0)
        return read(self, limit) if len(reads) == 2 else chunk

    monkeypatch.setattr(SqlSource, "read", dropped)
    job = ask(alice)
    again = run.run_next("exports")
    assert again is not None
    assert again.code == "incomplete"
    (retry,) = ExportEvent.objects.filter(job=job, kind="retry")
    assert retry.data["detail"].startswith("The file has ")
    assert " rows so far, and the database counts " in retry.data["detail"]
    assert sum(reads) < ROWS * 2 // 3
