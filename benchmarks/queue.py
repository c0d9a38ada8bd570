"""What a queue costs that is long: milliseconds of a claim, of one job's place, of a page's places and of a sweep.

``python -m benchmarks.queue [CALLS]``, beside services, in a database of its own. Jobs waiting by owners by statistics:
``absent`` (never analysed), ``stale`` (of a time when the queue was empty), ``fresh``. Each figure is the p95 of CALLS
(500) warm calls, each with its commit, less the p95 of an empty commit.
"""

from __future__ import annotations

import multiprocessing
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import django
from django.conf import settings
from django.db import connection, transaction

JOBS = (10, 1_000, 100_000)
OWNERS = (1, 20, 10_000)
CLAIMERS = 8
ACQUIRED = re.compile(r"acquired .* after ([\d.]+) ms")
TABLES = "exports_app_exportjob, exports_app_exportturn, exports_app_exportslot"
FILL = """
ALTER TABLE exports_app_exportjob DISABLE TRIGGER exports_app_turn;
INSERT INTO exports_app_exportjob (
    id, owner_id, created_at, resource, format, compression, columns, filters, parameters, options, context, notify,
    file_name, request_id, idempotency_hash, status, strategy, queue, estimate_exact, rows_done, bytes_done, warnings,
    snapshots, claim, failures, crashes, max_attempts, worker, file_key, upload_number, upload_id, write_token, crc32,
    etag, error_code, error_detail, error_trace, rung_at)
SELECT gen_random_uuid(), %(first)s + (n %% %(owners)s), clock_timestamp() - n * interval '1 ms', 'customers', 'csv',
       '',
       '[]', '{}', '{}', '{}', '{}', '{}', 'x.csv', '', '', 'queued', 'background', 'exports', false, 0, 0, '[]', '[]',
       0, 0, 0, 3, '', '', 0, '', '', '', '', '', '', '', clock_timestamp()
  FROM generate_series(1, %(jobs)s) AS n;
INSERT INTO exports_app_exportturn (owner_id, small, large, running, served_at)
SELECT owner_id, count(*), 0, 0, min(created_at) - interval '100 years' FROM exports_app_exportjob GROUP BY owner_id;
ALTER TABLE exports_app_exportjob ENABLE TRIGGER exports_app_turn
"""


