"""The running site that is measured, and what its processes have used."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from statistics import quantiles
from typing import Any, NamedTuple

import psycopg
import requests


class Usage(NamedTuple):
    """Milliseconds of processor time; unlike the time of a call they hardly depend on who else is at work."""

    web: float
    postgres: float


def url(path: str) -> str:
    return f"{os.environ['EXPORTSITE_URL']}/api/v1{path}"


def process(name: str) -> int:
    """Number of one of the stack's processes."""
    return int(json.loads(Path(os.environ["EXPORTSITE_STATE"]).read_text())["pids"][name])


def usage() -> Usage:
    """What has been used so far."""
    return Usage(_milliseconds(_family(process("web"))), _milliseconds(_family(process("postgres"))))


def _family(pid: int) -> int:
    """Ticks of a process and all its children, those that have ended too."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(_ticks(pid)) + sum(sum(_ticks(int(child))[:2]) for child in children)


def _ticks(pid: int) -> list[int]:
    """Of the process in user and kernel mode, and of its children that have ended; nothing where it has itself."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
    return [int(field) for field in fields[11:15]]


def _milliseconds(ticks: int) -> float:
    return ticks * 1000 / os.sysconf("SC_CLK_TCK")


def percentiles(took: list[float]) -> tuple[float, float, float]:
    """p50, p95, p99."""
    cuts = quantiles(took, n=100)
    return cuts[49], cuts[94], cuts[98]


def await_idle(seconds: float = 300.0) -> None:
    """Wait until no export is queued or running. Raises ``TimeoutError``."""
    over = time.monotonic() + seconds
    statement = "SELECT count(*) FROM exports_app_exportjob WHERE status IN ('queued', 'running')"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        while connection.execute(statement).fetchone() != (0,):
            if time.monotonic() > over:
                raise TimeoutError("the exports did not end")
            time.sleep(0.05)


def warm(session: requests.Session, method: str, path: str, **values: Any) -> None:
    """Have the server import what a call needs, and have its connection made."""
    for _ in range(3):
        answer = session.request(method, url(path), timeout=60, **values)
        answer.raise_for_status()
