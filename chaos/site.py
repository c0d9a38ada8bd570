"""The processes that are broken: web, workers and beat of our own, behind proxies."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from chaos.proxy import Proxy

PROJECT = Path(__file__).resolve().parents[1]
CELERY = ["-m", "celery", "--app", "workers.celery"]
QUEUES = "exports,exports.large,notifications"
LEASE, SWEEP = 4, 1  # seconds; faults that wait for a lease shall not wait long
READY_SECONDS = 90.0
SENTINEL = "sentinel:"

ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "chaos.settings",
    "EXPORTS_LEASE_SECONDS": str(LEASE),
    "EXPORTS_SWEEP_SECONDS": str(SWEEP),
    "EXPORTS_PART_SIZE": str(5 * 1_048_576),
    "EXPORTS_MAX_ACTIVE": "0",
    "EXPORTS_RATE": "",
    "EXPORTS_SOURCE_MAX_RUNNING": "4",
}


@dataclass
class Process:
    name: str
    arguments: list[str]
    env: dict[str, str]
    log: Path
    ready: bytes = b""
    """What its log says once it is to be reckoned with."""
    plain: bool = True
    """False: it has variables of its own, for one fault."""
    popen: subprocess.Popen[bytes] | None = None

    def start(self) -> Process:
        with self.log.open("wb") as log:
            self.popen = subprocess.Popen(
                self.arguments,
                env=self.env,
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    @property
    def pid(self) -> int:
        assert self.popen is not None
        return self.popen.pid

    @property
    def runs(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def await_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while self.ready not in self.log.read_bytes():
            if not self.runs or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not come up; its log ends with\n{self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    def signal(self, number: int) -> None:
        if self.runs:
            os.kill(self.pid, number)

    def kill_group(self) -> None:
        if self.popen is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait(30)
        self.popen = None  # its number may be another's from now on

    def children(self) -> list[int]:
        """Its pool's processes."""
        if self.popen is None:
            return []
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in listed.read_text().split()] if listed.exists() else []


