"""The order of turns: kept with each job, found by index, the same for claims and for the places shown."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.utils import timezone

from exports_app import lifecycle, turns
from exports_app.models import ExportJob, ExportSlot, ExportTurn
from tests.conftest import make_user

pytestmark = pytest.mark.django_db

COUNTED = """
SELECT owner_id,
       count(*) FILTER (WHERE status = 'queued' AND next_attempt_at IS NULL AND queue = 'exports'),
       count(*) FILTER (WHERE status = 'queued' AND next_attempt_at IS NULL AND queue = 'exports.large'),
       count(*) FILTER (WHERE status = 'running')
  FROM exports_app_exportjob GROUP BY owner_id
"""


def make_job(owner: User, **values: Any) -> ExportJob:
    return ExportJob.objects.create(owner=owner, resource="customers", format="csv", **values)


def counted() -> dict[Any, tuple[int, ...]]:
    """By who has any: due small ones, due large ones, running ones; from the jobs themselves."""
    with connection.cursor() as cursor:
        cursor.execute(COUNTED)
        return {
            owner: (small, large, running)
            for owner, small, large, running in cursor.fetchall()
            if small + large + running
        }


def kept() -> dict[Any, tuple[int, ...]]:
    rows = ExportTurn.objects.values_list("owner_id", "small", "large", "running")
    return {owner: tuple(numbers) for owner, *numbers in rows if any(numbers)}


def random_step(chance: random.Random, people: list[User]) -> None:
    """Something that happens to some job, by whatever way."""
    jobs = list(ExportJob.objects.order_by("created_at"))
    job = chance.choice(jobs) if jobs else None
    kind = chance.randrange(9)
    if kind < 3 or job is None:
        make_job(chance.choice(people), queue=chance.choice(["exports", "exports", "exports.large"]))
    elif kind == 3:
        lifecycle.claim_next(chance.choice(["exports", "exports.large"]), "test")
    elif kind == 4:
        lifecycle.cancel(job.pk)
    elif kind == 5 and job.status == "running":
        lifecycle.retry_later(job, delay=chance.choice([-1, 60]), code="x", detail="", counts=False, starts_over=False)
    elif kind == 6 and job.status == "running":
        lifecycle.hand_on(job, "slice")
    elif kind == 7:
        job.delete()
    else:
        ExportJob.objects.filter(pk=job.pk).update(queue="exports", owner=chance.choice(people))


@pytest.mark.parametrize("seed", range(12))
def test_what_is_kept_of_each_owner_is_what_their_jobs_say(seed: int, settings: Any) -> None:
    settings.EXPORTS_SOURCE_MAX_RUNNING = 6
    chance, people = random.Random(seed), [make_user(name) for name in "abcd"]
    for _ in range(60):
        random_step(chance, people)
        assert kept() == counted()
        taken = set(ExportSlot.objects.exclude(job_id=None).values_list("job_id", flat=True))
        assert taken == set(ExportJob.objects.filter(status="running").values_list("pk", flat=True))


@pytest.mark.parametrize("seed", range(8))
def test_the_places_shown_are_the_order_in_which_jobs_are_claimed(seed: int, settings: Any) -> None:
    settings.EXPORTS_SOURCE_MAX_RUNNING = 1_000
    chance, people = random.Random(seed), [make_user(name) for name in "abcde"]
    for _ in range(chance.randrange(5)):
        make_job(chance.choice(people))
        lifecycle.claim_next("exports", "test")
    jobs = [make_job(chance.choice(people)).pk for _ in range(30)]
    chance.shuffle(jobs)
    shown = turns.places("exports", jobs)
    claimed = [job.pk for _ in jobs if (job := lifecycle.claim_next("exports", "test"))]
    assert sorted(shown, key=lambda each: shown[each]) == claimed
    assert sorted(shown.values()) == list(range(1, 31))


def test_a_page_of_some_jobs_has_the_places_that_all_of_them_have() -> None:
    people = [make_user(name) for name in "abc"]
    jobs = [make_job(people[number % 3]).pk for number in range(40)]
    every = turns.places("exports", jobs)
    assert turns.places("exports", jobs[20:25]) == {each: every[each] for each in jobs[20:25]}
    assert turns.places("exports", [jobs[33]]) == {jobs[33]: every[jobs[33]]}
    assert turns.places("exports.large", jobs) == {}
    assert turns.places("exports", []) == {}


def test_places_are_counted_from_both_ends_and_estimated_between(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {
        queue: statement.replace("LIMIT 250", "LIMIT 10").replace("= 250", "= 10")
        for queue, statement in turns.PLACES.items()
    }
    monkeypatch.setattr(turns, "PLACES", few)
    monkeypatch.setattr(turns, "EXACT_PLACES", 10)
    jobs = [make_job(alice).pk for _ in range(40)]
    found = [turns.places("exports", [each])[each] for each in jobs]
    assert found[:9] == list(range(1, 10))
    assert found[-9:] == list(range(32, 41))
    assert found == sorted(found)
    assert turns.places("exports", jobs[-3:]) == dict(zip(jobs[-3:], (38, 39, 40), strict=True))


def test_who_has_never_asked_comes_before_who_was_served_and_among_them_who_asked_first(
    alice: User, bob: User, charlie: User
) -> None:
    make_job(charlie)
    lifecycle.cancel(lifecycle.claim_next("exports", "test").pk)  # type: ignore[union-attr]
    for each in (charlie, bob, alice):
        make_job(each)
    order = [lifecycle.claim_next("exports", "test") for _ in range(3)]
    assert [each.owner for each in order if each] == [bob, alice, charlie]


def test_a_job_whose_next_attempt_is_due_is_claimed_in_its_turn(alice: User) -> None:
    late = make_job(alice, next_attempt_at=timezone.now() + timedelta(hours=1))
    assert lifecycle.claim_next("exports", "test") is None
    ExportJob.objects.filter(pk=late.pk).update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    claimed = lifecycle.claim_next("exports", "test")
    assert (claimed and claimed.pk, claimed and claimed.next_attempt_at) == (late.pk, None)


def test_fewer_places_than_before_hold_as_soon_as_they_are_set(alice: User, settings: Any) -> None:
    settings.EXPORTS_SOURCE_MAX_RUNNING = 5
    for _ in range(9):
        make_job(alice)
    running = [lifecycle.claim_next("exports", "test") for _ in range(6)]
    assert [each is not None for each in running] == [True] * 5 + [False]
    settings.EXPORTS_SOURCE_MAX_RUNNING = 2
    ended = [each for each in running if each]
    for number, each in enumerate(ended):
        assert lifecycle.claim_next("exports", "test") is None, number
        lifecycle.cancel(each.pk)
        if number == 3:
            break
    assert lifecycle.claim_next("exports", "test") is not None
    assert lifecycle.claim_next("exports", "test") is None


def test_a_user_who_is_deleted_has_no_turn(alice: User) -> None:
    make_job(alice)
    assert ExportTurn.objects.count() == 1
    alice.delete()
    assert (ExportTurn.objects.count(), ExportJob.objects.count()) == (0, 0)


@pytest.mark.django_db(transaction=True)
def test_eight_claimers_take_each_job_once_and_no_more_than_may_run(alice: User, bob: User, settings: Any) -> None:
    settings.EXPORTS_SOURCE_MAX_RUNNING = 10
    for number in range(30):
        make_job([alice, bob][number % 2])
    ready = threading.Barrier(8)

    def take() -> list[Any]:
        try:
            ready.wait(10)
            return [job.pk for _ in range(4) if (job := lifecycle.claim_next("exports", "test"))]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        found = [pk for each in [pool.submit(take) for _ in range(8)] for pk in each.result(30)]
    assert len(found) == len(set(found)) == 10
    assert ExportJob.objects.filter(status="running").count() == 10
    assert kept() == counted()


@pytest.mark.django_db(transaction=True)
def test_who_makes_the_places_just_then_leaves_nobody_without_a_job(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first two workers of a new site, each of which was rung for once."""
    make_job(alice)
    claimed = turns._by_index

    def and_another_comes(cursor: Any, statement: str, values: Any) -> Any:
        rows = claimed(cursor, statement, values)
        if not rows and not ExportSlot.objects.exists():
            with psycopg.connect(os.environ["DATABASE_URL"], dbname=connection.settings_dict["NAME"]) as other:
                other.execute(turns.MAKE_PLACES, values)
        return rows

    monkeypatch.setattr(turns, "_by_index", and_another_comes)
    monkeypatch.setattr(turns, "_places_seen", 0, raising=False)
    assert lifecycle.claim_next("exports", "test") is not None


