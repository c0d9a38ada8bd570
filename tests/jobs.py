"""Exports in the hands of a test: made, claimed, run to their file, and read."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db import connection

from exports_app import lifecycle, services, storage
from exports_app.models import ExportJob
from exports_app.plan import Request
from workers import run

FIVE_MIB = 5 * 1024 * 1024


def make_job(owner: User, **values: Any) -> ExportJob:
    """A queued job, as its row alone has it."""
    return ExportJob.objects.create(owner=owner, resource="customers", format="csv", file_name="c.csv", **values)


def claim(queue: str = "exports") -> ExportJob:
    """The job whose turn it is, as a worker has it."""
    job = lifecycle.claim_next(queue, "test")
    assert job is not None
    return job


def request(resource: str = "customers", **values: Any) -> Request:
    return Request(resource=resource, **values)


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


def fill_customers(rows: int) -> None:
    """About 100 bytes of CSV a row."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO samples_customer (name, email, signup_date, country_code, subscription_tier, lifetime_value)
            SELECT 'Customer ' || md5(n::text), 'customer.' || n || '@mail.example',
                   date '2024-01-01' + n %% 700, 'DE', 'FREE', n %% 1000 + 0.5
              FROM generate_series(1, %s) AS n
            """,
            [rows],
        )


def upload_ids(job: ExportJob) -> list[str]:
    """Unfinished uploads of the job's object."""
    exports: Any = storage.exports_storage()
    client = exports.connection.meta.client
    found = client.list_multipart_uploads(Bucket=exports.bucket_name, Prefix=job.file_key)
    return [each["UploadId"] for each in found.get("Uploads", [])]
