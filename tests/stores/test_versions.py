"""Buckets that keep versions, and locked ones: files are made there, and it is said what deletion leaves."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from structlog.testing import capture_logs

from chaos.answers import Answer, Request, error
from chaos.moto_store import Moto
from exports_app import removals, retention, services
from exports_app.choices import Status
from exports_app.models import ExportJob
from tests.jobs import bucket, fill_customers, finish
from tests.removing import make_due
from tests.stores.places import site

pytestmark = pytest.mark.django_db(transaction=True)

FORMATS = ["csv", "json", "ndjson", "xlsx", "parquet"]
RULES = ["exports-abort-uploads", "exports-expire-files", "exports-expire-markers", "exports-expire-versions"]


@pytest.fixture(name="locked")
def bucket_under_governance(settings: Any) -> Iterator[str]:
    """A bucket of its own, in which each version is kept for a day."""
    client = bucket().meta.client
    name = f"locked-{secrets.token_hex(6)}"
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    lock(client, name, "GOVERNANCE")
    exports = settings.STORAGES["exports"]
    options = {**exports["OPTIONS"], "bucket_name": name}
    settings.STORAGES = {**settings.STORAGES, "exports": {**exports, "OPTIONS": options}}
    yield name
    there = client.list_object_versions(Bucket=name)
    for each in [*there.get("Versions", []), *there.get("DeleteMarkers", [])]:
        found = {"Key": each["Key"], "VersionId": each["VersionId"]}
        client.delete_object(Bucket=name, **found, BypassGovernanceRetention=True)
    client.delete_bucket(Bucket=name)


def lock(client: Any, name: str, mode: str) -> None:
    rule = {"DefaultRetention": {"Mode": mode, "Days": 1}}
    said = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    client.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=said)


def versions(name: str) -> list[str]:
    """Keys of all that is there, deleted or not."""
    found = bucket().meta.client.list_object_versions(Bucket=name).get("Versions", [])
    return sorted(each["Key"] for each in found)


def rules(*words: str) -> str:
    """What the command prints."""
    printed = StringIO()
    call_command("export_storage_rules", *words, stdout=printed)
    return printed.getvalue()


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_file_is_made_in_a_locked_bucket(alice: User, locked: str, format_name: str) -> None:
    fill_customers(50)
    job = finish(alice, format=format_name)
    assert (job.status, job.row_count) == (Status.COMPLETED, 50)
    assert versions(locked) == [job.file_key]


def test_a_file_of_several_parts_is_made_in_a_locked_bucket(alice: User, locked: str, settings: Any) -> None:
    settings.EXPORTS_PART_SIZE = 5 * 1_048_576
    fill_customers(120_000)
    job = finish(alice)
    assert (job.status, job.row_count) == (Status.COMPLETED, 120_000)
    assert job.parts.count() > 1


def test_a_deleted_file_is_gone_for_everybody_and_its_version_remains_which_is_said(alice: User, locked: str) -> None:
    fill_customers(3)
    job = finish(alice)
    with capture_logs() as said:
        services.delete_export(job, by=alice)
    assert [each["files"] for each in said if each["event"] == "export.versions.remain"] == [1]
    assert list(bucket().objects.all()) == []
    assert versions(locked) == [job.file_key]


def test_pruning_says_of_how_many_files_a_version_remains(alice: User, locked: str) -> None:
    fill_customers(3)
    for _ in range(2):
        finish(alice)
    ExportJob.objects.update(expires_at="2020-01-01T00:00:00Z")
    with capture_logs() as said:
        assert retention.prune().files == 2
    assert [each["files"] for each in said if each["event"] == "export.versions.remain"] == [2]
    assert len(versions(locked)) == 2


def test_the_rules_also_remove_versions_and_markers_and_it_is_said_what_remains(locked: str) -> None:
    before = rules()
    assert f"Missing: {', '.join(['exports-expire-files', 'exports-abort-uploads', *RULES[:1:-1]])} (" in before
    printed = rules("--apply")
    found = bucket().meta.client.get_bucket_lifecycle_configuration(Bucket=locked)["Rules"]
    assert sorted(each["ID"] for each in found) == RULES
    by_name = {each["ID"]: each for each in found}
    assert by_name["exports-expire-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
    assert by_name["exports-expire-markers"]["Expiration"] == {"ExpiredObjectDeleteMarker": True}
    assert printed.endswith(
        "All rules are installed.\n"
        "The bucket keeps versions: what is deleted remains there for 1 day by exports-expire-versions, and for good "
        "without that rule.\n"
        "It is locked (GOVERNANCE, 1 days): what is deleted remains at least as long.\n"
    )


class Locked(Moto):
    """moto's bucket under COMPLIANCE, where nobody removes a version; ``refusing``: not even a marker is put."""

    refusing = False

    def before(self, request: Request) -> Answer | None:
        refused = self.refusing and (request.method == "DELETE" or "delete" in request.query)
        return error(403, "AccessDenied", "forbidden by object lock") if refused else None


@pytest.fixture(name="compliant")
def bucket_under_compliance(settings: Any) -> Iterator[Locked]:
    store = Locked()
    with site(store, settings):
        client = bucket().meta.client
        client.create_bucket(Bucket=bucket().name, ObjectLockEnabledForBucket=True)
        lock(client, bucket().name, "COMPLIANCE")
        yield store
        store.refusing = False


def test_a_bucket_that_takes_nothing_without_a_checksum_gets_one(alice: User, compliant: Locked) -> None:
    client, name = bucket().meta.client, bucket().name
    with pytest.raises(client.exceptions.ClientError, match="Content-MD5"):
        client.put_object(Bucket=name, Key="exports/plain", Body=b"x")
    fill_customers(3)
    assert [finish(alice, format=name).status for name in FORMATS] == ["completed"] * 5


def test_a_deletion_that_the_lock_refuses_is_set_aside_and_counted(alice: User, compliant: Locked) -> None:
    fill_customers(3)
    job = finish(alice)
    compliant.refusing = True
    services.delete_export(job, by=alice)
    assert retention.prune().files == 0
    make_due()
    assert retention.prune().files == 0
    assert removals.refused() == 1
    compliant.refusing = False
    make_due()
    assert retention.prune().files == 1
    assert removals.refused() == 0
