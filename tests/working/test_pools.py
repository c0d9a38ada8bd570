"""Real workers of each of Celery's pools: those that keep the rules of a run, and those that are refused."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from django.conf import settings as site
from django.contrib.auth.models import User
from django.db import connection

from exports_app import dispatch, presence, services
from exports_app.choices import Status
from exports_app.models import ExportJob
from tests.jobs import fill_customers, request
from tests.web_server import wait_until
from tests.working.workers import at_work, command, environment

pytestmark = pytest.mark.django_db(transaction=True)
LEASE_SECONDS = 6
POOLS = {"prefork": "", "solo": "No process is replaced", "threads": "hold for all runs together"}
"""What is said at the start of the rules that are not kept."""


@contextmanager
def locked_customers() -> Iterator[None]:
    """Nobody reads them, so that a run waits."""
    given = connection.get_connection_params()
    names = ("host", "port", "user", "password", "dbname")
    with psycopg.connect(**{name: given[name] for name in names if name in given}) as other:
        other.execute("LOCK TABLE samples_customer IN ACCESS EXCLUSIVE MODE")
        yield
        other.rollback()


def until(job: ExportJob, status: Status) -> None:
    def reached() -> bool:
        job.refresh_from_db()
        return job.status == status

    wait_until(reached, 30)


def until_renewed(job: ExportJob) -> None:
    """Twice: once may be its beginning."""
    rows = ExportJob.objects.filter(pk=job.pk)
    for _ in range(2):
        before = rows.get().lease_expires_at
        wait_until(partial(rows.exclude(lease_expires_at=before).exists))


def heard() -> float:
    """When a worker last said that it is there, by Redis' clock."""
    found: Any = redis.Redis.from_url(os.environ["REDIS_URL"]).zrange(presence.KEY, 0, -1, withscores=True)
    return max((score for _, score in found), default=0.0)


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_makes_files_keeps_its_lease_and_gives_back_what_waits_for_a_lock_when_it_stops(
    pool: str, alice: User, real_bell: None, tmp_path: Path
) -> None:
    fill_customers(100)
    first, _ = services.request_export(alice, request())
    second, _ = services.request_export(alice, request(format="xlsx"))
    with at_work(tmp_path / "log", "-P", pool, "-c", "1", EXPORTS_LEASE_SECONDS=str(LEASE_SECONDS)) as worker:
        dispatch.ring(first.queue)
        until(first, Status.COMPLETED)
        until(second, Status.COMPLETED)
        third, _ = services.request_export(alice, request())
        with locked_customers():
            dispatch.ring(third.queue)
            until(third, Status.RUNNING)
            before = heard()
            until_renewed(third)
            wait_until(lambda: heard() > before)
            assert worker.stop() == 0, worker.said
        third.refresh_from_db()
        assert (third.status, third.failures, third.crashes, third.claim) == (Status.QUEUED, 0, 0, 1), worker.said
        assert POOLS[pool] in worker.said
        assert ("export.worker.rules" in worker.said) is bool(POOLS[pool])
    assert heard() == 0.0
    for job in (first, second, third):
        job.refresh_from_db()
        services.discard_file(job)


def test_threads_run_several_exports_at_once_in_one_process(alice: User, real_bell: None, tmp_path: Path) -> None:
    fill_customers(100)
    jobs = [services.request_export(alice, request())[0] for _ in range(3)]
    with at_work(tmp_path / "log", "-P", "threads", "-c", "3") as worker:
        with locked_customers():
            for job in jobs:
                dispatch.ring(job.queue)
            for job in jobs:
                until(job, Status.RUNNING)
            assert len({job.worker.rpartition(":")[0] for job in jobs}) == 1
        for job in jobs:
            until(job, Status.COMPLETED)
            services.discard_file(job)
        assert worker.stop() == 0, worker.said


def test_three_large_exports_run_at_once_as_they_come_and_leave_a_place_to_a_small_one(
    alice: User, real_bell: None, tmp_path: Path, settings: Any
) -> None:
    fill_customers(100)
    settings.EXPORTS_STREAM_MAX_ROWS = 50
    large = [services.request_export(alice, request())[0] for _ in range(3)]
    small, _ = services.request_export(alice, request(limit=10))
    assert [job.queue for job in (*large, small)] == [*["exports.large"] * 3, "exports"]
    with (
        at_work(tmp_path / "large", "-c", "auto", queues="exports.large"),
        at_work(tmp_path / "small", "-c", "auto", queues="exports"),
        locked_customers(),
    ):
        for job in (*large, small):
            dispatch.ring(job.queue)
        for job in (*large, small):
            until(job, Status.RUNNING)
        assert ExportJob.objects.filter(status=Status.RUNNING).count() == 4


def refused(*options: str, **variables: str) -> str:
    """What a worker says that does not start."""
    done = subprocess.run(
        command(*options),
        cwd=site.BASE_DIR,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    return done.stderr.splitlines()[-1]


def test_a_pool_that_nobody_tried_is_refused_by_name(db: None) -> None:
    assert refused("-P", "custom", CELERY_CUSTOM_WORKER_POOL="celery.concurrency.base:BasePool") == (
        "The worker does not start. Exports do not run in the pool celery.concurrency.base, which was never tried. "
        "Start the worker with -P prefork, which is the default, -P solo or -P threads."
    )


def test_children_that_would_not_hear_of_a_shutdown_are_refused(db: None) -> None:
    assert refused("--pool-start-method", "spawn") == (
        "The worker does not start. Exports do not run in children that are spawned: these do not hear that the worker "
        "stops, and would give no export back. Leave out --pool-start-method (worker_pool_start_method), or set it to "
        "fork."
    )
