"""How many exports a worker runs at once where nobody says (``-c auto``): as many as cores and memory bear."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from celery.utils.sysinfo import cpu_budget  # type: ignore[attr-defined]  # its stubs are of an older Celery

from exports_app import conf
from exports_app.choices import Queue

SMALL_PER_CORE = 2
"""Small exports wait for PostgreSQL and the storage for half of their time."""
LEAST_LARGE = 3
"""So many run at once on any machine, since a large one may take an hour."""
OTHERS = 2
"""Of upkeep and mail: one of them may wait for a slow address."""
IDLE_MB = 160
"""Memory of a child that waits."""
BESIDE_MB = 414
"""Memory of what stands beside the children: their parent 200, the health check 150, ``/tmp`` 64."""
MIB = 1_048_576
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where a container finds its own limit of memory."""
MEMORY = Path("/proc/meminfo")


def wanted(queues: Iterable[str], cores: int) -> int:
    """Children for these queues, by the cores alone."""
    served = set(queues)
    if Queue.SMALL in served:
        return SMALL_PER_CORE * cores
    return max(LEAST_LARGE, cores) if Queue.LARGE in served else OTHERS


def fitting(megabytes: int) -> int:
    """Children that may all use what they are allowed to; at least one."""
    return max(1, (megabytes - BESIDE_MB) // (IDLE_MB + conf.settings.MEMORY_HARD_LIMIT_MB))


def chosen(queues: Iterable[str]) -> int:
    """Children of a worker for these queues on this machine, or in this container."""
    return min(wanted(queues, cpu_budget().count), fitting(memory_mb()))


def memory_mb() -> int:
    """Memory of this container; that of the machine where it has no limit of its own."""
    found = [int(next(line.split()[1] for line in MEMORY.read_text().splitlines() if "MemTotal" in line)) // 1024]
    for path in LIMITS:
        with suppress(OSError, ValueError):  # another kind of cgroup, or "max"
            found.append(int(path.read_text()) // MIB)
    return min(found)
