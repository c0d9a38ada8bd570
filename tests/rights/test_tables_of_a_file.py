"""Every table of a file is asked for, at each step and of everybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from exports_app import downloads, errors, retention, services
from exports_app.choices import Status
from exports_app.models import ExportJob
from exports_app.pipeline import errors as pipeline_errors
from tests.jobs import claim, read_object, request
from tests.rights.conftest import MAIN, MAIN_COLUMN, RIGHTS, SHEET, SHEET_COLUMN, answer, grant
from workers.run import Run

pytestmark = pytest.mark.django_db(transaction=True)
As = Callable[[User], APIClient]


def without(right: str) -> tuple[str, ...]:
    return tuple(each for each in RIGHTS if each != right)


def test_the_job_records_every_table(job: ExportJob) -> None:
    assert job.tables == [
        {"resource": "groups", "columns": ["id", "name"], "permissions": [MAIN_COLUMN, MAIN], "rights": None},
        {"resource": "abilities", "columns": ["id", "codename"], "permissions": [SHEET_COLUMN, SHEET], "rights": None},
    ]
    assert job.sheets == ["abilities"]


@pytest.mark.parametrize("lost", RIGHTS)
def test_who_receives_it_needs_each_right_themselves(job: ExportJob, bob: User, as_user: As, lost: str) -> None:
    path = f"/api/v1/exports/{job.pk}/"
    assert as_user(bob).get(f"{path}download/").status_code == 302
    grant(bob, *without(lost))
    receiver = as_user(bob)
    assert answer(receiver.get(f"{path}download/")) == (403, "permission_denied")
    assert answer(receiver.post(f"{path}token/")) == (403, "permission_denied")
    assert receiver.head(f"{path}download/").status_code == 403
    assert receiver.get(path).json()["download_url"] is None
    assert [each["download_url"] for each in receiver.get("/api/v1/exports/").json()["results"]] == [None]


@pytest.mark.parametrize("lost", RIGHTS)
def test_once_its_owner_has_lost_a_right_nobody_fetches_it(
    job: ExportJob, alice: User, bob: User, admin_user: User, as_user: As, client: Client, lost: str
) -> None:
    path = f"/api/v1/exports/{job.pk}/"
    link = downloads.make_token(job, User.objects.get(pk=bob.pk)).token
    grant(alice, *without(lost))
    for person in (alice, bob, admin_user):
        assert answer(as_user(person).get(f"{path}download/")) == (403, "permission_denied")
        assert as_user(person).get(path).json()["download_url"] is None
    refused = as_user(bob).get(f"{path}download/").json()
    assert refused["detail"] == "Its owner may not read this data any more, so nobody can fetch the file."
    assert answer(client.get(f"{path}download/", {"token": link})) == (403, "permission_denied")


def test_a_right_that_its_owner_gains_refuses_nobody(job: ExportJob, alice: User, bob: User, as_user: As) -> None:
    grant(alice, *RIGHTS, "auth.add_group")
    assert as_user(bob).get(f"/api/v1/exports/{job.pk}/download/").status_code == 302


def test_an_owner_who_is_switched_off_takes_the_file_along(job: ExportJob, alice: User, bob: User, as_user: As) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert answer(as_user(bob).get(f"/api/v1/exports/{job.pk}/download/")) == (403, "permission_denied")


@pytest.mark.parametrize("lost", RIGHTS)
def test_a_run_ends_where_its_owner_has_lost_a_right(alice: User, workbooks: None, lost: str) -> None:
    services.request_export(grant(alice, *RIGHTS), request("groups", format="xlsx"))
    run = Run(claim())
    grant(alice, *without(lost))
    assert run.execute() is None
    run.job.refresh_from_db()
    assert (run.job.status, run.job.error_code) == (Status.FAILED, "permission_lost")


def test_a_right_that_is_lost_amid_a_run_ends_it_before_there_is_a_file(
    alice: User, workbooks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.request_export(grant(alice, *RIGHTS), request("groups", format="xlsx"))
    run = Run(claim())
    written = run._write

    def lose(*args: Any) -> None:
        grant(alice, *without(SHEET_COLUMN))
        written(*args)

    monkeypatch.setattr(run, "_write", lose)
    assert run.execute() is None
    run.job.refresh_from_db()
    assert run.job.error_code == pipeline_errors.PermissionLost.code


def test_a_sheet_that_its_owner_may_not_export_is_left_out_and_no_name_tells_of_it(
    alice: User, workbooks: None, as_user: As
) -> None:
    grant(alice, MAIN)
    client = as_user(alice)
    made = client.post("/api/v1/exports/", {"resource": "groups", "format": "xlsx"})
    assert made.status_code == 202
    assert ExportJob.objects.get().sheets == []
    named = client.post("/api/v1/exports/", {"resource": "groups", "format": "xlsx", "sheets": ["abilities"]})
    unknown = client.post("/api/v1/exports/", {"resource": "groups", "format": "xlsx", "sheets": ["abilitiez"]})
    assert named.json()["errors"] == {"sheets": ["Unknown related table abilities."]}
    assert unknown.json()["errors"] == {"sheets": ["Unknown related table abilitiez."]}


def test_a_retry_has_the_columns_of_before_also_where_its_owner_sees_more_by_now(alice: User, workbooks: None) -> None:
    job, _ = services.request_export(grant(alice, MAIN, SHEET), request("groups", format="xlsx"))
    services.cancel_export(job, by=alice)
    services.retry_export(job, by=grant(alice, *RIGHTS))
    assert Run(claim()).execute() is None
    job.refresh_from_db()
    assert job.contents() == [("groups", ["id"]), ("abilities", ["id"])]
    assert b"codename" not in read_object(job).lower()


# What the last release left


def test_a_workbook_without_the_record_is_refused_and_its_file_removed(
    job: ExportJob, alice: User, as_user: As
) -> None:
    ExportJob.objects.update(tables=None, sheets=None)
    refused = as_user(alice).get(f"/api/v1/exports/{job.pk}/download/")
    assert answer(refused) == (410, "gone")
    assert refused.json()["detail"].endswith("Make it again.")
    retention.prune()
    job.refresh_from_db()
    assert (job.status, job.file_key) == (Status.EXPIRED, "")


def test_a_file_of_one_table_without_the_record_is_served_as_before(alice: User, workbooks: None, as_user: As) -> None:
    job, _ = services.request_export(grant(alice, *RIGHTS), request("groups"))
    assert Run(claim()).execute() is None
    ExportJob.objects.update(tables=None)
    assert as_user(alice).get(f"/api/v1/exports/{job.pk}/download/").status_code == 302
    retention.prune()
    assert ExportJob.objects.get().status == Status.COMPLETED
    grant(alice, *without(MAIN_COLUMN))
    with pytest.raises(errors.PermissionDenied):
        downloads.get_file(User.objects.get(pk=alice.pk), job.pk)
