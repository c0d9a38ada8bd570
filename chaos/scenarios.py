"""Whole days in the life of a site, in minutes; run by name (``--only S1``)."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable

from django.contrib.auth import get_user_model

from chaos.catalogue import fault
from chaos.processes import broker
from chaos.proxy import Mode
from chaos.scene import Broken, Scene, bucket
from chaos.site import Process, service_pid
from chaos.stores import answers, completed, no_attempt_used
from exports_app.choices import ACTIVE, Status
from exports_app.models import ExportJob

AWAY_SECONDS = 60
ROOM_FOR_TEN = {"EXPORTS_SOURCE_MAX_RUNNING": "11"}
"""Large exports leave the last place to small ones."""
PART = ("number", "etag", "claim")


@fault(
    "S1",
    "a gzip of 3,000,000 rows killed five times: child, group, PostgreSQL, Redis, SIGTERM",
    "the undisturbed file, no part on record written again",
    rows=3_000_000,
)
def killed_five_times(scene: Scene) -> None:
    scene.slow(3)
    job = scene.ask(compression="gzip")
    kept: list[tuple[int, str, int]] = []
    for number, kill in enumerate((Scene.kill_child, Scene.kill_group, _postgres, _redis, Scene.end_worker), start=1):
        scene.until_parts(job, number)
        scene.until_running(job)
        if scene.now(job).status not in ACTIVE:
            raise Broken(f"the export ended before kill {number}: the table is too small")
        claim = scene.now(job).claim  # before: another worker may have it at once
        kill(scene, job)
        kept = list(job.parts.values_list(*PART))
        if kill is not _redis:
            scene.until_claimed_again(job, claim)
        scene.site.revive()
        scene.slow(3)
    completed(scene)
    parts = list(job.parts.values_list(*PART))
    scene.expect(parts[: len(kept)] == kept, "parts on record were written again")
    scene.notes.append(f"{len(parts)} parts by claims {dict(Counter(claim for _, _, claim in parts))}")


def _postgres(scene: Scene, job: ExportJob) -> None:
    pid = service_pid("postgres")
    os.kill(pid, signal.SIGQUIT)
    scene.until("another PostgreSQL", lambda: service_pid("postgres") != pid and answers(), 60)


def _redis(scene: Scene, job: ExportJob) -> None:
    pid = service_pid("redis")
    os.kill(pid, signal.SIGKILL)
    scene.until("another Redis", lambda: service_pid("redis") != pid, 60)


@fault("S2", "PostgreSQL, then S3 away for 60 s amid five exports", "all complete, no attempt used", rows=300_000)
def away(scene: Scene) -> None:
    for proxy in (scene.site.pg, scene.site.s3):
        scene.slow(2)
        scene.ask(5)
        scene.until_parts(scene.jobs[-5])
        proxy.set(Mode.REFUSE)
        time.sleep(AWAY_SECONDS)
        proxy.set(Mode.PASS)
        completed(scene)
    no_attempt_used(scene)


@fault(
    "S3",
    "SIGTERM of a worker that runs ten exports, another one beside it",
    "gone in 5 s, all ten go on there within 20 s, no failure, no part on record written again",
    rows=300_000,
)
def drained(scene: Scene) -> None:
    scene.site.restart_workers()
    old = scene.site.add_worker(ROOM_FOR_TEN, processes=10)
    old.await_ready()
    scene.slow(1)
    scene.ask(10)
    scene.until("ten runs on one worker", lambda: _all_on(old, scene, Status.RUNNING))
    # As a deploy does: the next worker is there before this one goes.
    new = scene.site.add_worker(ROOM_FOR_TEN, processes=10)
    new.await_ready()
    scene.until("a part of each", lambda: all(job.parts.exists() for job in scene.jobs))
    scene.expect(_all_on(old, scene, Status.RUNNING), "they do not all run there any more")
    kept = {job: list(job.parts.values_list(*PART)) for job in scene.jobs}
    old.signal(signal.SIGTERM)
    gone, on, further = _seconds_until(
        scene,
        lambda: not old.runs,
        lambda: _all_on(new, scene, Status.RUNNING, Status.COMPLETED),
        lambda: all(job.parts.filter(claim=2).exists() for job in scene.jobs),
    )
    completed(scene)
    no_attempt_used(scene)
    for job, parts in kept.items():
        scene.expect(list(job.parts.values_list(*PART))[: len(parts)] == parts, "parts on record were written again")
    times = f"gone in {gone:.1f} s, all on elsewhere in {on:.1f} s, each a part further in {further:.1f} s"
    scene.notes.append(f"10 running there; {times}")
    scene.expect(gone < 5, f"the worker took {gone:.1f} s")
    scene.expect(further < 20, f"its jobs went on after {further:.1f} s")


def _all_on(worker: Process, scene: Scene, *states: Status) -> bool:
    """Whether all jobs are in one of the states by a run of this worker."""
    theirs = {str(pid) for pid in worker.children()}
    jobs = ExportJob.objects.filter(pk__in=[job.pk for job in scene.jobs], status__in=states)
    here = [name.split(":")[1] in theirs for name in jobs.values_list("worker", flat=True)]
    return all(here) and len(here) == len(scene.jobs)


def _seconds_until(scene: Scene, *conditions: Callable[[], bool]) -> list[float]:
    """How long from now each takes to become true."""
    began, took = time.monotonic(), [0.0] * len(conditions)

    def all_true() -> bool:
        for number, condition in enumerate(conditions):
            if not took[number] and condition():
                took[number] = time.monotonic() - began
        return all(took)

    scene.until("all of that", all_true, 60)
    return took


@fault(
    "S4",
    "200 jobs of 20 users on 2 workers, FLUSHALL every 10 s",
    "all complete and right, one object each",
    rows=100_000,
)
def crowd(scene: Scene) -> None:
    model = get_user_model()
    users = [model.objects.get_or_create(username=f"user{n}", defaults={"is_superuser": True})[0] for n in range(20)]
    for worker in scene.site.workers:
        worker.kill_group()  # all wait before the first one runs
    for user in users:
        scene.ask(10, user=user, limit=20_000)
    scene.site.revive()
    scene.slow(8)
    began = flushed = time.monotonic()
    flushes = 0
    ids = [job.pk for job in scene.jobs]
    while ExportJob.objects.filter(pk__in=ids, status__in=ACTIVE).exists():
        if time.monotonic() - flushed > 10:
            broker().flushall()
            flushed = time.monotonic()
            flushes += 1
        scene.expect(time.monotonic() - began < 600, "not done in 600 s")
        time.sleep(0.2)
    took = time.monotonic() - began
    done = list(ExportJob.objects.filter(pk__in=ids).order_by("completed_at"))
    owners = [len({job.owner_id for job in done[n : n + 20]}) for n in range(0, 200, 20)]
    scene.notes.append(f"{took:.0f} s, {flushes} times emptied; owners among each twenty that ended: {owners}")
    once = all((job.status, job.upload_number, job.claim) == (Status.COMPLETED, 1, 1) for job in done)
    scene.expect(once, "not all completed by their first run")
    scene.expect(flushes >= 2, f"emptied {flushes} times only")
    stored = Counter(found.key.split(".")[0] for found in bucket().objects.filter(Prefix="exports/"))
    scene.expect(all(stored[f"exports/{job.owner_id}/{job.pk}"] == 1 for job in done), "not one object each")
