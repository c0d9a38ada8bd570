"""One job from request to file, in this process, against the real database and storage."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from exports_app import services, storage
from exports_app.choices import Status
from exports_app.models import ExportJob
from exports_app.plan import Request
from workers import run

pytestmark = pytest.mark.django_db(transaction=True)

FIVE_MIB = 5 * 1024 * 1024


def request(**values: Any) -> Request:
    return Request(**{"resource": "customers", "filters": {}, "parameters": {}, "options": {}} | values)


def finish(user: User, **values: Any) -> ExportJob:
    """A job that was asked for and run."""
    job, _ = services.request_export(user, request(**values))
    assert run.run_next(job.queue) is None
    job.refresh_from_db()
    return job


def read_object(job: ExportJob) -> bytes:
    body: bytes = bucket().Object(job.file_key).get()["Body"].read()
    return body


def bucket() -> Any:
    """The bucket as boto3's resource knows it."""
    exports: Any = storage.exports_storage()
    return exports.bucket


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
    assert data.startswith(b"ID,")


def test_a_file_of_many_parts_agrees_with_everything_the_job_says(alice: User, settings: Any) -> None:
    settings.EXPORTS_PART_SIZE = FIVE_MIB
    call_command("load_samples", rows=150_000, verbosity=0)
    job = finish(alice)
    data = read_object(job)
    head = bucket().Object(job.file_key).get()
    parts = list(job.parts.all())
    digests = b"".join(hashlib.md5(data[part.offset : part.offset + part.size]).digest() for part in parts)
    assert len(parts) >= 2
    assert head["ETag"].strip('"') == f"{hashlib.md5(digests).hexdigest()}-{len(parts)}" == job.etag
    assert head["Metadata"] == {"write-token": job.write_token}
    assert (len(data), head["ContentLength"]) == (job.file_size, job.file_size)
    assert f"{zlib.crc32(data):08x}" == job.crc32
    assert job.row_count == 150_000
