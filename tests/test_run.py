"""One job from request to file, in this process, against the real database and storage."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection

from exports_app import dispatch, services
from exports_app.choices import Status
from exports_app.models import ExportJob
from exports_app.pipeline.sources import counting, plans
from exports_app.resources import register, registry
from tests.jobs import FIVE_MIB, bucket, fill_customers, finish, read_object, request, upload_ids
from workers import run, upkeep

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def clean_bucket() -> Iterator[None]:
    yield
    for job in ExportJob.objects.exclude(file_key=""):
        services.discard_file(job)


def test_a_small_export_is_completed_with_its_proof(alice: User) -> None:
    call_command("load_samples", rows=100, verbosity=0)
    job = finish(alice)
    data = read_object(job)
    assert job.status == Status.COMPLETED
    assert job.row_count == 100
    assert job.file_size == len(data)
    assert job.crc32 == f"{zlib.crc32(data):08x}"
    assert len(job.snapshots) == 1
    assert data.startswith(b'"ID",')


def test_the_next_small_exports_begin_without_a_bell_and_the_rest_are_rung_for(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_customers(10)
    jobs = [services.request_export(alice, request())[0] for _ in range(3)]
    rung: list[str] = []
    monkeypatch.setattr(dispatch, "ring", rung.append)

    assert run.run_next("exports", seconds=60.0) is None
    for job in jobs:
        job.refresh_from_db()
    assert [job.status for job in jobs] == [Status.COMPLETED] * 3
    assert rung == []

    jobs = [services.request_export(alice, request())[0] for _ in range(3)]
    rung.clear()
    assert run.run_next("exports") is None
    assert ExportJob.objects.filter(status=Status.QUEUED).count() == 2
    assert rung == ["exports"]


def test_a_file_of_many_parts_agrees_with_everything_the_job_says(alice: User, settings: Any) -> None:
    settings.EXPORTS_PART_SIZE = FIVE_MIB
    fill_customers(150_000)
    job = finish(alice)
    data = read_object(job)
    head = bucket().Object(job.file_key).get()
    parts = list(job.parts.all())
    digests = b"".join(hashlib.md5(data[part.offset : part.offset + part.size]).digest() for part in parts)
    assert len(parts) >= 2
    assert head["ETag"].strip('"') == f"{hashlib.md5(digests).hexdigest()}-{len(parts)}" == job.etag
    assert head["Metadata"] == {"write-mark": job.upload().mark}
    assert (len(data), head["ContentLength"]) == (job.file_size, job.file_size)
    assert f"{zlib.crc32(data):08x}" == job.crc32
    assert job.row_count == 150_000


def worker_process() -> subprocess.Popen[bytes]:
    """Another process that runs one job of the small queue and ends."""
    url = connection.settings_dict
    database = f"postgresql://{url['USER']}:{url['PASSWORD']}@{url['HOST']}:{url['PORT']}/{url['NAME']}"
    code = "import django; django.setup(); from workers import run; run.run_next('exports')"
    environment = os.environ | {"DATABASE_URL": database, "EXPORTS_PART_SIZE": str(FIVE_MIB)}
    environment["DJANGO_SETTINGS_MODULE"] = "exportsite.settings"
    return subprocess.Popen([sys.executable, "-c", code], env=environment)


def wait_for_parts(job: ExportJob, number: int) -> None:
    deadline = time.monotonic() + 60
    while job.parts.count() < number:
        assert time.monotonic() < deadline
        job.refresh_from_db()
        assert job.status in (Status.QUEUED, Status.RUNNING)


def test_a_killed_exporter_leaves_no_file_and_the_next_one_goes_on(alice: User, settings: Any) -> None:
    settings.EXPORTS_PART_SIZE = FIVE_MIB
    settings.EXPORTS_STREAM_MAX_ROWS = 1_000_000
    fill_customers(200_000)
    undisturbed = read_object(finish(alice))
    job, _ = services.request_export(alice, request())
    process = worker_process()
    wait_for_parts(job, 1)
    process.kill()
    process.wait()
    job.refresh_from_db()
    assert (job.status, job.row_count, job.crc32) == (Status.RUNNING, None, "")
    with pytest.raises(bucket().meta.client.exceptions.NoSuchKey):
        read_object(job)
    done_before = job.parts.count()
    ExportJob.objects.filter(pk=job.pk).update(lease_expires_at="2020-01-01T00:00:00Z")
    upkeep.sweep()
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert job.status == Status.COMPLETED
    assert read_object(job) == undisturbed
    assert [part.claim for part in job.parts.all()][:done_before] == [1] * done_before
    assert {part.claim for part in job.parts.all()} == {1, 2}
    assert [each["rows_before"] for each in job.snapshots] == [0, job.parts.all()[done_before - 1].rows]
    assert upload_ids(job) == []


def test_a_job_cancelled_under_its_worker_leaves_nothing(alice: User, settings: Any) -> None:
    settings.EXPORTS_STREAM_MAX_ROWS = 1_000_000
    fill_customers(200_000)
    job, _ = services.request_export(alice, request())
    process = worker_process()
    wait_for_parts(job, 1)
    services.cancel_export(job, by=job.owner)
    assert process.wait(timeout=60) == 0
    job.refresh_from_db()
    assert (job.status, job.row_count) == (Status.CANCELLED, None)
    assert upload_ids(job) == []
    with pytest.raises(bucket().meta.client.exceptions.NoSuchKey):
        read_object(job)


@pytest.mark.parametrize(
    ("withdraw", "code"),
    [
        (lambda user: user.user_permissions.clear(), "permission_lost"),
        (lambda user: registry.unregister("customers"), "resource_gone"),
    ],
)
def test_what_was_withdrawn_while_a_job_waited_ends_it(
    alice: User, withdraw: Any, code: str, restored_registry: None
) -> None:
    job, _ = services.request_export(alice, request())
    withdraw(alice)
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.error_code, job.failures, job.row_count) == (Status.FAILED, code, 0, None)


@pytest.fixture
def restored_registry() -> Iterator[None]:
    declared = registry.get("customers")
    yield
    if registry.get("customers") is None and declared is not None:
        register("customers")(declared)


def test_a_run_ends_with_too_many_rows_where_the_estimate_did_not_know(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from exportsite.samples.exports import CustomerExport

    job, _ = services.request_export(alice, request())
    call_command("load_samples", rows=11, verbosity=0)
    monkeypatch.setattr(CustomerExport, "max_rows", 10)
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.FAILED, "too_many_rows")
    with pytest.raises(bucket().meta.client.exceptions.NoSuchKey):
        read_object(job)


def test_an_empty_table_is_a_file_with_a_header(alice: User) -> None:
    job = finish(alice, columns=["id", "name"])
    assert read_object(job) == b'"ID",Name\n'
    assert (job.row_count, job.file_size) == (0, 10)


@pytest.mark.parametrize("sorts", [False, True])
@pytest.mark.parametrize(("limit", "rows"), [(0, 300), (100, 100), (299, 299), (300, 300), (301, 300)])
def test_a_statement_whose_rows_are_all_read_is_not_cancelled(
    limit: int, rows: int, sorts: bool, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "has_sort", lambda _: sorts)  # True: one statement for all rows
    cancels: list[psycopg.Connection[Any]] = []
    monkeypatch.setattr(psycopg.Connection, "cancel_safe", lambda self, **_: cancels.append(self))
    monkeypatch.setattr(counting, "BESIDE_SECONDS", 60)  # a count beside the reading is cancelled where it is late
    fill_customers(300)
    job = finish(alice, limit=limit or None)
    assert (job.status, job.row_count, job.rows_verified, len(cancels)) == (Status.COMPLETED, rows, True, 0)
