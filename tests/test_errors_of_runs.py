"""What each error leads to: terminal ones end the job after one run, the others are tried again and pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from exports_app import services
from exports_app.choices import EventKind, Status
from exports_app.models import ExportJob
from exports_app.pipeline import errors
from exports_app.pipeline.errors import PipelineError
from exports_app.pipeline.sources.sql import Query, SqlSource
from tests.jobs import fill_customers, request
from tests.test_interrupted import LINES, database
from workers import run
from workers.run import Run
from workers.tasks import TERMINAL

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def job(alice: User) -> Iterator[ExportJob]:
    fill_customers(10)
    asked = services.request_export(alice, request())[0]
    yield asked
    asked.refresh_from_db()
    services.discard_file(asked)


def failing(times: int, error: PipelineError, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the next runs fail amid their work, ``times`` times."""
    check, failed = Run._check, [error] * times

    def checked(self: Run, heartbeat: Any) -> None:
        if failed:
            raise failed.pop()
        check(self, heartbeat)

    monkeypatch.setattr(Run, "_check", checked)


def due(job: ExportJob, **values: Any) -> None:
    ExportJob.objects.filter(pk=job.pk).update(next_attempt_at=timezone.now(), **values)


def runs(job: ExportJob) -> int:
    return job.events.filter(kind__in=[EventKind.STARTED, EventKind.RESUMED]).count()


def delay(job: ExportJob) -> float:
    """Seconds until the next run, as the row says; the last retry's event must say the same."""
    job.refresh_from_db()
    last = job.events.filter(kind=EventKind.RETRY).latest("id")
    assert job.next_attempt_at is not None
    assert abs((job.next_attempt_at - last.at).total_seconds() - last.data["delay"]) < 0.1
    return float(last.data["delay"])


@pytest.mark.parametrize("kind", [*TERMINAL, PipelineError], ids=lambda kind: kind.__name__)
def test_a_terminal_error_has_exactly_one_run(
    job: ExportJob, kind: type[PipelineError], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(1, kind(), monkeypatch)
    assert run.run_next("exports") is None
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.error_code, runs(job)) == (Status.FAILED, kind.code, 1)
    assert job.next_attempt_at is None


@pytest.mark.parametrize("kind", [errors.DatabaseBusy, errors.UploadLost, errors.Mismatch], ids=lambda k: k.__name__)
def test_an_error_that_may_pass_is_tried_again_by_the_delays_and_succeeds(
    job: ExportJob, kind: type[PipelineError], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(2, kind(), monkeypatch)
    for failures, least, most in [(1, 0.25, 0.5), (2, 0.5, 1.0)]:
        decision = run.run_next("exports")
        assert decision is not None
        assert least <= decision.delay <= most
        assert decision.delay == pytest.approx(delay(job), abs=0.001)
        assert (job.status, job.failures, job.error_code) == (Status.QUEUED, failures, kind.code)
        due(job)
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.error_code, job.row_count, runs(job)) == (Status.COMPLETED, "", 10, 3)


@pytest.mark.parametrize("kind", [errors.DatabaseBusy, errors.UploadLost, errors.Mismatch], ids=lambda k: k.__name__)
def test_an_error_that_does_not_pass_ends_the_job_at_its_third_run(
    job: ExportJob, kind: type[PipelineError], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(3, kind(), monkeypatch)
    while run.run_next("exports"):
        due(job)
    job.refresh_from_db()
    assert (job.status, job.error_code, runs(job)) == (Status.FAILED, kind.code, 3)


@pytest.mark.parametrize("kind", [errors.DatabaseUnavailable, errors.StorageUnavailable], ids=lambda k: k.__name__)
def test_an_outage_is_waited_out_with_growing_delays_and_uses_no_attempt(
    job: ExportJob, kind: type[PipelineError], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(4, kind(), monkeypatch)
    for away, least, most in [(0, 0.25, 0.5), (2, 2, 4), (10, 8, 16), (600, 15, 30)]:  # seconds
        if away:
            due(job, outage_since=timezone.now() - timedelta(seconds=away))
        decision = run.run_next("exports")
        assert decision is not None
        assert least <= delay(job) <= most, f"away for {away} s"
        assert (job.status, job.failures, decision.counts) == (Status.QUEUED, 0, False)
    due(job)
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.failures, job.crashes, runs(job)) == (Status.COMPLETED, 0, 0, 5)


@pytest.mark.parametrize("kind", [errors.DatabaseUnavailable, errors.StorageUnavailable], ids=lambda k: k.__name__)
def test_an_outage_that_does_not_end_ends_the_job(
    job: ExportJob, kind: type[PipelineError], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(2, kind(), monkeypatch)
    assert run.run_next("exports") is not None
    due(job, outage_since=timezone.now() - timedelta(seconds=901))
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.error_code, job.failures) == (Status.FAILED, kind.code, 0)


FAILING = """
CREATE FUNCTION fail_at(n int, code text) RETURNS int LANGUAGE plpgsql STABLE AS
'BEGIN IF n = 700 THEN RAISE EXCEPTION USING ERRCODE = code; END IF; RETURN n; END'
"""


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("40001", errors.DatabaseBusy),  # a recovery conflict on a replica, of any kind
        ("40P01", errors.DatabaseBusy),  # deadlock
        ("55P03", errors.DatabaseBusy),  # lock_timeout
        ("57014", errors.DatabaseBusy),  # cancelled by an operator
        ("25P03", errors.DatabaseBusy),  # idle_in_transaction_session_timeout
        ("25P04", errors.DatabaseBusy),  # transaction_timeout
        ("53400", errors.DatabaseBusy),  # temp_file_limit
        ("55006", errors.DatabaseBusy),  # in use
        ("53000", errors.DatabaseUnavailable),  # no file to be opened any more
        ("53100", errors.DatabaseUnavailable),  # disk full
        ("53200", errors.DatabaseUnavailable),  # out of memory
        ("53300", errors.DatabaseUnavailable),  # too many connections
        ("57P02", errors.DatabaseUnavailable),  # another process crashed
        ("57P03", errors.DatabaseUnavailable),  # starts or recovers
        ("58030", errors.DatabaseUnavailable),  # the disk failed
        ("57P01", errors.DatabaseUnavailable),  # shut down
        ("57P04", errors.DatabaseUnavailable),  # dropped, as the replica replays it
        ("22012", errors.BadQuery),  # division by zero
        ("42501", errors.BadQuery),  # no privilege
        ("25006", errors.BadQuery),  # a query that writes
        ("54001", errors.BadQuery),  # deeper than the stack
    ],
)
def test_what_postgresql_answers_amid_a_copy_is_an_error_of_the_pipeline(code: str, kind: type[PipelineError]) -> None:
    text = f"SELECT n, fail_at(n, '{code}'), n FROM generate_series(1, 1000) AS n"
    query = Query(text=text, columns=2, keys=1, proven_key=True)
    with psycopg.connect(**database(), autocommit=True) as other:
        other.execute(FAILING)
        try:
            source = SqlSource(psycopg.connect(**database()), query, LINES, chunk_rows=100)
            with closing(source), pytest.raises(kind):
                list(iter(lambda: source.read(100), None))
        finally:
            other.execute("DROP FUNCTION fail_at")
