"""Behind Debian's PgBouncer, in both of its modes that a site can use, and while it is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.db.models.functions import Now

from exports_app import lifecycle, services
from exports_app.choices import Status
from exports_app.models import ExportJob
from exportsite.stack.pgbouncer import Pooler
from tests.api_keys.making import bearer
from tests.jobs import fill_customers, request
from tests.pgbouncer import pooler
from tests.web_server import serve, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 5_000
WORK = """
import django; django.setup()
import sys, time
from exports_app.pipeline.sources import counting
from workers import run
counting.BESIDE_SECONDS = 0.0
while (decision := run.run_next(sys.argv[1])) is not None:
    time.sleep(decision.delay)
"""


@pytest.fixture(scope="module", params=["session", "transaction"])
def pgbouncer(request: pytest.FixtureRequest, django_db_setup: None) -> Iterator[Pooler]:
    with pooler(request.param) as running:
        yield running


@contextmanager
def worker(url: str, queue: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Works off the queue, and tries again what is to be tried again; its database is that of ``url``."""
    own = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "exportsite.settings", **environment}
    process = subprocess.Popen([sys.executable, "-c", WORK, queue], cwd=django_settings.BASE_DIR, env=os.environ | own)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def ask(alice: User, **values: Any) -> ExportJob:
    return services.request_export(alice, request(**values))[0]


@pytest.mark.parametrize("format_", ["csv", "xlsx", "parquet"])
def test_a_worker_makes_proven_files_through_it(pgbouncer: Pooler, alice: User, format_: str) -> None:
    fill_customers(ROWS)
    job = ask(alice, format=format_)
    with worker(pgbouncer.url, job.queue) as process:
        assert process.wait(60) == 0
    job.refresh_from_db()
    services.discard_file(job)
    assert (job.status, job.row_count, job.rows_verified) == (Status.COMPLETED, ROWS, True)
    assert (job.failures, job.crashes, job.warnings) == (0, 0, [])


@pytest.mark.parametrize("size", ["0", "2"])
def test_the_site_answers_through_it(pgbouncer: Pooler, alice: User, size: str) -> None:
    fill_customers(10)
    headers = bearer(alice)
    with serve(DATABASE_URL=pgbouncer.url, DATABASE_POOL=size, EXPORTS_RATE="") as web:
        api, body = f"{web.url}/api/v1", {"resource": "customers"}
        for _ in range(3):
            made = requests.post(f"{api}/exports/", headers=headers, json=body, timeout=30)
            listed = requests.get(f"{api}/exports/", headers=headers, timeout=30)
            sent = requests.post(f"{api}/exports/download/", headers=headers, json=body, timeout=30)
            assert (made.status_code, listed.status_code, sent.status_code) == (202, 200, 200)
            assert sent.text.count("Customer ") == 10


@pytest.mark.skipif(not os.environ.get("POOLER_OUTAGE"), reason="POOLER_OUTAGE=1 runs it; it takes half a minute")
def test_its_outage_costs_a_run_neither_an_attempt_nor_a_crash(alice: User, settings: Any) -> None:
    settings.EXPORTS_LEASE_SECONDS, settings.EXPORTS_SWEEP_SECONDS = 4, 1
    fill_customers(400_000)
    job = ask(alice)
    running = ExportJob.objects.filter(pk=job.pk, status=Status.RUNNING)
    lifecycle.take_back_lost()  # the last sweep before
    with pooler("transaction") as pgbouncer, worker(pgbouncer.url, job.queue, EXPORTS_LEASE_SECONDS="4") as process:
        wait_until(running.filter(rows_done__gt=0).exists, 60)
        pgbouncer.stop()
        wait_until(lambda: not running.filter(lease_expires_at__gt=Now()).exists(), 30)
        pgbouncer.start()
        assert lifecycle.take_back_lost() == []  # the first one behind it
        assert process.wait(60) == 0
    job.refresh_from_db()
    services.discard_file(job)
    assert (job.status, job.row_count, job.rows_verified) == (Status.COMPLETED, 400_000, True)
    assert (job.failures, job.crashes) == (0, 0)
    assert job.events.filter(kind="retry", data__counts=False).count() == 1
