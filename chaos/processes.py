"""Faults of processes and of the broker."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import redis
from django.db import connection

from chaos.catalogue import fault
from chaos.proxy import Mode
from chaos.rooms.base import NotHere
from chaos.scene import Scene
from chaos.site import LEASE, SWEEP, service_pid
from exports_app import dispatch
from exports_app.choices import EventKind, Status
from exports_app.models import ExportEvent, ExportJob
from workers import upkeep


def broker() -> Any:
    return redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=5)


def resumed(scene: Scene, job: ExportJob) -> None:
    """It went on behind its first part: no part of the first claim was written again."""
    first = job.parts.get(number=1)
    scene.expect(first.claim == 1, f"part 1 was written again, by claim {first.claim}")
    scene.expect(scene.now(job).status == Status.COMPLETED, f"it ended as {scene.now(job).status}")


@fault("C1", "pool child SIGKILL amid a chunk", "taken back after its lease, goes on behind the last part")
def child_killed(scene: Scene) -> None:
    job = scene.under_way()
    scene.kill_child(job)
    scene.until_ended()
    resumed(scene, job)


@fault("C2", "worker group SIGKILL", "as C1, on another worker")
def group_killed(scene: Scene) -> None:
    job = scene.under_way()
    scene.kill_group(job)
    scene.until_ended()
    resumed(scene, job)


@fault("C3", "SIGTERM of a worker", "gone in 5 s, the job goes on elsewhere, no failure counted")
def drained(scene: Scene) -> None:
    job = scene.under_way()
    worker = scene.site.worker_of(scene.child_of(job))
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    scene.until("the worker to end", lambda: not worker.runs, 20)
    took = time.monotonic() - began
    scene.until_ended()
    ended = scene.now(job)
    scene.notes.append(f"gone in {took:.1f} s")
    scene.expect(took < 5, f"it took {took:.1f} s")
    scene.expect((ended.failures, ended.crashes) == (0, 0), "a failure or crash was counted")
    resumed(scene, job)


@fault("C4", "cold shutdown (SIGQUIT) at random moments, also in COMMIT", "no row without a lease, one end each")
def cold(scene: Scene) -> None:
    scene.slow(8)
    for _ in range(2):
        job = scene.ask()
        scene.until_running(job)
        scene.pause(2.0)
        for worker in scene.site.workers:
            worker.signal(signal.SIGQUIT)
        scene.until("the workers to end", lambda: not any(each.runs for each in scene.site.workers), 60)
        scene.site.revive()
        scene.slow(8)
    scene.until_ended()


@fault("C5", "zombie: child stopped longer than its lease, then woken", "it changes no row, no part, no upload")
def zombie(scene: Scene) -> None:
    job = scene.under_way()
    child = scene.child_of(job)
    os.kill(child, signal.SIGSTOP)
    try:
        scene.until_claimed_again(job)
        scene.until_ended()
        before = _trace(job)
    finally:
        os.kill(child, signal.SIGCONT)
    scene.until("the zombie to take other work", lambda: _served(scene, child), 60)
    scene.until_ended()
    scene.expect(_trace(job) == before, "the zombie changed something")


def _trace(job: ExportJob) -> Any:
    row = ExportJob.objects.filter(pk=job.pk).values().get()
    return row, list(job.parts.values("number", "etag", "claim")), job.events.count()


def _served(scene: Scene, child: int) -> bool:
    """Whether this process has done another job since: small ones are asked for until it has."""
    recent = scene.jobs[1:]
    if any(scene.now(job).worker.split(":")[1:2] == [str(child)] for job in recent):
        return True
    if not os.path.exists(f"/proc/{child}"):
        return True
    if len(recent) < 20:
        scene.ask(limit=10)
    time.sleep(0.3)
    return False


@fault("C6", "zombie's late part: one UploadPart held past the takeover", "the file is right, whoever's part it has")
def late_part(scene: Scene) -> None:
    held = scene.site.s3.add(r"PUT [^ ]*partNumber=2[& ]", "hold")
    scene.slow()
    job = scene.ask()
    scene.until("a held part", lambda: held.done)
    child = scene.child_of(job)
    os.kill(child, signal.SIGSTOP)
    try:
        scene.until_claimed_again(job)
        held.released.set()
        scene.until_ended()
    finally:
        os.kill(child, signal.SIGCONT)
    scene.expect(scene.now(job).status == Status.COMPLETED, f"it ended as {scene.now(job).status}")


@fault("C7", "CLIENT KILL of every broker connection, five times", "each job runs once, no failure counted")
def blips(scene: Scene) -> None:
    scene.slow()
    scene.ask(3)
    for _ in range(5):
        broker().client_kill_filter(_type="normal", skipme=True)
        scene.pause(2.0)
    scene.until_ended()
    for job in scene.jobs:
        ended = scene.now(job)
        scene.expect((ended.status, ended.claim, ended.failures) == (Status.COMPLETED, 1, 0), f"claim {ended.claim}")


@fault("C8", "the broker's answer with the message is lost", "rung for again by the sweep")
def lost_answer(scene: Scene) -> None:
    scene.site.redis.set(Mode.HOLE_DOWN)
    job = scene.ask()
    scene.pause(3.0)
    scene.site.redis.reset()
    scene.site.redis.set(Mode.PASS)
    scene.until_ended()
    scene.expect(scene.now(job).failures == 0, "a failure was counted")


@fault("C9", "broker black hole, 15 s", "running jobs go on, workers take jobs again")
def black_hole(scene: Scene) -> None:
    scene.slow()
    first = scene.ask()
    scene.until_running(first)
    scene.site.redis.set(Mode.HOLE)
    opened = time.monotonic()
    scene.until_ended([first])
    time.sleep(max(0.0, opened + 15 - time.monotonic()))
    scene.site.redis.set(Mode.PASS)
    began = time.monotonic()
    second = scene.ask()
    scene.until_ended()
    scene.notes.append(f"next job done {time.monotonic() - began:.1f} s after")
    scene.expect(scene.now(first).claim == 1, "the running job was disturbed")
    scene.expect(scene.now(second).status == Status.COMPLETED, "the next one failed")


@fault("C10", "FLUSHALL, then Redis killed and started empty", "all queued jobs are rung for again")
def emptied(scene: Scene) -> None:
    scene.slow(8)
    scene.ask(4)
    broker().flushall()
    scene.ask(2)
    pid = service_pid("redis")
    os.kill(pid, signal.SIGKILL)
    scene.until("another Redis", lambda: service_pid("redis") != pid, 30)
    scene.until_ended()


@fault("C11", "broker refuses, then is silent, while posting", "202 within 2 s, the job runs later")
def away_at_submit(scene: Scene) -> None:
    token = os.environ["CHAOS_TOKEN"]
    scene.site.call("POST", "/api/v1/exports/", token, {"resource": "customers", "limit": 1})  # loads what it needs
    for mode in (Mode.REFUSE, Mode.HOLE):
        scene.site.redis.set(mode)
        began = time.monotonic()
        status, body, _ = scene.site.call("POST", "/api/v1/exports/", token, {"resource": "customers", "limit": 100})
        took = time.monotonic() - began
        scene.site.redis.set(Mode.PASS)
        scene.expect(status == 202, f"{status} while the broker was in mode {mode}")
        scene.expect(took < 2, f"{took:.1f} s while the broker was in mode {mode}")
        scene.notes.append(f"{mode} {took:.2f} s")
        scene.jobs.append(ExportJob.objects.get(pk=body["id"]))
    scene.until_ended()


@fault("C12", "the same message ten times at once", "one claim, nine that find nothing")
def doubled(scene: Scene) -> None:
    scene.slow()
    job = scene.ask()
    threads = [threading.Thread(target=dispatch.ring, args=["exports"]) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    scene.until_ended()
    scene.expect(scene.now(job).claim == 1, f"{scene.now(job).claim} claims")


@fault("C13", "four sweeps at once beside beat's own", "one takes each lost job back, one rings for it")
def many_sweeps(scene: Scene) -> None:
    scene.slow()
    scene.ask(3)
    scene.until_parts(scene.jobs[0])
    for worker in scene.site.workers:
        worker.kill_group()
    time.sleep(LEASE)
    with ThreadPoolExecutor(4) as threads:
        for sweep in [threads.submit(_sweep) for _ in range(4)]:
            sweep.result(60)
    scene.site.revive()
    scene.until_ended()
    for job in scene.jobs:
        lost = ExportEvent.objects.filter(job=job, kind=EventKind.LOST).count()
        scene.expect(lost <= 1, f"{lost} times taken back")


def _sweep() -> None:
    try:
        upkeep.sweep()
    finally:
        connection.close()


@fault("C14", "visibility time-out (3 s) shorter than the run", "messages come again and find nothing")
def short_visibility(scene: Scene) -> None:
    scene.site.restart_workers({"CHAOS_VISIBILITY_SECONDS": "3"})
    scene.slow(3)
    job = scene.ask()
    again = scene.until("a message to come again", partial(_redeliveries, scene))
    scene.until_ended()
    scene.notes.append(f"{again} came again")
    scene.expect(scene.now(job).claim == 1, f"{scene.now(job).claim} claims")


def _redeliveries(scene: Scene) -> int:
    """Messages that the workers' logs name more than once."""
    logs = b"".join(worker.log.read_bytes() for worker in scene.site.workers)
    received = re.findall(rb"Task exports.run_next\[([^]]+)\] received", logs)
    return len(received) - len(set(received))


