"""How much memory a run may use: a soft limit that is checked, and a hard one that the kernel keeps.

The hard limit is one of data (``RLIMIT_DATA``), not of address space: Arrow, mimalloc and thread stacks map more
than a gigabyte that they never touch. Arrow's allocator is told to ask for memory as it needs it: by itself it would
take a gigabyte of that limit at its first use.
"""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path

from django.core.mail import mail_admins

from exports_app import conf, metrics
from exports_app.logs import log
from exports_app.pipeline.errors import MemoryLimit

MIB = 1_048_576
PAGE = resource.getpagesize()
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
"""Parameters of glibc's ``mallopt``."""

_runs = 1
"""How many runs share this process, and so its limits."""


def used() -> int:
    """Bytes of memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def limit_process(runs: int = 1) -> None:
    """Set the hard limit of this process, above what it has mapped so far; ``runs`` at once share it."""
    global _runs
    _runs = runs
    os.environ.setdefault("MIMALLOC_ARENA_EAGER_COMMIT", "0")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # Arrow loads it, and it begins a thread for each core
    _return_large_blocks()
    if not conf.settings.MEMORY_HARD_LIMIT_MB:
        return
    most = _mapped() + runs * conf.settings.MEMORY_HARD_LIMIT_MB * MIB
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _return_large_blocks() -> None:
    """Have glibc give freed parts and chunks back at once: a run to S3 then grows by 20 to 40 MB less.

    By itself it keeps blocks as large as those it has seen, for each thread. The environment, if it says anything
    of this, has the last word.
    """
    if {"MALLOC_MMAP_THRESHOLD_", "MALLOC_ARENA_MAX"} & os.environ.keys():
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none, nor the trouble
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 2)
        mallopt(M_MMAP_THRESHOLD, MIB)


def check() -> None:
    """Raises ``MemoryLimit`` where the process has more than the soft limit."""
    most = _runs * conf.settings.MEMORY_SOFT_LIMIT_MB
    if most and used() > most * MIB:
        raise MemoryLimit


def alert(job: str, *, hard: bool) -> None:
    """Tell the operators, by log and mail, that an export ran into one of the limits."""
    kind = "hard" if hard else "soft"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    log.error("export.memory.limit", job=job, limit=kind, peak_mb=peak)
    tell(
        f"Export {job} ran into the {kind} memory limit",
        f"The worker had used up to {peak} MB. {MemoryLimit.advice}",
        alert="memory_limit",
    )


def tell(subject: str, text: str, *, alert: metrics.Alert) -> None:
    """Mail to ``ADMINS``, and count it. What cannot be sent must not change how a run ends."""
    try:
        metrics.alert_raised(alert)
        mail_admins(subject, text)
    except Exception as error:  # whatever the mail's backend raises
        log.error("export.alert.unsent", subject=subject, error=type(error).__name__)


def _mapped() -> int:
    """Bytes that count for the limit of data."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0
