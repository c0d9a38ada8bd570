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


def test_who_may_not_export_a_sheet_is_told_neither_its_name_nor_its_rows(
    job: ExportJob, bob: User, as_user: As, client: Client
) -> None:
    path = f"/api/v1/exports/{job.pk}/"
    whole = (1, [{"resource": "abilities", "rows": 1}], 2, 2)
    assert figures(as_user(bob).get(path).json()) == whole
    grant(bob, *without(SHEET))
    assert figures(as_user(bob).get(path).json()) == (1, [], 1, 1)
    (listed,) = as_user(bob).get("/api/v1/exports/").json()["results"]
    assert figures(listed) == (1, [], 1, 1)
    progress = as_user(bob).get(f"{path}status/").json()["progress"]
    assert (progress["rows"], progress["total_rows"], progress["rows_per_second"]) == (1, 1, None)
    client.force_login(bob)
    assert "bilities" not in client.get(f"/exports/{job.pk}/").content.decode()


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
        for headers, rows in ((owners, 98_765), (limited, 1), (receivers, 1)):
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
