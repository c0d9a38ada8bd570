"""Runs that are interrupted: what is on record afterwards, and that the next run ends with the right file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import psycopg
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.contrib.auth.models import User
from django.db import OperationalError
from django.utils import timezone

from exports_app import connections, lifecycle, orphans, plan, questions, services
from exports_app.choices import Status
from exports_app.models import ExportJob
from exports_app.pipeline import errors
from exports_app.pipeline.sinks.s3_object import S3Object
from exports_app.pipeline.sources.sql import Query, SqlSource
from exports_app.pipeline.types import SqlRows
from exports_app.resources import RetryPolicy
from tests.jobs import FIVE_MIB, bucket, fill_customers, finish, read_object, request, upload_ids
from workers import lease, run
from workers.run import Run

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 220_000  # three parts and a rest


@pytest.fixture(autouse=True)
def clean_bucket() -> Iterator[None]:
    yield
    lease.draining.value = 0
    orphans.sweep()
    for job in ExportJob.objects.exclude(file_key=""):
        services.discard_file(job)


@pytest.fixture
def small_parts(settings: Any) -> None:
    settings.EXPORTS_PART_SIZE = FIVE_MIB
    settings.EXPORTS_STREAM_MAX_ROWS = 1_000_000
    fill_customers(ROWS)


def ask(user: User, **values: Any) -> ExportJob:
    return services.request_export(user, request(**values))[0]


def at_part(number: int, act: Callable[[Run], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have ``act`` happen once, between two chunks, when so many parts are on record."""
    check = Run._check
    done: list[bool] = []

    def checked(self: Run, heartbeat: Any) -> None:
        if not done and self.job.parts.count() >= number:
            done.append(True)
            act(self)
        check(self, heartbeat)

    monkeypatch.setattr(Run, "_check", checked)


def once(function: Callable[..., Any], error: Exception, *, first: bool) -> Callable[..., Any]:
    """The function, but its first call raises: before it does anything, or after it did all."""
    failed: list[bool] = []

    def act(*arguments: Any, **values: Any) -> Any:
        if failed:
            return function(*arguments, **values)
        failed.append(True)
        if not first:
            function(*arguments, **values)
        raise error

    return act


@pytest.mark.usefixtures("small_parts")
def test_a_replaced_run_that_fails_for_good_harms_nothing(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = ask(alice)

    def replaced(_: Run) -> None:
        ExportJob.objects.filter(pk=job.pk).update(claim=2)
        raise errors.BadQuery

    at_part(1, replaced, monkeypatch)
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.claim, job.error_code) == (Status.RUNNING, 2, "")
    assert upload_ids(job) == [job.upload_id]
    assert job.parts.count() >= 1


@pytest.mark.usefixtures("small_parts")
def test_a_replaced_run_removes_what_its_successor_gave_up(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = ask(alice)
    at_part(1, lambda _: ExportJob.objects.filter(pk=job.pk).update(claim=2, file_key="exports/x"), monkeypatch)
    run.run_next("exports")
    old = f"exports/{alice.pk}/{job.pk}.1.csv"
    assert not bucket().meta.client.list_multipart_uploads(Bucket=bucket().name, Prefix=old).get("Uploads")


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
def test_a_run_whose_process_is_ended_gives_the_job_back(
    alice: User, end: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = read_object(finish(alice))
    job = ask(alice)
    at_part(1, Mock(side_effect=end()), monkeypatch)
    with pytest.raises(end):
        run.run_next("exports")
    job.refresh_from_db()
    assert (job.status, job.failures, job.crashes) == (Status.QUEUED, 0, 0)
    assert goes_on(job) == undisturbed


def goes_on(job: ExportJob) -> bytes:
    """Run the job to its end; no part may be written twice."""
    before = list(job.parts.values_list("number", "etag", "claim"))
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.COMPLETED, "")
    assert list(job.parts.values_list("number", "etag", "claim"))[: len(before)] == before
    assert upload_ids(job) == []
    return read_object(job)


@pytest.mark.usefixtures("small_parts")
def test_a_worker_that_stops_hands_the_job_on_and_no_attempt_is_used(
    alice: User, monkeypatch: pytest.MonkeyPatch, silent_bell: list[str]
) -> None:
    undisturbed = read_object(finish(alice))
    job = ask(alice)
    silent_bell.clear()
    at_part(1, lambda _: setattr(lease.draining, "value", 1), monkeypatch)
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.failures, silent_bell) == (Status.QUEUED, 0, ["exports"])
    assert run.run_next("exports") is None  # it takes none any more, and passes the bell on
    assert silent_bell == ["exports", "exports"]
    lease.draining.value = 0
    assert goes_on(job) == undisturbed


