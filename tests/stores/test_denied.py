"""Stores whose policy lacks a right: ``export_storage_rules --check`` names it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from chaos.answers import Denying
from tests.jobs import bucket
from tests.stores.places import behind, site

pytestmark = pytest.mark.django_db


@pytest.fixture(name="store")
def denying_store(settings: Any) -> Iterator[Denying]:
    store = behind(Denying)
    assert isinstance(store, Denying)
    with site(store, settings):
        yield store
        store.denied = frozenset()
        leftovers(remove=True)


def leftovers(*, remove: bool = False) -> list[str]:
    """Files and uploads of checks."""
    client, name, prefix = bucket().meta.client, bucket().name, "exports/check-"
    objects = client.list_objects_v2(Bucket=name, Prefix=prefix).get("Contents", [])
    uploads = client.list_multipart_uploads(Bucket=name, Prefix=prefix).get("Uploads", [])
    for each in objects if remove else ():
        client.delete_object(Bucket=name, Key=each["Key"])
    for each in uploads if remove else ():
        client.abort_multipart_upload(Bucket=name, Key=each["Key"], UploadId=each["UploadId"])
    return [each["Key"] for each in [*objects, *uploads]]


def check() -> str:
    """What the command prints."""
    printed = StringIO()
    call_command("export_storage_rules", "--check", stdout=printed)
    return printed.getvalue()


def test_a_store_that_gives_every_right_passes_and_keeps_nothing(store: Denying) -> None:
    assert check() == f"Exports have all rights that they need in {settings.EXPORTS_S3_BUCKET}.\n"
    assert leftovers() == []


def test_a_check_leaves_the_rules_as_they_are(store: Denying) -> None:
    client, name = bucket().meta.client, bucket().name
    client.delete_bucket_lifecycle(Bucket=name)  # whatever a test before it left
    check()
    with pytest.raises(client.exceptions.ClientError, match="NoSuchLifecycleConfiguration"):
        client.get_bucket_lifecycle_configuration(Bucket=name)
    rule = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 3}}
    client.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})
    check()
    assert client.get_bucket_lifecycle_configuration(Bucket=name)["Rules"] == [rule]
    client.delete_bucket_lifecycle(Bucket=name)


@pytest.mark.parametrize(
    ("call", "action", "calls"),
    [
        ("Bucket HEAD", "s3:ListBucket", "HeadBucket"),
        ("Bucket GET", "s3:ListBucket", "ListObjectsV2"),
        ("Bucket GET lifecycle", "s3:GetLifecycleConfiguration", "GetBucketLifecycleConfiguration"),
        ("Bucket PUT lifecycle", "s3:PutLifecycleConfiguration", "PutBucketLifecycleConfiguration"),
        ("Bucket DELETE lifecycle", "s3:PutLifecycleConfiguration", "DeleteBucketLifecycle"),
        ("ListMultipartUploads", "s3:ListBucketMultipartUploads", "ListMultipartUploads"),
        ("CreateMultipartUpload", "s3:PutObject", "CreateMultipartUpload"),
        ("UploadPart", "s3:PutObject", "UploadPart"),
        ("ListParts", "s3:ListMultipartUploadParts", "ListParts"),
        ("Complete", "s3:PutObject", "CompleteMultipartUpload"),
        ("Abort", "s3:AbortMultipartUpload", "AbortMultipartUpload"),
        ("HEAD", "s3:GetObject", "HeadObject"),
        ("GET", "s3:GetObject", "GetObject"),
        ("DELETE", "s3:DeleteObject", "DeleteObject"),
    ],
)
def test_a_right_that_is_missing_is_named(store: Denying, call: str, action: str, calls: str) -> None:
    store.denied = frozenset({call})
    printed = StringIO()
    with pytest.raises(CommandError, match=f"Exports cannot be kept in {settings.EXPORTS_S3_BUCKET} as it is"):
        call_command("export_storage_rules", "--check", stdout=printed)
    assert printed.getvalue().startswith(f"{action} is missing: {calls} refused.\n")


def test_the_policy_gives_what_is_missing_to_bucket_and_files(store: Denying) -> None:
    store.denied = frozenset({"ListParts", "Abort", "Bucket HEAD", "ListMultipartUploads"})
    printed = StringIO()
    with pytest.raises(CommandError):
        call_command("export_storage_rules", "--check", stdout=printed)
    policy = json.loads(printed.getvalue().partition("A policy that gives what is missing:\n")[2])
    assert policy == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["s3:ListBucket", "s3:ListBucketMultipartUploads"],
                "Resource": f"arn:aws:s3:::{settings.EXPORTS_S3_BUCKET}",
            },
            {
                "Effect": "Allow",
                "Action": ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
                "Resource": f"arn:aws:s3:::{settings.EXPORTS_S3_BUCKET}/exports/*",
            },
        ],
    }
