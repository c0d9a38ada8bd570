"""An ordinary busy half hour: ``python -m chaos.soak`` inside ``exportsite.stack run --services-only``; see ``--help``.

Eight clients ask, poll, fetch, cancel and stream by the API, one child of a worker is killed every 20 seconds, and one
owner asks for 400 exports at once every five minutes. Afterwards the invariants of ``chaos.scene`` must hold, every
export that was not cancelled must be complete, and no process that lived through it may have grown.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import django

from chaos import site as sites
from chaos.__main__ import fill, prepare

CLIENTS = 8
KILL_SECONDS = 20.0
BURST_SECONDS = 300.0
BURST = 400
SAMPLE_SECONDS = 10.0
ROWS = 200_000
DRAIN_SECONDS = 900.0
GROWTH = 1.15
"""More than so many times the memory of the second fifth of the time, in the last one, is growth."""
LEAST_GROWTH_MB = 10.0
COLUMNS = ["id", "name", "email", "signup_date", "country_code", "subscription_tier", "lifetime_value"]
WANTED: tuple[tuple[int, dict[str, Any]], ...] = (
    (60, {"limit": 100}),
    (15, {"limit": 20_000, "compression": "gzip"}),
    (8, {"limit": 5_000, "format": "xlsx"}),
    (5, {"limit": 20_000, "format": "parquet"}),
    (5, {"limit": 20_000, "format": "json"}),
    (7, {}),
)
"""Weights of what a client asks for; csv where no format is named, all rows where no limit is."""


@dataclass
class Tally:
    """What was done so far, by all threads."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    """Seconds from the request of a small export to its end, as its client saw it."""
    memory: dict[str, list[float]] = field(default_factory=dict)
    """MB of each lasting process, one for each sample."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1

    def problem(self, what: str) -> None:
        with self.lock:
            self.problems.append(what)


class Client(threading.Thread):
    """A program that exports: it asks, waits, fetches and compares, and changes its mind now and then."""

    def __init__(
        self, number: int, site: sites.Site, token: str, over: threading.Event, tally: Tally, seed: str
    ) -> None:
        super().__init__(name=f"client-{number}", daemon=True)
        self._site, self._token, self._over, self._tally = site, token, over, tally
        self._rng = random.Random(f"{seed}-client-{number}")

    def run(self) -> None:
        while not self._over.is_set():
            try:
                self._once()
            except Exception as error:  # whatever it is, the soak has found something
                self._tally.problem(f"{self.name}: {type(error).__name__}: {error}")

    def _once(self) -> None:
        wanted = self._rng.choices([each for _, each in WANTED], [weight for weight, _ in WANTED])[0]
        began = time.monotonic()
        job = self.ask(wanted)
        if job is None:
            return
        if self._rng.random() < 0.05:
            self._over.wait(self._rng.random())
            self._call("POST", f"exports/{job}/cancel/", {200, 409})
            self._tally.add("cancels")
            return
        status = self._await(job)
        if status is None or status["status"] != "completed":
            return  # the check at the end says what became of it
        if wanted.get("limit") == 100:
            self._tally.waits.append(time.monotonic() - began)
        self._fetch(status)

    def ask(self, wanted: dict[str, Any]) -> str | None:
        options = {} if "format" in wanted else {"escape_formulas": False}
        body = {"resource": "customers", "columns": COLUMNS, "options": options, **wanted}
        answer = self._call("POST", "exports/", {200, 202}, body)
        self._tally.add("asked")
        return str(answer["id"]) if answer else None

    def _await(self, job: str) -> dict[str, Any] | None:
        while True:
            status = self._call("GET", f"exports/{job}/", {200})
            if status is None or status["status"] not in {"queued", "running"}:
                return status
            time.sleep(0.5)  # as clients poll

    def _fetch(self, status: dict[str, Any]) -> None:
        import requests

        data = requests.get(status["download_url"], timeout=120).content
        self._tally.add("fetched")
        if len(data) != status["file_size"] or f"{zlib.crc32(data):08x}" != status["crc32"]:
            self._tally.problem(f"{status['id']}: other bytes were fetched than are on record")

    def _call(self, method: str, path: str, expected: set[int], body: Any = None) -> dict[str, Any] | None:
        code, answer, _ = self._site.call(method, f"/api/v1/{path}", self._token, body)
        if code in expected:
            return answer if isinstance(answer, dict) else {}
        self._tally.problem(f"{method} {path}: {code} {answer}")
        return None


def main() -> int:
    given = _arguments()
    os.environ.update(sites.ENVIRONMENT, PGAPPNAME="soak")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    django.setup()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"seed {seed}: python -m chaos.soak --minutes {given.minutes:g} --seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as folder:
        site = sites.Site(given.logs or Path(folder))
        try:
            prepare()
            fill(site, ROWS)
            site.start()
            tally = _live(site, given.minutes * 60, str(seed))
            return _judge(site, tally)
        finally:
            site.stop()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos.soak", description="An ordinary busy half hour.")
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--seed", type=int, help="replays a run's random choices")
    parser.add_argument("--logs", type=Path, help="keep the processes' logs in this folder")
    return parser.parse_args()


