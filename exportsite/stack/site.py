"""The site's own processes: web, workers, beat, and the commands that prepare them."""

from __future__ import annotations

import json
import os
import signal
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from celery import Celery
from psycopg import sql

from exports_app import redis_urls
from exportsite.stack.folder import Folder
from exportsite.stack.ports import HOST
from exportsite.stack.supervisor import Program, Supervisor

PROJECT = Path(__file__).resolve().parents[2]
PING_SECONDS = 1.0
POOL = "10"  # connections that the web process keeps; workers keep their own and need none
STREAMS_SECONDS = 2  # open event streams may hold up the end of the web process this long
WITHOUT_POOL = {"DATABASE_POOL": "0"}

# One line per kind of worker process: its queues, and the variable that says how many of them it does at once. Small
# exports never wait behind large ones, and the upkeep that rescues both waits behind neither. Webhooks may have to wait
# for addresses that are slow to answer, so no export waits behind them.
WORKERS = {
    "worker": ("exports", "WORKER_CONCURRENCY"),
    "worker-large": ("exports.large", "WORKER_LARGE_CONCURRENCY"),
}
MAINTENANCE = {"maintenance": ("maintenance,notifications", "MAINTENANCE_CONCURRENCY")}
AS_THE_MACHINE_BEARS = "auto"

MALLOC = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "1048576"}
"""glibc gives large blocks back at once: a worker's growth over 3,000,000 rows is 51 MB in place of 76."""


@dataclass(frozen=True, slots=True)
class Site:
    supervisor: Supervisor
    folder: Folder
    env: Mapping[str, str]
    port: int
    workers: int
    is_disposable: bool
    """No work of it outlives the stack, so it may be killed instead of asked."""

    def migrate(self) -> None:
        self._manage("migrate", "--noinput")

    def create_demo_users(self) -> dict[str, str]:
        """The users of the samples; an API token for each."""
        printed = self._manage("demo_users", "--tokens")
        tokens: dict[str, str] = json.loads(printed.splitlines()[-1])
        return tokens

    def load_samples(self, rows: int) -> bool:
        """Load them unless this database has them; whether it did."""
        mark = f"{rows} sample rows"
        with psycopg.connect(self.env["DATABASE_URL"], autocommit=True) as connection:
            found = connection.execute("SELECT obj_description('samples_customer'::regclass)").fetchone()
            if found == (mark,):
                return False
            self._manage("load_samples", "--rows", str(rows))
            connection.execute(sql.SQL("COMMENT ON TABLE samples_customer IS {}").format(mark))
        return True

    def start(self) -> None:
        self.supervisor.start(self._web())
        for program in self.programs():
            self.supervisor.start(program)
        self.supervisor.start(self._beat())

    def programs(self) -> list[Program]:
        """The workers."""
        return [
            self._worker(name, queues, self.env.get(variable) or AS_THE_MACHINE_BEARS)
            for name, queues, variable in self._worker_kinds()
        ]

    def await_ready(self) -> None:
        self.supervisor.await_ready("web", self._probe_web)
        self.supervisor.await_ready("worker-1", self._probe_workers)

    def worker_names(self) -> list[str]:
        return [name for name, _, _ in self._worker_kinds()]

    def _worker_kinds(self) -> list[tuple[str, str, str]]:
        numbered = [
            (f"{kind}-{number}", *what) for number in range(1, self.workers + 1) for kind, what in WORKERS.items()
        ]
        return numbered + [(kind, *what) for kind, what in MAINTENANCE.items()]

    def _probe_web(self) -> None:
        with urllib.request.urlopen(f"{address(self.port)}/health/ready/", timeout=5):  # noqa: S310 - our own address
            pass

    def _probe_workers(self) -> None:
        """Every worker answers a ping over the broker."""
        names = {_node(name) for name in self.worker_names()}
        broker, options = redis_urls.broker(self.env["REDIS_URL"])
        with Celery(broker=broker) as app:
            app.conf.broker_transport_options = options
            answers = app.control.ping(destination=list(names), timeout=PING_SECONDS) or []
        silent = names.difference(*answers)
        if silent:
            raise TimeoutError(f"no answer from {', '.join(sorted(silent))}")

    def _web(self) -> Program:
        return self._python(
            "web",
            "-m", "uvicorn", "exportsite.asgi:application",
            "--host", HOST,
            "--port", str(self.port),
            "--timeout-graceful-shutdown", str(STREAMS_SECONDS),
            env={"DATABASE_POOL": self.env.get("DATABASE_POOL", POOL)},
        )  # fmt: skip

    def _worker(self, name: str, queues: str, concurrency: str) -> Program:
        return self._python(
            name,
            "-m", "celery", "--app", "workers.celery", "worker",
            "--hostname", _node(name),
            "--queues", queues,
            "--concurrency", concurrency,
            "--loglevel", "INFO",
            "--without-gossip", "--without-mingle",
        )  # fmt: skip

    def _beat(self) -> Program:
        schedule = self.folder.folder("beat") / "schedule"
        return self._python(
            "beat",
            "-m", "celery", "--app", "workers.celery", "beat",
            "--schedule", str(schedule),
            "--pidfile", "",
            "--loglevel", "INFO",
        )  # fmt: skip

    def _manage(self, command: str, *arguments: str) -> str:
        return self.supervisor.run(self._python(command, "manage.py", command, *arguments))

    def _python(self, name: str, *arguments: str, env: Mapping[str, str] = WITHOUT_POOL) -> Program:
        return Program(
            name=name,
            argv=[sys.executable, *arguments],
            env={**self.env, **env},
            cwd=PROJECT,
            stop_signal=signal.SIGKILL if self.is_disposable else signal.SIGTERM,
        )


def address(port: int) -> str:
    return f"http://{HOST}:{port}"


def _node(name: str) -> str:
    return f"{name}@exportsite"


def site_environment(folder: Folder) -> dict[str, str]:
    """What the site and the person's command see, but for the services; what the caller has set stays."""
    ours = {
        "SECRET_KEY": folder.secret("secret_key"),
        "DEBUG": "1",
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "EMAIL_URL": f"file:///{folder.mail}",
        "EXPORTS_RATE": "",
        "DJANGO_SETTINGS_MODULE": "exportsite.settings",
        "PYTHONUNBUFFERED": "1",
    }
    return {**ours, **MALLOC, **os.environ, "EXPORTSITE_MAIL_DIR": str(folder.mail)}