@fault("C27", "soft, then hard time limit amid a run", "soft: tried again behind the last part; hard: the lease")
def time_limits(scene: Scene) -> None:
    for limit, code in (("CHAOS_SOFT_SECONDS", "database_unavailable"), ("CHAOS_HARD_SECONDS", "")):
        scene.site.restart_workers({limit: "3"})
        scene.slow(2)
        job = scene.ask()
        scene.until("the limit", partial(_limited, scene, job))
        scene.expect(scene.now(job).error_code == code, f"error code {scene.now(job).error_code!r}")
        scene.until_ended()
        scene.expect(scene.now(job).status == Status.COMPLETED, f"it ended as {scene.now(job).status}")


def _limited(scene: Scene, job: ExportJob) -> bool:
    return scene.now(job).claim > 1 or scene.now(job).failures > 0


@fault("C28", "clocks of workers and sweep ten minutes off", "leases are judged by the database's clock")
def skewed(scene: Scene) -> None:
    ahead, behind = _clock("+600"), _clock("-600")
    scene.site.restart_workers(ahead, behind)
    scene.site.restart_upkeep(ahead)
    scene.slow(2)
    quiet, killed = scene.ask(compression="gzip"), scene.ask()
    scene.until_parts(killed)
    scene.kill_child(killed)
    began = time.monotonic()
    scene.until_claimed_again(killed)
    waited = time.monotonic() - began
    scene.until_ended()
    scene.notes.append(f"taken back {waited:.1f} s after the kill (lease {LEASE} s, sweep {SWEEP} s)")
    scene.expect(waited > LEASE / 2, "it was taken back too early")
    resumed(scene, killed)
    scene.expect(scene.now(quiet).claim == 1, f"{scene.now(quiet).claim} claims of the job that nobody touched")


