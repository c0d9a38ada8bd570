"""What the site needs to do its work, each looked at for a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, router

from exports_app import errors, presence, storage, traces, upgrades
from exports_app.choices import Queue
from exports_app.connections import connect_source, source_url
from exports_app.logs import log
from exports_app.resources import registry

CHECK_SECONDS = 1.8
"""All checks together; one that takes longer has failed."""
KEEP_SECONDS = 1.0
"""Nobody who asks more often than this makes us look again."""
QUEUES = {*Queue.values, "maintenance", "notifications"}


class Missing(Exception):
    """Something answers, but not all of it is there."""


def check_database() -> None:
    """One query, on a connection of this thread."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


def check_migrations() -> None:
    """The tables are those of this code."""
    try:
        if lacking := upgrades.missing():
            raise Missing(f"{', '.join(lacking)}: run manage.py migrate")
    finally:
        connection.close()


def check_source() -> None:
    """Where rows are read, if that is another place than the database: replicas, and databases of resources' models."""
    models = [each.model for each in registry.every() if each.model is not None]
    others = {router.db_for_read(model) for model in models} - {DEFAULT_DB_ALIAS}
    others = {alias for alias in others if connections[alias].vendor == "postgresql"}
    for alias in sorted(others | {alias for alias in connections if source_url(alias)}):
        with connect_source(alias, connect_timeout=1) as source:
            source.execute("SELECT 1")


def check_workers() -> None:
    """Every queue has a worker."""
    if unserved := QUEUES - presence.served_queues():
        raise Missing(", ".join(sorted(unserved)))


CHECKS: dict[str, Callable[[], None]] = {
    "database": check_database,
    "migrations": check_migrations,
    "source": check_source,
    "redis": presence.ping,
    "s3": storage.check,
    "workers": check_workers,
}
ESSENTIAL = ("database", "migrations", "s3")
"""Without these nothing can be answered or fetched. Without Redis or workers, exports are accepted and wait."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """The last look, and when it was."""

    body: dict[str, Any]
    at: float


_lock = threading.Lock()
_last = Readiness({}, float("-inf"))


def look() -> dict[str, Any]:
    """``{"status", "detail"?, "checks": {name: {"ok", "ms"}}}``; says what is away, never where it is or why."""
    global _last
    with _lock:
        if time.monotonic() - _last.at > KEEP_SECONDS:
            _last = Readiness(_look(), time.monotonic())
        return _last.body


def _look() -> dict[str, Any]:
    storage.prepare()
    pool = ThreadPoolExecutor(len(CHECKS), thread_name_prefix="readiness")
    began = time.monotonic()
    futures = {name: pool.submit(_run, name, check) for name, check in CHECKS.items()}
    wait(futures.values(), timeout=CHECK_SECONDS)
    pool.shutdown(wait=False)
    late = {"ok": False, "ms": round((time.monotonic() - began) * 1000, 1)}
    checks = {name: future.result() if future.done() else late for name, future in futures.items()}
    down = any(not checks[name]["ok"] for name in ESSENTIAL)
    degraded = not all(each["ok"] for each in checks.values())
    behind = checks["database"]["ok"] and not checks["migrations"]["ok"]
    return {
        "status": "unavailable" if down else "degraded" if degraded else "ok",
        **({"detail": str(errors.NotMigrated())} if behind else {}),
        "checks": checks,
    }


def _run(name: str, check: Callable[[], None]) -> dict[str, Any]:
    began = time.monotonic()
    try:
        check()
        ok = True
    except Exception as error:  # whatever the client of the service raises
        detail = str(error) if isinstance(error, Missing) else traces.said(error)
        log.warning("export.ready.missing", what=name, error=type(error).__name__, detail=detail[:300])
        ok = False
    return {"ok": ok, "ms": round((time.monotonic() - began) * 1000, 1)}
