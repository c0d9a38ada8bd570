"""The tasks: doorways. What they do is in ``run``, ``notify``, ``upkeep`` and the engine."""

from __future__ import annotations

import gc
from typing import Any

from celery import Task, shared_task
from celery.signals import (
    heartbeat_sent,
    worker_init,
    worker_process_init,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connection

from exports_app import orphans, retention, spare, storage, storage_rights, upgrades
from exports_app.dispatch import NOTIFY_NEXT, RUN_NEXT
from exports_app.errors import NotMigrated
from exports_app.pipeline import errors
from exports_app.pipeline.errors import PipelineError
from exports_app.pipeline.formats import get_format
from workers import lease, memory, notify, pools, presence, run, upkeep
from workers.notify.base import TIME_LIMIT

TERMINAL = tuple(each for each in errors.every() if each.terminal and each is not PipelineError)
"""Never retried: the job has failed, and its row says why."""

TOGETHER_SECONDS = 1.0
"""So long after a bell was heard, another job begins without one."""


@shared_task(name=RUN_NEXT, bind=True, max_retries=None, dont_autoretry_for=TERMINAL)
def run_next(self: Task[Any, Any], queue: str) -> None:
    """Run the job whose turn it is in ``queue``, and small ones behind it; the message is only the doorbell."""
    decision = run.run_next(queue, seconds=TOGETHER_SECONDS)
    if decision is not None:
        raise self.retry(countdown=decision.delay, exc=PipelineError(decision.code))


@shared_task(name=NOTIFY_NEXT, ignore_result=True, soft_time_limit=TIME_LIMIT, time_limit=TIME_LIMIT + 10)
def notify_next() -> None:
    """Send the notification whose turn it is; the message is only the doorbell."""
    notify.notify_next()


@shared_task(name="exports.sweep", ignore_result=True)
def sweep() -> None:
    """Take back what lost workers had, and ring for what nobody took."""
    upkeep.sweep()


@shared_task(name="exports.prune", ignore_result=True)
def prune() -> None:
    """Delete expired files and old rows, in rounds: between two of them others have their turn."""
    if retention.prune().more:
        prune.apply_async(queue="maintenance", retry=False)


@shared_task(name="exports.sweep_orphans", ignore_result=True)
def sweep_orphans() -> None:
    """Remove what the storage holds that no job owns."""
    orphans.sweep()


@worker_init.connect
def refuse_tables_of_before(**_: object) -> None:
    """End at once, and say what to do, where the database is not migrated. One that is away is waited for."""
    try:
        lacking = upgrades.missing()
    except (DatabaseError, InterfaceError):
        return
    finally:
        connection.close()  # children shall not share it
    if lacking:
        raise SystemExit(f"{NotMigrated()} It lacks of exports_app: {', '.join(lacking)}.")


@worker_init.connect
def settle_pool(sender: Any, **_: object) -> None:
    """Before there is a pool. Celery logs what a receiver raises and goes on, unless it is ``SystemExit``."""
    try:
        pool = pools.settle(sender)
    except ImproperlyConfigured as error:
        raise SystemExit(f"The worker does not start. {error}") from error
    if pool == pools.THREADS:  # which has no children to limit
        memory.limit_process(runs=sender.concurrency)
    presence.in_thread = pool == pools.SOLO


@worker_init.connect
def load_what_all_need(**_: object) -> None:
    """The store's client and the text formats take a second and 30 MB: loaded before the fork, children share them.

    The client has no connection before its first call, so none is shared. A storage that refuses what exports need
    is said now, before any row is read.
    """
    try:
        storage_rights.require()
    except storage_rights.Missing as error:
        raise SystemExit(f"The worker does not start. {error}") from error
    storage.store()
    for name in ("csv", "json", "ndjson"):
        get_format(name)


@worker_ready.connect
def begin(sender: Any, **_: object) -> None:
    """A worker that comes up finds at once what was left while none was there, and says that it is there."""
    sweep.apply_async(queue="maintenance", retry=False)
    presence.begin(sender.hostname, [queue.name for queue in sender.task_consumer.queues])


@heartbeat_sent.connect
def go_on(**_: object) -> None:
    """In the worker's parent, every two seconds."""
    presence.go_on()


@worker_shutting_down.connect
def drain(**_: object) -> None:
    """Tell the pool's children to give their jobs back at the next part."""
    lease.draining.value = 1
    presence.end()


@worker_shutdown.connect
def end_at_once(**_: object) -> None:
    """Spare the interpreter looking through everything at its end: half a second of CPU."""
    gc.freeze()


@worker_process_init.connect
def begin_child(**_: object) -> None:
    """Each child has its own limit of memory, and keeps a connection; with ``solo`` the worker itself is that child."""
    memory.limit_process()
    spare.keep()