def main() -> None:
    django.setup()
    from django.test.utils import get_runner

    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    runner = get_runner(settings)(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        measure(calls)
    finally:
        runner.teardown_databases(databases)


def measure(calls: int) -> None:
    settings.EXPORTS_SOURCE_MAX_RUNNING = 4
    empty = p95(calls, nothing)
    print(f"p95 of an empty commit: {empty:.2f} ms, taken off below")
    print(f"{'jobs':>8} {'owners':>7} {'statistics':>10} {'claim':>7} {'place':>7} {'page':>7} {'sweep':>7}   p95 ms")
    # In this order, since nobody but a superuser can take statistics back.
    for kind in ("absent", "stale", "fresh"):
        for jobs in JOBS:
            for owners in (each for each in OWNERS if each <= jobs):
                with queue(jobs, owners, kind) as wanted:
                    asked = (place(wanted), page(wanted), sweep)
                    figures = [p95(min(calls, jobs), claim), *(p95(calls, ask) for ask in asked)]
                told = " ".join(f"{max(0.0, each - empty):7.2f}" for each in figures)
                print(f"{jobs:8,} {owners:7,} {kind:>10} {told}", flush=True)
    claimers(calls)


@contextmanager
def queue(jobs: int, owners: int, kind: str) -> Iterator[list[Any]]:
    """So many jobs that wait; some of them, from the front, the middle and the end."""
    from django.contrib.auth.models import User

    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLES} CASCADE")
        for table in TABLES.split(", "):
            cursor.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        if kind == "stale":
            cursor.execute(f"ANALYZE {TABLES}")
        first = User.objects.order_by("pk").values_list("pk", flat=True).first()
        if User.objects.count() < max(OWNERS):
            User.objects.bulk_create([User(username=f"owner{number}") for number in range(max(OWNERS))], 1_000)
            first = User.objects.order_by("pk").values_list("pk", flat=True).first()
        for statement in FILL.split(";"):
            cursor.execute(statement, {"first": first, "owners": owners, "jobs": jobs})
        if kind == "fresh":
            cursor.execute(f"ANALYZE {TABLES}")
        cursor.execute("SELECT id FROM exports_app_exportjob ORDER BY created_at")
        found = [row[0] for row in cursor.fetchall()]
    yield [*found[:7], *found[len(found) // 2 :][:7], *found[-6:]]


def nothing() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT txid_current()")


def claim() -> None:
    """One job taken, and put where it frees its place."""
    from exports_app import lifecycle

    job = lifecycle.claim_next("exports", "bench")
    if job is not None:
        global _claimed
        _claimed = job.pk


_claimed: Any = None


def free() -> None:
    global _claimed
    if _claimed is not None:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE exports_app_exportjob SET status = 'cancelled', completed_at = now(), lease_expires_at = NULL "
                "WHERE id = %s",
                [_claimed],
            )
        _claimed = None


def place(wanted: list[Any]) -> Callable[[], object]:
    from exports_app import turns

    count = iter(range(1_000_000_000))
    return lambda: turns.places("exports", [wanted[next(count) % len(wanted)]])


def page(wanted: list[Any]) -> Callable[[], object]:
    from exports_app import turns

    return lambda: turns.places("exports", wanted)


def sweep() -> None:
    from exports_app import lifecycle

    lifecycle.due_queues()
    lifecycle.take_back_lost()


def p95(calls: int, call: Callable[[], object]) -> float:
    """Milliseconds; the first few calls are not counted."""
    times = []
    for number in range(calls + 10):
        began = time.perf_counter()
        call()
        spent = (time.perf_counter() - began) * 1000
        free()
        if number >= 10 or calls <= 10:
            times.append(spent)
    return statistics.quantiles(times, n=20)[-1]


def claimers(calls: int) -> None:
    """Eight processes at once: how long a claim takes, and how long it waited for locks, of one owner and of many."""
    settings.EXPORTS_SOURCE_MAX_RUNNING = 10_000
    for owners in (1, 20, 10_000):
        with queue(100_000, owners, "stale"):
            connection.close()  # none of the processes shall share it
            with multiprocessing.get_context("fork").Pool(CLAIMERS) as pool:
                found = [each for some in pool.map(take, [calls // CLAIMERS] * CLAIMERS, chunksize=1) for each in some]
        claims, waits = zip(*found, strict=True)
        told = " ".join(f"{name} {_middle_and_p95(values)}" for name, values in (("claim", claims), ("locks", waits)))
        print(f"eight claimers, {owners:,} owners: {told}", flush=True)


def take(calls: int) -> list[tuple[float, float]]:
    """What one claimer does: milliseconds of each claim, and those of them in which it waited for a lock.

    PostgreSQL tells of each wait that is longer than ``deadlock_timeout``, 1 ms here. Who may not set that
    (``GRANT SET ON PARAMETER deadlock_timeout, log_lock_waits``) gets an error.
    """
    from exports_app import lifecycle

    waited = [0.0]

    def note(told: Any) -> None:
        if found := ACQUIRED.search(told.message_primary or ""):
            waited[0] += float(found[1])

    times = []
    with connection.cursor() as cursor:
        cursor.execute("SET deadlock_timeout = 1; SET log_lock_waits = on; SET client_min_messages = log")
    connection.connection.add_notice_handler(note)
    for _ in range(calls):
        waited[0] = 0.0
        began = time.perf_counter()
        taken = lifecycle.claim_next("exports", "bench")
        times.append(((time.perf_counter() - began) * 1000, waited[0]))
        assert taken is not None
    connection.close()
    return times


def _middle_and_p95(values: Sequence[float]) -> str:
    return f"median {statistics.median(values):.2f}, p95 {statistics.quantiles(values, n=20)[-1]:.2f} ms;"


if __name__ == "__main__":
    main()
