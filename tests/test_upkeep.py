"""The upkeep: what it takes back, rings for, and removes, and what it leaves alone."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from exports_app import lifecycle, orphans, retention, services, storage
from exports_app.choices import Status
from exports_app.models import ExportJob
from tests.jobs import bucket, claim, finish, make_job, request, upload_ids
from tests.removing import away, make_due
from workers import run, upkeep

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def clean_bucket() -> Iterator[None]:
    yield
    orphans.sweep()
    for job in ExportJob.objects.exclude(file_key=""):
        services.discard_file(job)


def begin_upload(key: str) -> str:
    upload_id: str = bucket().meta.client.create_multipart_upload(Bucket=bucket().name, Key=key)["UploadId"]
    return upload_id


def keys(prefix: str) -> list[str]:
    return [found.key for found in bucket().objects.filter(Prefix=prefix)]


def test_a_sweep_rings_as_often_as_jobs_may_run(alice: User, silent_bell: list[str], settings: Any) -> None:
    settings.EXPORTS_SOURCE_MAX_RUNNING = 2
    for _ in range(5):
        make_job(alice)
    upkeep.sweep()
    upkeep.sweep()
    assert silent_bell == ["exports", "exports"]


def test_a_run_rings_for_the_next_job(alice: User, silent_bell: list[str]) -> None:
    for _ in range(2):
        services.request_export(alice, request())
    lifecycle.due_queues()
    silent_bell.clear()
    run.run_next("exports")
    assert silent_bell == ["exports"]
    run.run_next("exports")
    assert silent_bell == ["exports"]


def test_a_storage_that_is_away_holds_up_nobody(alice: User, silent_bell: list[str]) -> None:
    make_job(alice, status=Status.CANCELLED, file_key="exports/1/x.1.csv", completed_at="2020-01-01T00:00:00Z")
    make_job(alice)
    with away():
        upkeep.sweep()
    assert silent_bell == ["exports"]
    make_due()
    assert retention.clean_leftovers() == 1


def test_the_file_of_a_job_ended_a_moment_ago_is_looked_for_again(alice: User) -> None:
    make_job(alice)
    job = claim()
    key = f"exports/{alice.pk}/{job.pk}.1.csv"
    lifecycle.begin_upload(job, key=key, token="t")
    lifecycle.cancel(job.pk)
    job.refresh_from_db()
    services.delete_export(job, by=job.owner)
    bucket().Object(key).put(Body=b"late")  # by the worker, which had not noticed yet
    assert retention.clean_leftovers() == 0
    ExportJob.objects.update(completed_at="2020-01-01T00:00:00Z")
    assert retention.clean_leftovers() == 1
    assert (keys(key), ExportJob.objects.get().file_key) == ([], "")


def test_discarding_an_old_file_touches_nothing_of_a_later_upload(alice: User) -> None:
    make_job(alice)
    job = claim()
    old = f"exports/{alice.pk}/{job.pk}.1.csv"
    lifecycle.begin_upload(job, key=old, token="t")
    lifecycle.fail(job, code="internal", detail="")
    stale = ExportJob.objects.get()
    lifecycle.restart(job.pk)
    again = claim()
    new = f"exports/{alice.pk}/{job.pk}.2.csv"
    lifecycle.begin_upload(again, key=new, token="u")
    lifecycle.renew(again, upload_id=begin_upload(new))
    services.discard_file(stale)
    again.refresh_from_db()
    assert (again.file_key, upload_ids(again)) == (new, [again.upload_id])


def test_what_no_job_owns_is_removed_and_all_else_is_left(alice: User) -> None:
    done = finish(alice)
    make_job(alice)
    live = claim()
    mine = f"exports/{alice.pk}/{live.pk}.2.csv"
    lifecycle.begin_upload(live, key=mine, token="t")
    kept = begin_upload(mine)  # its id is not on record yet
    stale = f"exports/{alice.pk}/{live.pk}.1.csv"
    foreign = f"exports/{alice.pk}/{uuid.uuid4()}.1.csv"  # of another site in the same bucket
    begin_upload(stale)
    begin_upload(done.file_key)
    bucket().Object(stale).put(Body=b"x")
    bucket().Object(foreign).put(Body=b"x")
    bucket().Object("exports/readme.txt").put(Body=b"not ours")
    assert orphans.sweep() == 3
    assert orphans.sweep() == 0
    assert (upload_ids(live), keys(stale)) == ([kept], [])
    assert (keys(foreign), keys("exports/readme.txt")) == ([foreign], ["exports/readme.txt"])
    assert keys(done.file_key) == [done.file_key]
    bucket().delete_objects(Delete={"Objects": [{"Key": foreign}, {"Key": "exports/readme.txt"}]})


def test_the_rules_of_the_bucket_are_shown_and_installed() -> None:
    client, name = bucket().meta.client, bucket().name
    other = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 3}}
    client.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [other]})
    out = StringIO()
    call_command("export_storage_rules", stdout=out)
    assert "Missing: exports-expire-files, exports-abort-uploads" in out.getvalue()
    call_command("export_storage_rules", "--apply", stdout=out)
    call_command("export_storage_rules", "--apply", stdout=out)
    assert out.getvalue().endswith("All rules are installed.\n")
    rules = {rule["ID"]: rule for rule in client.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]}
    ours = ["exports-abort-uploads", "exports-expire-files", "exports-expire-markers", "exports-expire-versions"]
    assert sorted(rules) == [*ours, "logs"]
    assert rules["exports-abort-uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert storage.LINK_SECONDS < 8 * 86_400
    client.delete_bucket_lifecycle(Bucket=name)