def _live(site: sites.Site, seconds: float, seed: str) -> Tally:
    """Until the time is over and nothing waits any more."""
    tally, over = Tally(), threading.Event()
    tokens = _tokens()
    clients: list[threading.Thread] = [
        Client(number, site, token, over, tally, seed) for number, token in enumerate(tokens[:CLIENTS])
    ]
    rng = random.Random(f"{seed}-kills")
    burst = Client(CLIENTS, site, tokens[CLIENTS], over, tally, seed)
    others = [
        _every(KILL_SECONDS, over, lambda: _kill(site, rng, tally), "kills", tally),
        _every(BURST_SECONDS, over, lambda: _burst(burst, tally), "burst", tally),
        _every(SAMPLE_SECONDS, over, lambda: _sample(site, tally), "samples", tally),
    ]
    for thread in (*clients, *others):
        thread.start()
    began = time.monotonic()
    while (left := seconds - (time.monotonic() - began)) > 0:
        over.wait(min(60.0, left))
        minutes = (time.monotonic() - began) / 60
        print(f"  {minutes:4.1f} min  {dict(tally.counts)}  problems {len(tally.problems)}", flush=True)
    over.set()
    for thread in (*clients, *others):
        thread.join(DRAIN_SECONDS)
    return tally


def _tokens() -> list[str]:
    """One for each client, and one for who asks for much at once."""
    from django.contrib.auth import get_user_model

    from exports_app import api_keys, keys

    made = []
    for number in range(CLIENTS + 1):
        user, _ = get_user_model().objects.update_or_create(username=f"soak{number}", defaults={"is_superuser": True})
        for before in api_keys.living(user):
            api_keys.revoke(user, before.pk)
        made.append(api_keys.create(user, name="soak", scopes=keys.SCOPES)[1])
    return made


def _every(seconds: float, over: threading.Event, act: Callable[[], None], name: str, tally: Tally) -> threading.Thread:
    def repeat() -> None:
        while not over.wait(seconds):
            try:
                act()
            except Exception as error:
                tally.problem(f"{name}: {type(error).__name__}: {error}")

    return threading.Thread(target=repeat, name=name, daemon=True)


def _kill(site: sites.Site, rng: random.Random, tally: Tally) -> None:
    children = [child for worker in site.workers for child in worker.children()]
    if children:
        os.kill(rng.choice(children), signal.SIGKILL)
        tally.add("kills")


def _burst(client: Client, tally: Tally) -> None:
    for _ in range(BURST):
        client.ask({"limit": 100})
    tally.add("bursts")


def _sample(site: sites.Site, tally: Tally) -> None:
    """Memory of what is not killed: the web process, beat, the upkeep and the workers' parents."""
    for process in (*site.others, *site.workers):
        with Path(f"/proc/{process.pid}/statm").open() as file:
            pages = int(file.read().split()[1])
        tally.memory.setdefault(f"{process.name}-{process.pid}", []).append(pages * 4096 / 1_048_576)


def _judge(site: sites.Site, tally: Tally) -> int:
    from chaos.scene import Broken, Scene, check
    from exports_app.choices import ACTIVE, Status
    from exports_app.models import ExportJob, ExportSlot

    scene = Scene(site, random.Random(0))
    try:
        waiting = ExportJob.objects.filter(status__in=ACTIVE)
        scene.until("the queue to be empty", lambda: not waiting.exists(), DRAIN_SECONDS)
        scene.jobs = list(ExportJob.objects.all())
        check(scene)
        held = ExportSlot.objects.exclude(job_id=None).count()
        scene.expect(held == 0, f"{held} places are still taken")
    except Broken as reason:
        tally.problem(str(reason))
    ends = Counter(ExportJob.objects.values_list("status", flat=True))
    if failed := list(ExportJob.objects.filter(status=Status.FAILED).values_list("error_code", flat=True)):
        tally.problem(f"failed: {dict(Counter(failed))}")
    print(f"done: {dict(tally.counts)}; ended: {dict(ends)}")
    if len(tally.waits) > 1:
        quantiles = statistics.quantiles(tally.waits, n=20)
        print(f"small exports, from request to file: median {quantiles[9]:.1f} s, p95 {quantiles[18]:.1f} s")
    for name, found in tally.memory.items():
        _told_memory(name, found, tally)
    for problem in tally.problems[:20]:
        print(f"BROKEN: {problem}")
    print(f"{len(tally.problems)} problems")
    return 1 if tally.problems else 0


def _told_memory(name: str, found: list[float], tally: Tally) -> None:
    fifth = len(found) // 5
    if not fifth:
        return
    early, late = statistics.median(found[fifth : 2 * fifth]), statistics.median(found[-fifth:])
    print(f"{name}: {early:.0f} MB in the second fifth, {late:.0f} MB in the last, {max(found):.0f} MB at most")
    if late > max(early * GROWTH, early + LEAST_GROWTH_MB):
        tally.problem(f"{name} grew from {early:.0f} to {late:.0f} MB")


if __name__ == "__main__":
    sys.exit(main())
