"""``python -m tests.working.limited USER``: exports run in children that lack memory, address space, threads or files.

As in a worker, a parent that has no connection loads what all need, and forks a child for each case. For each it prints
one line of JSON: format, limit, amount, the child's exit status, status and error of the job.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import django

MIB = 1_048_576
NOBODY = 54_321
"""A user without any other process: limits of processes hold for all of a user's, and never for root's."""
KEEP_CAPABILITIES, READ_ALL, CAPABILITIES_3 = 8, 1 << 2, 0x20080522
FORMS = ("csv", "csv.gz", "json", "ndjson", "xlsx", "parquet")
LIMITS = {
    "threads": (1, 2, 3, 4, 6),
    "files": (2, 4, 6),
    "data": (4, 16, 24, 48, 80),
    "address space": (4, 16, 32, 64, 128, 256),
}
"""Threads in all; files, and megabytes, beyond what the child has at its start."""


def now(name: str) -> int:
    """Bytes of this process, by its name in ``/proc``."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:"))) * 1024


def lower(what: int, most: int) -> None:
    resource.setrlimit(what, (most, most))


def limit_threads(most: int) -> None:
    lower(resource.RLIMIT_NPROC, most)
    if os.getuid() == 0:
        libc = ctypes.CDLL(None)
        libc.prctl(KEEP_CAPABILITIES, 1)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        header = (ctypes.c_uint32 * 2)(CAPABILITIES_3, 0)
        libc.capset(header, (ctypes.c_uint32 * 6)(READ_ALL, READ_ALL, 0, 0, 0, 0))  # libraries may be root's alone


ACTS: dict[str, Callable[[int], None]] = {
    "threads": limit_threads,
    "files": lambda more: lower(resource.RLIMIT_NOFILE, len(os.listdir("/proc/self/fd")) - 1 + more),
    "data": lambda more: lower(resource.RLIMIT_DATA, now("VmData") + more * MIB),
    "address space": lambda more: lower(resource.RLIMIT_AS, now("VmSize") + more * MIB),
}


def run_limited(user: str, form: str, limit: str, amount: int) -> None:
    from django.contrib.auth.models import User
    from django.db import connection

    from exports_app import dispatch, services
    from exports_app.models import ExportJob
    from exports_app.plan import Request
    from workers import memory, run

    dispatch.ring = lambda queue: True
    ExportJob.objects.all().delete()
    name, _, packed = form.partition(".")
    asked = Request(resource="customers", format=name, compression="gzip" if packed else None)
    job, _ = services.request_export(User.objects.get(username=user), asked)
    connection.close()
    memory.limit_process()
    ACTS[limit](amount)
    run.run_next(job.queue)


def tell(form: str, limit: str, amount: int, status: int) -> None:
    from exports_app.models import ExportJob

    job = ExportJob.objects.get()
    trace = job.error_trace if job.error_code == "internal" else ""
    print(json.dumps([form, limit, amount, status, job.status, job.error_code, trace]), flush=True)  # noqa: T201


def in_child(act: Callable[[], None]) -> int:
    """Its exit status, or the negative number of the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            act()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(user: str) -> None:
    django.setup()
    from workers import tasks

    tasks.load_what_all_need()
    for form in FORMS if len(sys.argv) < 3 else sys.argv[2:]:
        for limit, amounts in LIMITS.items():
            for amount in amounts:
                status = in_child(lambda: run_limited(user, form, limit, amount))  # noqa: B023 - over before the next
                in_child(lambda: tell(form, limit, amount, status))  # noqa: B023


if __name__ == "__main__":
    main(sys.argv[1])