@pytest.mark.django_db(transaction=True)
def test_places_are_not_known_to_other_threads_before_they_are_committed(
    alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_job(alice)
    make_job(bob)
    looks, committed = threading.Event(), threading.Event()
    makes = turns._makes_places

    def makes_behind_the_other(cursor: Any, every: int) -> bool:
        looks.set()
        assert committed.wait(10)
        return makes(cursor, every)

    def take() -> Any:
        try:
            return lifecycle.claim_next("exports", "other")
        finally:
            connections.close_all()

    monkeypatch.setattr(turns, "_places_seen", 0, raising=False)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            first = lifecycle.claim_next("exports", "test")
            monkeypatch.setattr(turns, "_makes_places", makes_behind_the_other)
            other = pool.submit(take)
            assert looks.wait(10)
        committed.set()
        second = other.result(30)
    assert first is not None
    assert second is not None
    assert {first.owner_id, second.owner_id} == {alice.pk, bob.pk}


# Plans

JOBS = "exports_app_exportjob"


@pytest.fixture(params=["absent", "stale", "fresh"])
def long_queue(request: pytest.FixtureRequest, alice: User, bob: User) -> list[Any]:
    """Three thousand jobs of two owners, with statistics of no time, of an empty queue, or of now."""
    tables = "exports_app_exportjob, exports_app_exportturn, exports_app_exportslot"
    with connection.cursor() as cursor:
        if request.param == "stale":
            cursor.execute(f"ANALYZE {tables}")
        jobs = [ExportJob(owner=[alice, bob][n % 2], resource="customers", format="csv") for n in range(3_000)]
        ExportJob.objects.bulk_create(jobs)
        # One statement stores them all at one moment; they were asked for one after another.
        ids = [each.pk for each in jobs]
        cursor.execute(
            "UPDATE exports_app_exportjob SET created_at = created_at + number * interval '1 ms' "
            "FROM unnest(%s::uuid[]) WITH ORDINALITY AS asked (job, number) WHERE id = job",
            [ids],
        )
        if request.param == "fresh":
            cursor.execute(f"ANALYZE {tables}")
    return [each.pk for each in jobs]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)