def _clock(offset: str) -> dict[str, str]:
    """Variables that put a process's wall clock off by so many seconds."""
    found = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if found is None:
        raise NotHere("needs libfaketime (Debian: faketime)")
    return {"LD_PRELOAD": str(found), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@fault("C29", "a job whose child dies each time before its first part", "failed with worker_lost at the third")
def poison(scene: Scene) -> None:
    scene.site.s3.add(r"PUT [^ ]*partNumber=1[& ]", "hold", left=99)
    job = scene.ask()
    for number in (1, 2, 3):
        scene.until(f"claim {number}", partial(_claimed, scene, job, number))
        scene.kill_child(job)
    scene.site.s3.heal()
    scene.until_ended()
    ended = scene.now(job)
    scene.expect((ended.status, ended.error_code) == (Status.FAILED, "worker_lost"), f"{ended.error_code}")
    scene.notes.append(f"lease {LEASE} s, sweep {SWEEP} s")


def _claimed(scene: Scene, job: ExportJob, number: int) -> bool:
    return scene.now(job).claim == number


@fault("C35", "the broker's connection reset at acknowledgements, of sweeps too", "no worker goes deaf")
def unacknowledged(scene: Scene) -> None:
    rule = scene.site.redis.add(r".*ZREM", "lose", left=6)
    scene.ask(4, limit=1_000)
    scene.until("the resets", lambda: not rule.left, 60)
    scene.until_ended()
    job = scene.under_way()
    scene.kill_group(job)  # only a sweep takes the job back
    began = time.monotonic()
    scene.until_ended()
    scene.notes.append(f"all done {time.monotonic() - began:.1f} s after the last kill")
    resumed(scene, job)