@dataclass
class Site:
    folder: Path
    given: Mapping[str, str] = field(default_factory=dict)
    """Variables of its processes that are not those of who breaks them."""
    pg: Proxy = field(init=False)
    redis: Proxy = field(init=False)
    s3: Proxy = field(init=False)
    workers: list[Process] = field(default_factory=list)
    others: list[Process] = field(default_factory=list)
    rows: int = 0
    """Of the table that is exported."""
    started: list[Process] = field(default_factory=list)
    """Everything that ever was, to be ended at the end."""

    def __post_init__(self) -> None:
        self.pg, self.redis, self.s3 = map(_proxy, self._addresses().values())
        self.web_port = int(free_port())

    @property
    def proxies(self) -> tuple[Proxy, Proxy, Proxy]:
        return self.pg, self.redis, self.s3

    def env(self) -> dict[str, str]:
        addresses = self._addresses()
        behind = {
            name: _behind(url, proxy)
            for (name, url), proxy in zip(addresses.items(), self.proxies, strict=True)
            if not url.startswith(SENTINEL)
        }
        behind["EXPORTS_S3_PUBLIC_ENDPOINT_URL"] = addresses["AWS_ENDPOINT_URL_S3"]
        return {**os.environ, **ENVIRONMENT, **self.given, **behind, "PGAPPNAME": "site"}

    def _addresses(self) -> dict[str, str]:
        known = {**os.environ, **self.given}
        return {name: known[name] for name in ("DATABASE_URL", "REDIS_URL", "AWS_ENDPOINT_URL_S3")}

    def start(self) -> None:
        web = ["-m", "uvicorn", "exportsite.asgi:application", "--host", "127.0.0.1", "--port", str(self.web_port)]
        self.others = [
            self._upkeep({}),
            self._process("beat", [*CELERY, "beat", "--schedule", str(self.folder / "schedule"), "--pidfile", ""]),
            self._process("web", web),
        ]
        self.revive()
        self._await_web()

    def _await_web(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.call("GET", "/health/", "")
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def add_worker(self, more: dict[str, str] | None = None, *, processes: int = 2) -> Process:
        """One more; ``more`` are variables of its own."""
        worker = self._worker("worker", QUEUES, processes, more or {})
        self.workers.append(worker)
        return worker

    def worker_of(self, child: int) -> Process:
        """The worker whose pool has this process."""
        return next(worker for worker in self.workers if child in worker.children())

    def revive(self) -> None:
        """Have two workers and the others, whatever was broken; all as they are meant to be."""
        for proxy in self.proxies:
            proxy.heal()
        for worker in [each for each in self.workers if not (each.runs and each.plain)]:
            worker.kill_group()
            self.workers.remove(worker)
        while len(self.workers) < 2:
            self.add_worker()
        if not self.others[0].plain:
            self.restart_upkeep({})
        for other in self.others:
            if not other.runs:
                other.kill_group()
                other.start()
        for each in [*self.workers, *self.others]:
            each.await_ready()

    def restart_workers(self, *more: dict[str, str]) -> None:
        """New workers in place of those there are, one under each of these variables; until ``revive``."""
        for worker in self.workers:
            worker.kill_group()
        self.workers.clear()
        for each in more:
            self.add_worker(each)
        for worker in self.workers:
            worker.await_ready()

    def restart_upkeep(self, more: dict[str, str]) -> None:
        """A new worker for the sweep under these variables."""
        self.others[0].kill_group()
        self.others[0] = self._upkeep(more)
        self.others[0].await_ready()

    def adopt(self, process: Process) -> Process:
        """Start it; it is ended with the site."""
        self.started.append(process)
        return process.start()

    def dismiss(self, name: str) -> None:
        for each in self.started:
            if each.name == name:
                each.kill_group()

    def stop(self) -> None:
        for each in self.started:
            each.kill_group()

    def call(self, method: str, path: str, token: str, body: Any = None) -> tuple[int, Any, dict[str, str]]:
        """Status, JSON and headers of an API call."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.web_port}{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read() or b"null"), dict(answer.headers)
        except urllib.error.HTTPError as error:
            text = error.read()
            return error.code, json.loads(text) if text[:1] in b"{[" else None, dict(error.headers)

    def _upkeep(self, more: dict[str, str]) -> Process:
        return self._worker("maintenance", "maintenance", 1, more)

    def _worker(self, name: str, queues: str, concurrency: int, more: dict[str, str]) -> Process:
        words = [
            "worker",
            "--queues",
            queues,
            "--concurrency",
            str(concurrency),
            "--without-gossip",
            "--without-mingle",
        ]
        words += ["--hostname", f"{name}-{os.getpid()}-{len(self.started)}@chaos", "--loglevel", "INFO"]
        return self._process(name, [*CELERY, *words], more, ready=b" ready.")

    def _process(self, name: str, arguments: list[str], more: dict[str, str] | None = None, **how: Any) -> Process:
        log = self.folder / f"{name}-{len(self.started)}.log"
        env = self.env() | (more or {})
        return self.adopt(Process(name, [sys.executable, *arguments], env, log, plain=not more, **how))


def service_pid(name: str) -> int:
    """A service of the stack that we run in, as it is now."""
    pids: dict[str, Any] = json.loads(Path(os.environ["EXPORTSITE_STATE"]).read_text())["pids"]
    return int(pids[name])


def _proxy(url: str) -> Proxy:
    """Nothing goes through that of sentinels, who tell addresses of others."""
    parts = urlsplit("" if url.startswith(SENTINEL) else url)
    return Proxy(parts.hostname or "127.0.0.1", parts.port or 80)


def _behind(url: str, proxy: Proxy) -> str:
    parts = urlsplit(url)
    login = f"{parts.username or ''}:{parts.password}@" if parts.password else ""
    return urlunsplit(parts._replace(netloc=f"{login}127.0.0.1:{proxy.port}"))


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])
