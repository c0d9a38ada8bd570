"""Stores whose policy lacks a right: workers do not start there, and what runs meanwhile says the right by name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from structlog.testing import capture_logs

from chaos.answers import Denying
from exports_app import storage, storage_rights
from exports_app.choices import Status
from tests.jobs import FIVE_MIB, bucket, fill_customers, finish
from tests.stores.places import behind, site

pytestmark = pytest.mark.django_db(transaction=True)

NEEDED = [
    ("Bucket GET", "s3:ListBucket (ListObjectsV2)"),
    ("ListMultipartUploads", "s3:ListBucketMultipartUploads (ListMultipartUploads)"),
    ("CreateMultipartUpload", "s3:PutObject (CreateMultipartUpload)"),
    ("UploadPart", "s3:PutObject (UploadPart)"),
    ("ListParts", "s3:ListMultipartUploadParts (ListParts)"),
    ("Complete", "s3:PutObject (CompleteMultipartUpload)"),
    ("Abort", "s3:AbortMultipartUpload (AbortMultipartUpload)"),
    ("HEAD", "s3:GetObject (HeadObject)"),
    ("GET", "s3:GetObject (GetObject)"),
    ("DELETE", "s3:DeleteObject (DeleteObject)"),
]


@pytest.fixture(name="store")
def denying_store(settings: Any) -> Iterator[Denying]:
    store = behind(Denying)
    assert isinstance(store, Denying)
    with site(store, settings):
        yield store
        store.denied = frozenset()
        clean_up()


def clean_up() -> None:
    """Whatever a trial could not remove."""
    client, name, prefix = bucket().meta.client, bucket().name, "exports/check-"
    for each in client.list_objects_v2(Bucket=name, Prefix=prefix).get("Contents", []):
        client.delete_object(Bucket=name, Key=each["Key"])
    for each in client.list_multipart_uploads(Bucket=name, Prefix=prefix).get("Uploads", []):
        client.abort_multipart_upload(Bucket=name, Key=each["Key"], UploadId=each["UploadId"])


@pytest.mark.parametrize(("call", "named"), NEEDED)
def test_a_store_that_refuses_a_call_is_refused_by_the_name_of_the_right(store: Denying, call: str, named: str) -> None:
    store.denied = frozenset({call})
    with pytest.raises(storage_rights.Missing) as refused:
        storage_rights.require()
    assert str(refused.value) == (
        f"{storage.name()} refuses what exports need: {named}. `manage.py export_storage_rules --check` prints a "
        "policy that gives it; EXPORTS_CHECK_STORAGE=0 starts without it."
    )


def test_a_store_that_gives_every_right_takes_workers_and_keeps_nothing_of_the_trial(store: Denying) -> None:
    storage_rights.require()
    assert list(bucket().objects.filter(Prefix="exports/check-")) == []


@pytest.mark.parametrize("call", ["Bucket GET lifecycle", "Bucket PUT lifecycle", "Bucket HEAD"])
def test_a_right_that_exports_do_without_stops_no_worker(alice: User, store: Denying, call: str) -> None:
    store.denied = frozenset({call})
    storage_rights.require()
    fill_customers(3)
    assert finish(alice).status == Status.COMPLETED


def test_a_store_without_head_bucket_is_ready_and_needs_no_bucket(store: Denying, capsys: Any) -> None:
    store.denied = frozenset({"Bucket HEAD"})
    storage.check()
    call_command("create_export_bucket")
    assert capsys.readouterr().out == f"The bucket {bucket().name} is there.\n"


def test_who_may_not_list_either_is_told_so_by_readiness(store: Denying) -> None:
    store.denied = frozenset({"Bucket HEAD", "Bucket GET"})
    with pytest.raises(bucket().meta.client.exceptions.ClientError, match="AccessDenied"):
        storage.check()


def test_a_store_that_is_away_stops_no_worker(settings: Any) -> None:
    exports = settings.STORAGES["exports"]
    options = {**exports["OPTIONS"], "endpoint_url": "http://127.0.0.1:9"}
    settings.STORAGES = {**settings.STORAGES, "exports": {**exports, "OPTIONS": options}}
    with capture_logs() as said:
        storage_rights.require()
    assert [(each["event"], each["error"]) for each in said] == [("export.storage.untried", "EndpointConnectionError")]


def test_a_site_that_says_so_starts_without_a_right(store: Denying, settings: Any) -> None:
    store.denied = frozenset({"DELETE"})
    settings.EXPORTS_CHECK_STORAGE = False
    storage_rights.require()
    assert store.calls == []


def test_a_worker_ends_at_its_start_and_says_why(store: Denying, settings: Any) -> None:
    store.denied = frozenset({"ListParts"})
    address = settings.STORAGES["exports"]["OPTIONS"]["endpoint_url"]
    given = urlsplit(os.environ["DATABASE_URL"])
    database = urlunsplit(given._replace(path=f"/{connection.settings_dict['NAME']}"))
    words = [sys.executable, "-m", "celery", "--app", "workers.celery", "worker", "--pool", "solo", "--queues", "none"]
    ended = subprocess.run(
        words,
        env={**os.environ, "AWS_ENDPOINT_URL_S3": address, "DATABASE_URL": database},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert (
        f"The worker does not start. {address}/{bucket().name} refuses what exports need: s3:ListMultipartUploadParts "
        "(ListParts)."
    ) in ended.stderr


@pytest.mark.parametrize(
    ("call", "detail"),
    [
        ("CreateMultipartUpload", "CreateMultipartUpload: AccessDenied, s3:PutObject is missing"),
        ("UploadPart", "UploadPart: AccessDenied, s3:PutObject is missing"),
        ("ListParts", "ListParts: AccessDenied, s3:ListMultipartUploadParts is missing"),
        ("Complete", "CompleteMultipartUpload: AccessDenied, s3:PutObject is missing"),
        ("HEAD", "HeadObject: 403, s3:GetObject is missing"),
    ],
)
def test_a_right_that_is_withdrawn_later_ends_an_export_by_its_name(
    alice: User, store: Denying, settings: Any, call: str, detail: str
) -> None:
    settings.EXPORTS_PART_SIZE = FIVE_MIB
    fill_customers(60_000)
    store.denied = frozenset({call})
    job = finish(alice)
    assert (job.status, job.error_code) == (Status.FAILED, "access_denied")
    assert detail in job.error_detail


def test_a_small_file_that_may_not_be_put_ends_an_export_by_the_right_s_name(alice: User, store: Denying) -> None:
    fill_customers(3)
    store.denied = frozenset({"PUT"})
    job = finish(alice)
    assert (job.status, job.error_code) == (Status.FAILED, "access_denied")
    assert "PutObject: AccessDenied, s3:PutObject is missing" in job.error_detail
