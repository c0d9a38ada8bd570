"""The page of one export: what happened to it, and whom it is shared with."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from exports_app.choices import EventKind
from exports_app.counted import unverified
from exports_app.models import ExportEvent
from exports_app.pipeline.sources.counting import NO_QUERY, too_long
from tests.web_pages import controls, make_job, text


def test_what_happened_is_told_in_order(browser: Client, alice: User) -> None:
    job = make_job(alice, "completed")
    happened: list[tuple[EventKind, dict[str, Any]]] = [
        (EventKind.QUEUED, {}),
        (EventKind.STARTED, {"attempt": 1}),
        (EventKind.RETRY, {"code": "storage_unavailable", "detail": "It was away.", "delay": 2.5, "counts": False}),
        (EventKind.RESUMED, {"attempt": 1}),
        (EventKind.HANDED_ON, {"reason": "drain"}),
        (EventKind.LOST, {"worker": "w1"}),
        (EventKind.DOWNLOADED, {"by": "alice"}),
        (EventKind.COMPLETED, {"row_count": 1_234, "file_size": 1_048_576, "crc32": "9f3a01bc"}),
    ]
    for kind, data in happened:
        ExportEvent.objects.create(job=job, kind=kind, data=data)
    shown = text(browser.get(f"/exports/{job.pk}/"))
    told = shown[shown.index("What happened") : shown.index("Shared with")]
    parts = [
        "Asked for",
        "Started",
        "Interrupted",
        "It was away. Tried again after 2.5 s. No attempt is used.",
        "Went on",
        "Handed on",
        "Its worker stops; another one goes on behind the last stored part.",
        "Worker lost",
        "Completed",
        "1,234 rows, 1.0 MB.",
    ]
    places = [told.index(part) for part in parts]
    assert places == sorted(places)
    assert "Downloaded" not in told


def test_a_failure_is_told_with_its_sentence(browser: Client, alice: User) -> None:
    job = make_job(alice, "failed", error_code="bad_key", error_detail="The rows cannot be put into a safe order.")
    data = {"code": "bad_key", "detail": "A value of the key occurs twice."}
    ExportEvent.objects.create(job=job, kind=EventKind.FAILED, data=data)
    shown = text(browser.get(f"/exports/{job.pk}/"))
    assert "A value of the key occurs twice." in shown


@pytest.mark.parametrize(
    ("warnings", "said"),
    [
        ([unverified(NO_QUERY)], "No: a program makes these rows, so that the database has nothing to count"),
        ([unverified(too_long(60))], "No: the count took more than 60 seconds"),
        (["1 cell was cut."], "No; the reason was not kept"),
    ],
)
def test_rows_that_nobody_counted_are_said_to_be_so_and_why(
    browser: Client, alice: User, warnings: list[str], said: str
) -> None:
    job = make_job(alice, "completed", warnings=warnings)
    assert f"Rows verified {said} Bytes" in text(browser.get(f"/exports/{job.pk}/"))


@pytest.mark.parametrize("status", ["completed", "expired"])
def test_what_to_mind_about_a_file_stays_on_its_page(browser: Client, alice: User, status: str) -> None:
    job = make_job(alice, status, warnings=["1 cell was cut.", unverified(NO_QUERY), "Its <b> is odd."])
    page = browser.get(f"/exports/{job.pk}/")
    assert "<li>1 cell was cut.</li><li>Its &lt;b&gt; is odd.</li></ul>" in page.content.decode()
    assert "notes" not in controls(browser.get(f"/exports/{make_job(alice, status).pk}/"))


def test_a_workbook_tells_the_rows_of_each_table(browser: Client, alice: User) -> None:
    job = make_job(alice, "completed", resource="trades", format="xlsx", sheet_rows=[{"resource": "tags", "rows": 24}])
    assert "Rows 1,234,567 Rows of Tags 24 Rows verified" in text(browser.get(f"/exports/{job.pk}/"))
    alice.user_permissions.remove(Permission.objects.get(codename="view_tag"))
    assert "Rows of" not in text(browser.get(f"/exports/{job.pk}/"))


@pytest.mark.parametrize(
    ("sheets", "said"), [(None, ""), ([], "Further sheets None "), (["tags"], "Further sheets Tags ")]
)
def test_chosen_sheets_stand_among_the_contents(
    browser: Client, alice: User, sheets: list[str] | None, said: str
) -> None:
    job = make_job(alice, "completed", resource="trades", format="xlsx", sheets=sheets)
    shown = text(browser.get(f"/exports/{job.pk}/"))
    assert f"Filters None: all rows {said}Columns" in shown


def test_an_export_is_shared_by_name_and_that_is_ended(browser: Client, alice: User, bob: User) -> None:
    job = make_job(alice, "completed")
    assert browser.post(f"/exports/{job.pk}/share/", {"username": "bob"})["Location"] == f"/exports/{job.pk}/#sharing"
    assert list(job.shared_with.all()) == [bob]
    assert "Shared with bob." in text(browser.get(f"/exports/{job.pk}/"))
    browser.post(f"/exports/{job.pk}/unshare/", {"username": "bob"})
    assert not job.shared_with.exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "Give the name of a user."),
        ("dora", "There is no user dora."),
        ("alice", "alice owns this export."),
    ],
)
def test_who_it_cannot_be_shared_with_is_said(browser: Client, alice: User, name: str, said: str) -> None:
    job = make_job(alice, "completed")
    browser.post(f"/exports/{job.pk}/share/", {"username": name})
    assert said in text(browser.get(f"/exports/{job.pk}/"))
    assert not job.shared_with.exists()


def test_whom_it_is_shared_with_may_not_share_it_on(browser: Client, alice: User, bob: User) -> None:
    job = make_job(bob, "completed")
    job.shared_with.add(alice)
    assert "share" not in controls(browser.get(f"/exports/{job.pk}/"))
    assert browser.post(f"/exports/{job.pk}/share/", {"username": "charlie"}).status_code == 403
    assert browser.post(f"/exports/{job.pk}/unshare/", {"username": "alice"}).status_code == 403


def test_options_stand_there_in_the_words_of_the_form(browser: Client, alice: User) -> None:
    options = {"delimiter": ";", "header": False, "escape_formulas": True, "bom": True, "timezone": "Europe/Berlin"}
    shown = text(browser.get(f"/exports/{make_job(alice, 'completed', options=options).pk}/"))
    said = "Byte order mark yes Header line no Time zone Europe/Berlin Delimiter Semicolon Formulas shown as text"
    assert said in shown


@pytest.mark.parametrize(
    ("status", "values", "way_out"),
    [
        ("failed", {"error_code": "too_many_rows"}, True),
        ("failed", {"error_code": "storage_unavailable"}, False),
        ("expired", {}, True),
        ("cancelled", {}, False),
    ],
)
def test_the_form_is_the_way_out_where_the_same_would_fail_again(
    browser: Client, alice: User, status: str, values: dict[str, Any], way_out: bool
) -> None:
    page = browser.get(f"/exports/{make_job(alice, status, **values).pk}/")
    assert ("anew" in controls(page)) == way_out


def test_the_day_is_said_where_it_changes(browser: Client, alice: User) -> None:
    job = make_job(alice, "expired")
    for kind, at in (
        (EventKind.QUEUED, "2026-02-26T23:59:58Z"),
        (EventKind.STARTED, "2026-02-26T23:59:59Z"),
        (EventKind.COMPLETED, "2026-02-27T00:00:01Z"),
    ):
        event = ExportEvent.objects.create(job=job, kind=kind)
        ExportEvent.objects.filter(pk=event.pk).update(at=at)
    shown = text(browser.get(f"/exports/{job.pk}/"))
    assert "Asked for 2026-02-26 23:59:58 Started 23:59:59 Completed 2026-02-27 00:00:01" in shown
