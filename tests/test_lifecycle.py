"""Moves of a job: who may make them, and that a late one changes nothing."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from exports_app import lifecycle, progress
from exports_app.choices import Status
from exports_app.lifecycle import LeaseLost
from exports_app.models import ExportEvent, ExportJob, ExportPart
from exports_app.pipeline.types import StoredPart
from tests.jobs import claim, make_job


def stored(number: int) -> StoredPart:
    return StoredPart(number=number, etag="e", offset=0, size=10, rows=number, cursor=(str(number),), crc32=1, state={})


def test_a_claim_takes_the_oldest_job_of_its_queue(alice: User) -> None:
    first = make_job(alice)
    make_job(alice)
    make_job(alice, queue="exports.large")
    job = claim()
    assert (job.pk, job.status, job.claim) == (first.pk, Status.RUNNING, 1)
    assert job.lease_expires_at is not None


def test_the_owner_with_the_fewest_running_jobs_is_next(alice: User, bob: User) -> None:
    for _ in range(3):
        make_job(alice)
    late = make_job(bob)
    assert claim().owner == alice
    assert claim().pk == late.pk


def test_a_job_that_is_not_due_waits(alice: User) -> None:
    job = make_job(alice)
    taken = claim()
    lifecycle.retry_later(taken, delay=60, code="database_unavailable", detail="away", counts=True)
    assert lifecycle.claim_next("exports", "test") is None
    job.refresh_from_db()
    assert (job.status, job.failures) == (Status.QUEUED, 1)


def test_no_more_jobs_run_than_the_source_bears(alice: User, settings: Any) -> None:
    settings.EXPORTS_SOURCE_MAX_RUNNING = 1
    make_job(alice)
    make_job(alice)
    claim()
    assert lifecycle.claim_next("exports", "test") is None


@pytest.mark.django_db(transaction=True)
def test_twelve_workers_at_once_take_one_job_once(alice: User) -> None:
    make_job(alice)
    taken: list[ExportJob] = []
    ready = threading.Barrier(12)

    def take() -> None:
        ready.wait()
        job = lifecycle.claim_next("exports", "test")
        if job is not None:
            taken.append(job)
        connection.close()

    threads = [threading.Thread(target=take) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1


def test_a_worker_that_was_replaced_can_write_nothing(alice: User) -> None:
    make_job(alice)
    late = claim()
    ExportJob.objects.update(lease_expires_at="2020-01-01T00:00:00Z")
    assert len(lifecycle.take_back_lost()) == 1
    claim()
    with pytest.raises(LeaseLost):
        lifecycle.renew(late, rows_done=5)
    with pytest.raises(LeaseLost):
        lifecycle.record_parts(late, [stored(1)])
    with pytest.raises(LeaseLost):
        lifecycle.complete(late, ttl=60, row_count=1, file_size=1, crc32="00000000")
    with pytest.raises(LeaseLost):
        lifecycle.fail(late, code="internal", detail="late")
    with pytest.raises(LeaseLost):
        lifecycle.hand_on(late, "late")
    now = ExportJob.objects.get()
    assert (now.status, now.claim, now.rows_done, now.crashes) == (Status.RUNNING, 2, 0, 1)
    assert ExportPart.objects.count() == 0


def test_a_recorded_part_gives_back_the_budget(alice: User) -> None:
    make_job(alice, failures=2, crashes=2)
    job = claim()
    lifecycle.record_parts(job, [stored(1), stored(2)], rows_done=2)
    job.refresh_from_db()
    assert (job.failures, job.crashes, job.rows_done) == (0, 0, 2)
    assert [part.claim for part in job.parts.all()] == [1, 1]


def test_the_third_lost_worker_ends_the_job(alice: User) -> None:
    make_job(alice)
    for _ in range(3):
        claim()
        ExportJob.objects.update(lease_expires_at="2020-01-01T00:00:00Z")
        lifecycle.take_back_lost()
    job = ExportJob.objects.get()
    assert (job.status, job.error_code, job.crashes) == (Status.FAILED, "worker_lost", 3)


def test_a_cancelled_job_stops_its_worker(alice: User) -> None:
    make_job(alice)
    job = claim()
    assert lifecycle.cancel(job.pk) is True
    assert lifecycle.cancel(job.pk) is False
    with pytest.raises(LeaseLost):
        lifecycle.renew(job)
    assert list(ExportEvent.objects.values_list("kind", flat=True)) == ["started", "cancelled"]


def test_a_persons_retry_starts_over(alice: User) -> None:
    make_job(alice)
    job = claim()
    lifecycle.record_parts(job, [stored(1)], rows_done=1)
    lifecycle.fail(job, code="bad_query", detail="no")
    assert lifecycle.restart(job.pk) is True
    job.refresh_from_db()
    assert (job.status, job.error_code, job.rows_done, job.parts.count()) == (Status.QUEUED, "", 0, 0)
    assert lifecycle.restart(job.pk) is False


def test_the_bell_rings_once_for_jobs_that_nobody_took(alice: User) -> None:
    make_job(alice)
    make_job(alice)
    make_job(alice, queue="exports.large")
    assert lifecycle.due_queues() == {"exports": 2, "exports.large": 1}
    assert lifecycle.due_queues() == {}


@pytest.mark.parametrize(
    "values",
    [
        {"status": "finished"},
        {"status": "running"},
        {"status": "completed"},
        {"status": "failed"},
        {"queue": "exports.huge"},
        {"strategy": "magic"},
    ],
    ids=str,
)
def test_the_database_refuses_what_must_never_be(alice: User, values: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make_job(alice, **values)


def test_one_idempotency_key_of_a_user_stands_once(alice: User, bob: User) -> None:
    make_job(alice, idempotency_key="k")
    make_job(bob, idempotency_key="k")
    with pytest.raises(IntegrityError), transaction.atomic():
        make_job(alice, idempotency_key="k")


def test_a_move_that_no_state_allows_is_a_bug() -> None:
    with pytest.raises(ValueError, match="expired cannot become running"):
        lifecycle._try(ExportJob.objects.none(), Status.EXPIRED, Status.RUNNING)


def test_a_queue_serves_the_owner_who_waits_longest(alice: User, bob: User) -> None:
    many = [make_job(alice) for _ in range(3)]
    one = make_job(bob)
    order = []
    for _ in range(4):
        job = claim()
        order.append(job.pk)
        lifecycle.fail(job, code="internal", detail="done")
    assert order == [many[0].pk, one.pk, many[1].pk, many[2].pk]


def test_who_had_a_slice_comes_behind_who_waits(alice: User, bob: User) -> None:
    make_job(alice)
    make_job(bob)
    turns = []
    for _ in range(4):
        job = claim()
        turns.append(job.owner)
        lifecycle.hand_on(job, "slice")
    assert turns == [alice, bob, alice, bob]


def test_the_position_shown_is_the_order_of_the_claims(alice: User, bob: User) -> None:
    jobs = [make_job(alice), make_job(alice), make_job(bob)]
    assert progress.places(jobs) == {jobs[0].pk: 1, jobs[1].pk: 3, jobs[2].pk: 2}
    assert [claim().pk for _ in jobs] == [jobs[0].pk, jobs[2].pk, jobs[1].pk]


def test_large_exports_leave_the_last_place_to_small_ones(alice: User, settings: Any) -> None:
    settings.EXPORTS_SOURCE_MAX_RUNNING = 2
    make_job(alice, queue="exports.large")
    make_job(alice, queue="exports.large")
    make_job(alice)
    claim("exports.large")
    assert lifecycle.claim_next("exports.large", "test") is None
    assert claim().queue == "exports"


def test_a_claim_whose_answer_was_lost_is_found_by_its_worker(alice: User) -> None:
    make_job(alice)
    job = lifecycle.claim_next("exports", "host:1:abcd")
    assert lifecycle.claimed_by("host:1:abcd") == job
    assert lifecycle.claimed_by("host:1:other") is None


def test_a_replaced_worker_forgets_no_part_of_its_successor(alice: User) -> None:
    make_job(alice)
    late = claim()
    ExportJob.objects.update(lease_expires_at="2020-01-01T00:00:00Z")
    lifecycle.take_back_lost()
    lifecycle.record_parts(claim(), [stored(1), stored(2)])
    with pytest.raises(LeaseLost):
        lifecycle.keep_parts(late, 0)
    with pytest.raises(LeaseLost):
        lifecycle.retry_later(late, delay=1, code="x", detail="", counts=True, starts_over=True)
    assert ExportPart.objects.count() == 2


def test_parts_that_no_run_can_go_on_behind_give_back_no_budget(alice: User) -> None:
    make_job(alice, failures=2, crashes=2)
    job = claim()
    lifecycle.record_parts(job, [stored(1)], lasting=False)
    job.refresh_from_db()
    assert (job.failures, job.crashes) == (2, 2)


def test_a_run_knows_that_its_part_gave_back_the_budget(alice: User) -> None:
    make_job(alice, failures=2, outage_since="2026-01-01T00:00:00Z")
    job = claim()
    assert lifecycle.outage_seconds(job) > 0
    lifecycle.record_parts(job, [stored(1)])
    assert (job.failures, job.outage_since, lifecycle.outage_seconds(job)) == (0, None, 0.0)


def test_a_lease_that_ended_while_the_database_was_away_is_no_lost_worker(alice: User, settings: Any) -> None:
    make_job(alice)
    claim()
    settings.EXPORTS_LEASE_SECONDS = 10_000_000  # as if the database had been started within the last lease
    ExportJob.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=5))
    assert lifecycle.take_back_lost() == []
    settings.EXPORTS_LEASE_SECONDS = 0
    assert len(lifecycle.take_back_lost()) == 1


def test_a_moment_that_gave_no_row_is_not_listed(alice: User) -> None:
    make_job(alice)
    job = claim()
    at = timezone.now()
    for rows_before in (0, 300, 300, 200):
        lifecycle.record_snapshot(job, at=at, after_key=None, rows_before=rows_before)
    job.refresh_from_db()
    assert [each["rows_before"] for each in job.snapshots] == [0, 200]


def test_starting_over_is_counted_since_a_person_asked(alice: User) -> None:
    make_job(alice)
    for _ in range(2):
        job = claim()
        lifecycle.retry_later(job, delay=0, code="storage_unavailable", detail="", counts=True, starts_over=True)
    assert lifecycle.started_over(job) == 2
    lifecycle.cancel(job.pk)
    lifecycle.restart(job.pk)
    assert lifecycle.started_over(job) == 0
