"""The site behind a real uvicorn, on the tests' database: for what only a socket shows."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import requests
from django.conf import settings
from django.db import connection

READY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class WebServer:
    """One process."""

    url: str
    process: subprocess.Popen[bytes]

    @property
    def memory(self) -> float:
        """MiB that it has resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024

    def connect(self, *, buffer: int | None = None) -> socket.socket:
        """A client's socket, with a small buffer where it shall be a slow one."""
        plain = socket.socket()
        if buffer is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        parts = urlsplit(self.url)
        plain.connect((parts.hostname, parts.port))
        plain.settimeout(10)
        return plain


@contextmanager
def serve(**environment: str) -> Iterator[WebServer]:
    """A server until the block is left; ``environment`` on top of ours."""
    given = urlsplit(os.environ["DATABASE_URL"])
    database = urlunsplit(given._replace(path=f"/{connection.settings_dict['NAME']}"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        command = [sys.executable, "-m", "uvicorn", "exportsite.asgi:application", "--fd", str(listening.fileno())]
        process = subprocess.Popen(
            [*command, "--log-level", "warning"],
            pass_fds=[listening.fileno()],
            cwd=settings.BASE_DIR,
            env=os.environ | {"DATABASE_URL": database, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(lambda: _answers(url), READY_SECONDS)
            yield WebServer(url, process)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def wait_until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Look ten times a second until it is so. Raises ``AssertionError`` when it takes longer."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"it was not so within {seconds:.0f} s"
        time.sleep(0.1)


def source_connections() -> int:
    """Connections by which exports read rows of the tests' database."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as observer:
        row = observer.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'exports' AND datname = %s",
            [connection.settings_dict["NAME"]],
        ).fetchone()
    return int(row[0]) if row else 0


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health/", timeout=5).status_code == 200
    except requests.RequestException:
        return False