@pytest.mark.usefixtures("small_parts")
def test_a_worker_that_stops_does_not_wait_for_a_slow_part(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "DRAIN_SECONDS", -1)
    job = ask(alice)
    at_part(0, lambda _: setattr(lease.draining, "value", 1), monkeypatch)
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.failures) == (Status.QUEUED, 0)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("step", ["record_parts", "record_snapshot", "begin_upload", "complete"])
@pytest.mark.parametrize("first", [True, False], ids=["lost before", "lost after"])
def test_a_commit_without_an_answer_costs_nothing(
    alice: User, step: str, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = read_object(finish(alice))
    job = ask(alice)
    gone = OperationalError("server closed the connection unexpectedly")
    with monkeypatch.context() as broken:
        broken.setattr(lifecycle, step, once(getattr(lifecycle, step), gone, first=first))
        decision = run.run_next("exports")
    job.refresh_from_db()
    if step == "complete" and not first:
        assert (decision, job.status) == (None, Status.COMPLETED)
        assert read_object(job) == undisturbed
        return
    assert decision is not None
    assert (job.status, job.failures, job.crashes, decision.counts) == (Status.QUEUED, 0, 0, False)
    ExportJob.objects.update(next_attempt_at=timezone.now())
    assert goes_on(job) == undisturbed


def test_a_source_that_cannot_be_reached_is_an_outage(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = ask_small(alice)
    monkeypatch.setattr(
        questions, "connect_source", once(connections.connect_source, psycopg.OperationalError("no"), first=True)
    )
    assert run.run_next("exports") is not None
    job.refresh_from_db()
    assert (job.status, job.failures, job.error_code) == (Status.QUEUED, 0, "database_unavailable")
    ExportJob.objects.update(next_attempt_at=timezone.now())
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.row_count) == (Status.COMPLETED, 10)


def test_a_database_that_is_away_at_the_end_is_waited_for(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "connect_source", Mock(side_effect=psycopg.OperationalError("refused")))
    gone = OperationalError("server closed the connection unexpectedly")
    monkeypatch.setattr(lifecycle, "retry_later", once(lifecycle.retry_later, gone, first=True))
    job = ask_small(alice)
    decision = run.run_next("exports")
    job.refresh_from_db()
    assert decision is not None
    assert (job.status, job.failures, job.outage_since is not None) == (Status.QUEUED, 0, True)


def ask_small(user: User) -> ExportJob:
    fill_customers(10)
    return ask(user)


@pytest.mark.usefixtures("small_parts")
def test_a_store_that_never_has_what_was_written_is_not_tried_for_ever(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ask(alice)
    monkeypatch.setattr(S3Object, "prove", Mock(side_effect=errors.Mismatch()))
    runs = 0
    while run.run_next("exports") is not None:
        runs += 1
        ExportJob.objects.update(next_attempt_at=timezone.now())
    job.refresh_from_db()
    assert (runs, job.status, job.error_code) == (2, Status.FAILED, "storage_unavailable")


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (MemoryError(), "memory_limit", Status.FAILED),
        (SoftTimeLimitExceeded(), "database_unavailable", Status.QUEUED),
        (errors.UploadLost(), "storage_unavailable", Status.QUEUED),
        (errors.StorageUnavailable(), "storage_unavailable", Status.QUEUED),
        (ZeroDivisionError(), "internal", Status.FAILED),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_an_error_amid_a_run_leads_to(
    alice: User, error: Exception, code: str, status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ask_small(alice)
    at_part(0, Mock(side_effect=error), monkeypatch)
    decision = run.run_next("exports")
    job.refresh_from_db()
    assert (job.status, job.error_code, decision is not None) == (status, code, status == Status.QUEUED)
    assert ("ZeroDivisionError" in job.error_trace) == isinstance(error, ZeroDivisionError)
    assert "ZeroDivision" not in job.error_detail
    assert upload_ids(job) == []


def test_a_file_that_cannot_be_gone_on_with_has_its_time(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = ask_small(alice)
    one_piece(monkeypatch)
    monkeypatch.setattr(run, "ONE_PIECE_SECONDS", -1)
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.FAILED, "time_limit")


def one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no run could go on with the format."""
    make = plan.make_plan

    def made(*arguments: Any, **named: Any) -> Any:
        whole = make(*arguments, **named)
        return replace(whole, format=replace(whole.format, resumable=False))

    monkeypatch.setattr(run, "make_plan", made)


@pytest.mark.usefixtures("small_parts")
def test_a_file_that_cannot_be_gone_on_with_starts_over(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = read_object(finish(alice))
    job = ask(alice)
    one_piece(monkeypatch)
    at_part(1, Mock(side_effect=errors.DatabaseBusy()), monkeypatch)
    assert run.run_next("exports") is not None
    job.refresh_from_db()
    assert job.failures == 1
    ExportJob.objects.update(next_attempt_at=timezone.now())
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.upload_number, {part.claim for part in job.parts.all()}) == (Status.COMPLETED, 2, {2})
    assert read_object(job) == undisturbed


def test_a_resource_with_delays_of_its_own_is_tried_by_them(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    from exportsite.samples.exports import CustomerExport

    monkeypatch.setattr(CustomerExport, "retry", RetryPolicy(attempts=2, first_delay=30.0))
    job = ask_small(alice)
    at_part(0, Mock(side_effect=errors.DatabaseBusy()), monkeypatch)
    decision = run.run_next("exports")
    job.refresh_from_db()
    assert decision is not None
    assert 15 <= decision.delay <= 30
    assert (job.max_attempts, job.failures) == (2, 1)


LINES = SqlRows(expressions=("c1", "c2"), copy_options="FORMAT csv", delimiter=b",", joint=b"\n", end=b"\n")
SLOW = """
CREATE TABLE numbers AS SELECT n::int FROM generate_series(1, 1000) AS n;
ALTER TABLE numbers ADD PRIMARY KEY (n);
ANALYZE numbers;
CREATE FUNCTION slowly(n int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN PERFORM pg_sleep(0.002); RETURN n; END'
"""


def test_a_chunk_that_takes_too_long_is_halved_on_the_same_snapshot(db: None) -> None:
    query = Query(text="SELECT n, slowly(n), n FROM numbers", columns=2, keys=1, proven_key=True)
    with psycopg.connect(**database(), autocommit=True) as other:
        other.execute(SLOW)
        try:
            source = SqlSource(psycopg.connect(**database()), query, LINES, chunk_rows=800, statement_timeout=1)
            with closing(source):
                other.execute("DELETE FROM numbers WHERE n > 900")
                chunks = list(iter(lambda: source.read(10_000), None))
        finally:
            other.execute("DROP TABLE numbers; DROP FUNCTION slowly")
    # The rows of the first moment, none twice.
    lines = b"".join(chunk.data for chunk in chunks).split()
    assert lines == [f"{n},{n}".encode() for n in range(1, 1001)]
    assert max(chunk.rows for chunk in chunks) <= 400


def database() -> dict[str, Any]:
    from django.db import connection

    given = connection.get_connection_params()
    return {name: given[name] for name in ("dbname", "user", "password", "host", "port")}
