"""Celery's real workers on the tests' services, each a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import redis
from django.conf import settings
from django.db import connection

from tests.web_server import wait_until

READY_SECONDS = 60
STOP_SECONDS = 30
"""Less than a statement may wait."""
QUEUES = "exports,exports.large"


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker: its parent process, and what it writes."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text()

    @property
    def pids(self) -> list[int]:
        """Parent and children."""
        pid = self.process.pid
        listed = Path(f"/proc/{pid}/task/{pid}/children")
        return [pid, *map(int, listed.read_text().split())] if listed.exists() else [pid]

    def stop(self) -> int:
        """As an orchestrator does it, by SIGTERM; gives its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


def environment(**more: str) -> dict[str, str]:
    """What a process of the site needs to work on the tests' database."""
    given = urlsplit(os.environ["DATABASE_URL"])
    database = urlunsplit(given._replace(path=f"/{connection.settings_dict['NAME']}"))
    return os.environ | {"DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "exportsite.settings", **more}


def command(*options: str, name: str = "test", queues: str = QUEUES) -> list[str]:
    celery = [sys.executable, "-m", "celery", "-A", "workers.celery", "worker", "-n", f"{name}-{os.getpid()}@%h"]
    return [*celery, "-Q", queues, "--without-gossip", "--without-mingle", "-l", "INFO", *options]


@contextmanager
def at_work(
    log: Path, *options: str, queues: str = QUEUES, within: Sequence[str] = (), **more: str
) -> Iterator[Worker]:
    """A worker with these options of the command line, once it is ready; killed with its children at the end.

    ``within``: a command that has it as its arguments; ``more``: variables.
    """
    redis.Redis.from_url(os.environ["REDIS_URL"]).flushdb()  # bells of other tests
    with log.open("wb") as written:
        process = subprocess.Popen(
            [*within, *command(*options, name=log.name, queues=queues)],
            cwd=settings.BASE_DIR,
            env=environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            start_new_session=True,
        )
    worker = Worker(process, log)
    try:
        wait_until(lambda: " ready." in worker.said or process.poll() is not None, READY_SECONDS)
        yield worker
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
