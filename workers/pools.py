"""Celery's pools: which ones run exports, and what each of them does not keep.

``prefork`` keeps all rules: a limit of memory for each run, a child that is replaced before it grows too large, limits
of time. ``solo`` has no child to replace, ``threads`` no memory of a run that could be told from another's.
"""

from __future__ import annotations

from typing import Any

from celery.utils.sysinfo import is_auto_concurrency  # type: ignore[attr-defined]  # its stubs are older
from django.core.exceptions import ImproperlyConfigured

from exports_app.logs import log
from workers import concurrency

PREFORK, SOLO, THREADS = "prefork", "solo", "threads"
NAMES = {
    "celery.concurrency.prefork": PREFORK,
    "celery.concurrency.solo": SOLO,
    "celery.concurrency.thread": THREADS,
}
"""By the module of the pool's class."""
GREEN = {"celery.concurrency.gevent": "gevent", "celery.concurrency.eventlet": "eventlet"}
WAY_OUT = "Start the worker with -P prefork, which is the default, -P solo or -P threads."
NOT_KEPT = {
    SOLO: "No process is replaced as it grows, no time limit ends a task, and a ping is answered between two exports.",
    THREADS: "EXPORT_MEMORY_SOFT_LIMIT_MB and EXPORT_MEMORY_HARD_LIMIT_MB hold for all runs together, times their "
    "number, so that a run may end with memory_limit for what another one uses. No process is replaced as it grows, "
    "and no time limit ends a task.",
}
"""What operators are told at the start."""


def settle(worker: Any) -> str:
    """Refuse what exports cannot run in, and choose how many run at once; gives the pool's name.

    Raises ``ImproperlyConfigured``.
    """
    pool = _name(worker.pool_cls)
    if pool == PREFORK and worker.pool_start_method != "fork":
        raise ImproperlyConfigured(
            "Exports do not run in children that are spawned: these do not hear that the worker stops, and would give "
            "no export back. Leave out --pool-start-method (worker_pool_start_method), or set it to fork."
        )
    if is_auto_concurrency(worker.concurrency):
        worker.concurrency = concurrency.chosen(worker.app.amqp.queues.consume_from)
    if pool == SOLO:
        worker.concurrency = 1
    log.info("export.worker.pool", pool=pool, concurrency=worker.concurrency)
    if pool in NOT_KEPT:
        log.warning("export.worker.rules", pool=pool, not_kept=NOT_KEPT[pool])
    return pool


def _name(pool: Any) -> str:
    """Of a pool's class, or of the path of one. Raises ``ImproperlyConfigured``."""
    module = pool.partition(":")[0] if isinstance(pool, str) else pool.__module__
    if green := GREEN.get(module, module if module in GREEN.values() else ""):
        raise ImproperlyConfigured(
            f"Exports do not run in the pool {green}: libpq and compression would hold up its loop, and with it the "
            f"leases of all that run. {WAY_OUT}"
        )
    if found := NAMES.get(module, module if module in NAMES.values() else ""):
        return found
    raise ImproperlyConfigured(f"Exports do not run in the pool {module}, which was never tried. {WAY_OUT}")
