"""Of a table that somebody may not export, a file of several tables tells them nothing: no name, count or reason."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from exports_app import lifecycle
from exports_app.api import events
from exports_app.choices import EventKind, Status
from exports_app.models import ExportJob
from tests.api_keys.making import bearer, client_of
from tests.conftest import make_user
from tests.event_streams import in_thread, open_stream, run
from tests.rights.conftest import MAIN, MAIN_COLUMN, RIGHTS, SHEET, SHEET_COLUMN, grant
from tests.rights.test_tables_of_a_file import As, without
from tests.web_pages import text

pytestmark = pytest.mark.django_db(transaction=True)
REASON = "Row 4711 has 40,000 characters in “Codename”."


@pytest.fixture
def failed(job: ExportJob) -> ExportJob:
    """The workbook as it is where a cell of its second table was too long."""
    moment = {"at": timezone.now().isoformat(), "after_key": [4711], "rows_before": 3}
    ExportJob.objects.filter(pk=job.pk).update(
        status=Status.FAILED, error_code="format_limit", error_detail=REASON, rows_done=98_765, snapshots=[moment]
    )
    lifecycle.record_event(job.pk, EventKind.RETRY, {"detail": REASON, "delay": 1})
    job.refresh_from_db()
    return job


def figures(told: dict[str, Any]) -> tuple[Any, ...]:
    """What is said of rows: own, of sheets, written so far, in all."""
    return told["row_count"], told["sheets"], told["progress"]["rows"], told["progress"]["total_rows"]


@pytest.mark.parametrize("lost", [MAIN_COLUMN, SHEET_COLUMN])
def test_who_lacks_a_column_is_told_neither_size_nor_checksum_of_the_file(
    job: ExportJob, bob: User, as_user: As, client: Client, lost: str
) -> None:
    ExportJob.objects.filter(pk=job.pk).update(crc32="0badcafe", file_size=654_321, bytes_done=654_321)
    grant(bob, *without(lost))
    told = as_user(bob).get(f"/api/v1/exports/{job.pk}/").json()
    assert figures(told) == (1, [{"resource": "abilities", "rows": 1}], 2, 2)
    assert (told["file_size"], told["crc32"], told["progress"]["bytes"]) == (None, None, 0)
    client.force_login(bob)
    for page in (f"/exports/{job.pk}/", "/exports/"):
        shown = client.get(page).content.decode()
        assert [word for word in ("0badcafe", "639.0") if word in shown] == []


def test_who_may_not_export_a_sheet_is_told_the_state_of_the_workbook_alone(
    job: ExportJob, bob: User, as_user: As, client: Client
) -> None:
    ExportJob.objects.filter(pk=job.pk).update(crc32="0badcafe", file_size=654_321, bytes_done=654_321)
    path = f"/api/v1/exports/{job.pk}/"
    whole = as_user(bob).get(path).json()
    assert figures(whole) == (1, [{"resource": "abilities", "rows": 1}], 2, 2)
    assert (whole["file_size"], whole["crc32"], whole["progress"]["bytes"]) == (654_321, "0badcafe", 654_321)
    grant(bob, *without(SHEET))
    told = as_user(bob).get(path).json()
    assert figures(told) == (None, [], 0, None)
    assert (told["file_size"], told["crc32"], told["progress"]["bytes"]) == (None, None, 0)
    assert (told["status"], told["resource"], told["file_name"], told["owner"]) == ("completed", "", "", "alice")
    (listed,) = as_user(bob).get("/api/v1/exports/").json()["results"]
    assert (figures(listed), listed["file_size"], listed["crc32"]) == ((None, [], 0, None), None, None)
    status = as_user(bob).get(f"{path}status/").json()
    assert (status["row_count"], status["file_size"], status["progress"]["rows_per_second"]) == (None, None, None)
    client.force_login(bob)
    for page in (f"/exports/{job.pk}/", "/exports/"):
        shown = client.get(page).content.decode()
        assert [word for word in ("bilities", "0badcafe", "639.0") if word in shown] == []


@pytest.mark.parametrize("query", ["resource=groups", "request_id=req-4711"])
def test_nor_does_a_narrowed_list_tell_it(
    job: ExportJob, alice: User, bob: User, as_user: As, client: Client, query: str
) -> None:
    ExportJob.objects.filter(pk=job.pk).update(request_id="req-4711")

    def found(user: User) -> int:
        return len(as_user(user).get(f"/api/v1/exports/?{query}").json()["results"])

    assert (found(alice), found(bob)) == (1, 1)
    grant(bob, *without(SHEET))
    assert (found(alice), found(bob)) == (1, 0)
    client.force_login(bob)
    assert "An export" in text(client.get("/exports/"))
    assert "An export" not in text(client.get("/exports/?resource=groups"))


@pytest.mark.parametrize("lost", [MAIN_COLUMN, SHEET, SHEET_COLUMN])
def test_no_reason_of_a_failure_names_what_is_hidden(
    failed: ExportJob, bob: User, as_user: As, client: Client, lost: str
) -> None:
    client.force_login(bob)
    paths = (f"/api/v1/exports/{failed.pk}/", "/api/v1/exports/", f"/api/v1/exports/{failed.pk}/status/")
    pages = (f"/exports/{failed.pk}/", "/exports/")

    def told() -> list[str]:
        bodies = [json.dumps(as_user(bob).get(path).json(), ensure_ascii=False) for path in paths]
        return bodies + [text(client.get(page)) for page in pages]

    assert all(REASON in each for each in told())
    grant(bob, *without(lost))
    assert [each for each in told() if "4711" in each or "odename" in each] == []
    error = as_user(bob).get(paths[0]).json()["error"]
    assert error == {"code": "format_limit", "detail": ""}


def test_a_form_that_begins_with_it_begins_with_what_is_seen_alone(
    job: ExportJob, bob: User, as_user: As, client: Client
) -> None:
    ExportJob.objects.filter(pk=job.pk).update(columns=[{"name": "id", "label": "Number 4711"}])
    client.force_login(bob)
    path = f"/exports/new/groups/?again={job.pk}"
    assert "4711" in client.get(path).content.decode()
    grant(bob, *without(SHEET))
    assert "4711" not in client.get(path).content.decode()


def test_its_owner_reads_why_it_failed_whatever_they_have_lost(failed: ExportJob, alice: User, as_user: As) -> None:
    grant(alice, MAIN)
    told = as_user(alice).get(f"/api/v1/exports/{failed.pk}/").json()
    assert (told["error"]["detail"], told["sheets"]) == (REASON, [])


def test_a_key_for_one_table_is_told_nothing_of_the_other(failed: ExportJob, alice: User) -> None:
    path = f"/api/v1/exports/{failed.pk}/"
    whole, limited = client_of(alice).get(path).json(), client_of(alice, resources=["groups"]).get(path).json()
    assert figures(whole) == (1, [{"resource": "abilities", "rows": 1}], 98_765, 2)
    assert figures(limited) == (1, [], 1, 1)
    assert (whole["error"]["detail"], limited["error"]["detail"]) == (REASON, "")
    assert whole["file_size"] is not None
    assert (limited["file_size"], limited["crc32"], limited["progress"]["bytes"]) == (None, None, 0)


def test_an_operator_sees_the_reason_and_no_name_of_a_table_that_they_may_not_export(
    failed: ExportJob, as_user: As
) -> None:
    operator = make_user("operator", permissions=("view_exportjob",))
    told = as_user(operator).get(f"/api/v1/exports/{failed.pk}/").json()
    assert (told["error"]["detail"], told["sheets"]) == (REASON, [])


# As it happens


@pytest.fixture
def running(job: ExportJob) -> ExportJob:
    now = timezone.now()
    values = {"row_count": None, "sheet_rows": None, "estimated_rows": 1, "rows_done": 98_765, "file_size": None}
    ExportJob.objects.filter(pk=job.pk).update(
        status=Status.RUNNING, claim=9, lease_expires_at=now + timedelta(minutes=5), completed_at=None, **values
    )
    job.refresh_from_db()
    return job


@pytest.mark.parametrize("which", ["one", "all"])
def test_a_stream_tells_no_rows_of_a_hidden_table(running: ExportJob, bob: User, alice: User, which: str) -> None:
    path = "/api/v1/exports/events/" if which == "all" else f"/api/v1/exports/{running.pk}/events/"
    grant(bob, *without(SHEET))
    owners, limited, receivers = bearer(alice), bearer(alice, resources=["groups"]), bearer(bob)

    async def main() -> None:
        for headers, rows in ((owners, 98_765), (limited, 1), (receivers, 0)):
            async with open_stream(path, headers) as stream:
                assert (await stream.next()).data["progress"]["rows"] == rows

    run(main)


@pytest.mark.parametrize("which", ["one", "all"])
@pytest.mark.parametrize("lost", [MAIN, SHEET, "share"])
def test_a_stream_ends_where_less_is_to_be_told(
    running: ExportJob, bob: User, monkeypatch: pytest.MonkeyPatch, which: str, lost: str
) -> None:
    monkeypatch.setattr(events, "ACCESS_SECONDS", 0.2)
    path = "/api/v1/exports/events/" if which == "all" else f"/api/v1/exports/{running.pk}/events/"
    headers = bearer(grant(bob, *RIGHTS))

    def lose() -> None:
        if lost == "share":
            running.shared_with.remove(bob)
        else:
            grant(bob, *without(lost))

    async def main() -> None:
        async with open_stream(path, headers) as stream:
            assert (await stream.next()).data["progress"]["rows"] == 98_765
            await in_thread(lose)
            await stream.until(lambda each: each.ended)

    run(main)
