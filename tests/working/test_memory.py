"""A worker of one child makes every format of a million rows within 256 MB, its parent included.

With ``MILLION_ROWS=1`` alone: it takes a few minutes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection

from exports_app import dispatch, services
from exports_app.choices import Status
from exports_app.models import ExportJob
from tests.jobs import bucket, fill_customers, request
from tests.web_server import wait_until
from tests.working.workers import Worker, at_work

pytestmark = [
    pytest.mark.skipif(not os.environ.get("MILLION_ROWS"), reason="MILLION_ROWS=1 runs it"),
    pytest.mark.django_db(transaction=True),
]
ROWS = 1_000_000
LIMIT_MB = 256
MIB = 1_048_576
PATIENCE = 300
V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Room:
    """A cgroup with a limit of memory, which the kernel keeps by killing."""

    folder: Path
    limit: str
    peak: str

    @property
    def peak_mb(self) -> float:
        return int((self.folder / self.peak).read_text()) / MIB

    @property
    def command(self) -> list[str]:
        return ["sh", "-c", f'echo $$ > {self.folder}/cgroup.procs && exec "$@"', "sh"]


KINDS = [(V1, "memory.limit_in_bytes", "memory.max_usage_in_bytes"), (V2, "memory.max", "memory.peak")]


@contextmanager
def room() -> Iterator[Room | None]:
    """None: this machine lets us make none."""
    made = next(filter(_is_made, (Room(parent / f"exports-{os.getpid()}", *files) for parent, *files in KINDS)), None)
    try:
        yield made
    finally:
        if made is not None:
            members = made.folder / "cgroup.procs"
            wait_until(lambda: not members.read_text())
            made.folder.rmdir()


def _is_made(room: Room) -> bool:
    try:
        room.folder.mkdir()
    except OSError:
        return False
    try:
        (room.folder / room.limit).write_text(str(LIMIT_MB * MIB))
        return room.peak_mb >= 0
    except OSError:
        room.folder.rmdir()
        return False


def shared_mb(pids: list[int]) -> float:
    """Memory of these processes, pages that several have counted once."""
    found = 0
    for pid in pids:
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            found += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return found / 1024


def watch(job: ExportJob, worker: Worker) -> float:
    """Wait for the end of the export; the most memory that the worker had meanwhile."""
    peak, ends = 0.0, time.monotonic() + PATIENCE
    while job.status in (Status.QUEUED, Status.RUNNING):
        assert time.monotonic() < ends, worker.said[-2_000:]
        peak = max(peak, shared_mb(worker.pids))
        time.sleep(0.05)
        job.refresh_from_db()
    return peak


def test_every_format_of_a_million_rows_fits(
    alice: User, real_bell: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill_customers(ROWS)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE samples_customer")
    forms = [("csv", ""), ("csv", "gzip"), ("json", ""), ("ndjson", ""), ("xlsx", ""), ("parquet", "")]
    ended, figures = {}, []
    with room() as limited, at_work(tmp_path / "log", "-c", "1", within=limited.command if limited else ()) as worker:
        for name, compression in forms:
            began = time.monotonic()
            job, _ = services.request_export(alice, request(format=name, compression=compression or None))
            dispatch.ring(job.queue)
            peak = watch(job, worker)
            ended[name + compression] = (job.status, job.row_count, job.claim)
            seconds = time.monotonic() - began
            figures.append(f"{name + compression:8} {seconds:5.1f} s, most of parent and child {peak:4.0f} MB")
            bucket().Object(job.file_key).delete()
        if limited:
            figures.append(f"cgroup of {LIMIT_MB} MB: most {limited.peak_mb:.0f} MB with the page cache")
    with capsys.disabled():
        print("", *figures, sep="\n")  # noqa: T201 - figures to be read
    assert ended == {name + compression: (Status.COMPLETED, ROWS, 1) for name, compression in forms}