def plan_of(statement: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(turns.BY_INDEX)
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.strip().rstrip(';')}", values)
        found = cursor.fetchone()[0]
        transaction.set_rollback(True)
    plan = found if isinstance(found, list) else json.loads(found)
    return list(nodes(plan[0]["Plan"]))


def rows_read(plan: list[dict[str, Any]], table: str) -> float:
    return float(
        sum(
            (each["Actual Rows"] + each.get("Rows Removed by Filter", 0)) * each["Actual Loops"]
            for each in plan
            if each.get("Relation Name") == table
        )
    )


def test_no_question_of_a_long_queue_reads_more_than_it_needs(long_queue: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(turns.MAKE_PLACES, {"all": 4})
    claim = {"queue": "exports", "worker": "test", "lease": 60, "most": 4, "all": 4}
    ring = {"queues": ["exports", "exports.large"], "quiet": 15, "most": 4}
    page = {"queue": "exports", "jobs": long_queue[2_960:3_000:2]}
    for statement, values, most in (
        (turns.CLAIM["exports"], claim, 5),
        (turns.WAKE, {}, 0),
        (turns.RING, ring, 20),
        (turns.PLACES["exports"], page, 20 + 250 + 40),
    ):
        plan = plan_of(statement, values)
        assert rows_read(plan, JOBS) <= most, statement.split()[0]
        assert not [each for each in plan if each["Node Type"] == "Seq Scan" and each["Relation Name"] == JOBS]
