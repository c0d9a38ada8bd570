"""The pages as people use them: sign in, look, watch, fetch the file, end an export."""

from __future__ import annotations

import gzip
import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from exports_app.choices import Status
from exports_app.models import ExportJob
from tests.costs import queries
from tests.web_pages import HOUR, controls, make_job, text

MOST_OF_A_LIST = 15_000
"""Bytes of a page of twenty exports; with the scripts and styles the whole page keeps below 100 KB."""

# Signing in


def test_a_stranger_is_sent_to_sign_in_and_comes_back(client: Client, alice: User) -> None:
    asked = client.get("/exports/new/tags/", follow=True)
    assert asked.redirect_chain == [("/login/?next=/exports/new/tags/", 302)]
    assert "Sign in to Exports" in text(asked)
    entered = client.post("/login/", {"username": "alice", "password": "alice", "next": "/exports/new/tags/"})
    assert entered["Location"] == "/exports/new/tags/"


def test_a_wrong_password_says_so_and_keeps_the_name(client: Client, alice: User) -> None:
    refused = client.post("/login/", {"username": "alice", "password": "wrong"})
    assert "The name or the password is not right." in text(refused)
    assert 'value="alice"' in refused.content.decode()


def test_signing_out_is_a_form(browser: Client) -> None:
    assert browser.get("/logout/").status_code == 405
    assert browser.post("/logout/")["Location"] == "/login/"
    assert browser.get("/exports/").status_code == 302


def test_the_root_leads_to_the_exports(browser: Client) -> None:
    assert browser.get("/")["Location"] == "/exports/"


def test_a_form_sent_after_the_session_ended_leads_to_the_list_after_signing_in(client: Client, alice: User) -> None:
    job = make_job(alice)
    assert client.post(f"/exports/{job.pk}/cancel/")["Location"] == "/login/?next=/exports/"


# The list


def test_an_empty_list_leads_to_the_first_export(browser: Client) -> None:
    page = browser.get("/exports/")
    assert "Nothing exported yet" in text(page)
    assert '<a class="button primary" href="/exports/new/" data-testid="new-export">' in page.content.decode()


def test_the_list_holds_mine_and_what_is_shared_with_me_newest_first(browser: Client, alice: User, bob: User) -> None:
    mine, shared, other = make_job(alice), make_job(bob, resource="tags"), make_job(bob)
    shared.shared_with.add(alice)
    body = browser.get("/exports/").content.decode()
    assert re.findall(r'data-testid="export" data-id="([^"]+)"', body) == [str(shared.pk), str(mine.pk)]
    assert str(other.pk) not in body
    assert "2 columns · from bob" in body


@pytest.mark.parametrize(
    ("status", "values", "shown"),
    [
        (Status.QUEUED, {}, "Queued Next in the queue."),
        (Status.RUNNING, {}, "Running"),
        (Status.QUEUED, {"next_attempt_at": timezone.now() + 2 * HOUR}, "Retrying Trying again in 1 hour."),
        (Status.COMPLETED, {}, "Completed 1,234,567 64.0 MB just now in 23 hours"),
        (Status.FAILED, {}, "Failed The export could not be made."),
        (Status.CANCELLED, {}, "Cancelled"),
        (Status.EXPIRED, {"expires_at": timezone.now() - 2 * HOUR}, "Expired 1,234,567 64.0 MB just now 2 hours ago"),
        # The sweep has not come by yet.
        (Status.COMPLETED, {"expires_at": timezone.now() - HOUR}, "Expired 1,234,567 64.0 MB just now 1 hour ago"),
    ],
)
def test_each_state_has_its_words(
    browser: Client, alice: User, status: str, values: dict[str, Any], shown: str
) -> None:
    make_job(alice, status, **values)
    assert f"Customers CSV 2 columns {shown}" in text(browser.get("/exports/"))


def test_a_running_export_shows_how_far_it_is(browser: Client, alice: User) -> None:
    make_job(alice, Status.RUNNING, rows_done=417_000, estimated_rows=1_000_000, estimate_exact=True)
    page = browser.get("/exports/")
    assert "417,000 of 1,000,000 rows" in text(page)
    assert "pace" in controls(page)
    assert '<progress class="bar running"' in page.content.decode()
    assert 'max="100" value="41.7"' in page.content.decode()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (Status.QUEUED, ["cancel"]),
        (Status.RUNNING, ["cancel"]),
        (Status.COMPLETED, ["download", "delete"]),
        (Status.FAILED, ["retry", "delete"]),
        (Status.CANCELLED, ["retry", "delete"]),
        (Status.EXPIRED, ["delete"]),
    ],
)
def test_each_state_offers_what_can_be_done(browser: Client, alice: User, status: str, expected: list[str]) -> None:
    make_job(alice, status)
    offered = controls(browser.get("/exports/"))
    assert [each for each in offered if each in ("download", "cancel", "retry", "delete")] == expected


def test_a_shared_export_can_be_fetched_but_not_changed(browser: Client, bob: User, alice: User) -> None:
    make_job(bob, Status.COMPLETED).shared_with.add(alice)
    offered = controls(browser.get("/exports/"))
    assert "download" in offered
    assert "delete" not in offered


def test_a_long_list_has_pages(browser: Client, alice: User) -> None:
    for _ in range(21):
        make_job(alice)
    assert "Page 1 of 2 Older" in text(browser.get("/exports/"))
    second = browser.get("/exports/?page=2")
    assert controls(second).count("export") == 1
    assert "Newer Page 2 of 2" in text(second)


def test_a_full_page_of_exports_is_sent_compressed(browser: Client, alice: User) -> None:
    for _ in range(20):
        make_job(alice, Status.COMPLETED)
    page = browser.get("/exports/", headers={"Accept-Encoding": "gzip"})
    assert page["Content-Encoding"] == "gzip"
    assert len(page.content) < MOST_OF_A_LIST
    assert gzip.decompress(page.content).count(b'data-testid="export"') == 20


def test_the_list_asks_the_database_no_more_often_when_it_is_long(browser: Client, alice: User, bob: User) -> None:
    for number in range(20):
        job = make_job([alice, bob][number % 2], [Status.COMPLETED, Status.RUNNING, Status.QUEUED][number % 3])
        job.shared_with.add(alice, bob)
    # session, user, shares, count, exports, shared with, places, permissions: own and by group, mine and Bob's
    with queries() as asked:
        assert controls(browser.get("/exports/")).count("export") == 20
    assert len(asked) == 11


def test_five_hundred_exports_cost_no_more_than_one_page_of_them(browser: Client, alice: User) -> None:
    job = make_job(alice, Status.COMPLETED)
    values = ExportJob.objects.values().get(pk=job.pk)
    ExportJob.objects.bulk_create(ExportJob(**values | {"id": uuid4()}) for _ in range(499))
    with queries() as asked:
        page = browser.get("/exports/")
    assert len(asked) == 8
    assert "Page 1 of 25 Older" in text(page)
    assert controls(page).count("export") == 20
    assert len(page.content) < 60_000


def test_a_live_list_refreshes_itself_with_and_without_scripts(browser: Client, alice: User) -> None:
    job = make_job(alice, Status.RUNNING)
    page = browser.get("/exports/").content.decode()
    assert 'sse-connect="/api/v1/exports/events/"' in page
    assert 'hx-get="/exports/rows/?page=1" hx-trigger="sse:progress throttle:1s, sse:status' in page
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page
    fragment = browser.get("/exports/rows/?page=1", headers={"HX-Request": "true"}).content.decode()
    assert fragment.startswith('<div id="exports" hx-get=')
    assert "every 10s" in fragment
    ExportJob.objects.filter(pk=job.pk).update(status=Status.CANCELLED)
    still = browser.get("/exports/rows/?page=1", headers={"HX-Request": "true"}).content.decode()
    assert "sse:status" in still  # another tab may start one
    assert "every 10s" not in still
    assert 'http-equiv="refresh"' not in browser.get("/exports/").content.decode()


def test_staff_see_everybodys_exports_when_they_ask(client: Client, admin_user: User, alice: User) -> None:
    make_job(alice)
    client.force_login(admin_user)
    mine = client.get("/exports/")
    assert {"empty", "admin-link", "scope-all"} <= set(controls(mine))
    everybody = client.get("/exports/?scope=all")
    assert "from alice" in text(everybody)
    assert 'hx-get="/exports/rows/?scope=all&amp;page=1"' in everybody.content.decode()


def test_others_cannot_ask_for_everybodys(browser: Client, bob: User) -> None:
    make_job(bob)
    assert "empty" in controls(browser.get("/exports/?scope=all"))


# One export


def test_a_finished_export_shows_its_proof(browser: Client, alice: User) -> None:
    snapshots = [{"at": "2026-02-26T10:11:12+00:00", "after_key": None, "rows_before": 0}]
    job = make_job(
        alice,
        Status.COMPLETED,
        rows_verified=True,
        snapshots=snapshots,
        filters={"subscription_tier": ["PRO", "FREE"]},
        row_limit=10,
    )
    shown = text(browser.get(f"/exports/{job.pk}/"))
    assert "Rows 1,234,567 Size 64.0 MB Took 3.2 s Expires in 23 hours" in shown
    assert (
        "Rows 1,234,567 Rows verified Yes, by a separate count Bytes 67,108,864 CRC-32 9f3a01bc "
        "Data as of 2026-02-26 10:11:12 UTC" in shown
    )
    assert "Subscription tier Pro, Free Only the first 10 rows Columns ID E-mail" in shown


def test_a_running_export_shows_speed_and_time_left(browser: Client, alice: User) -> None:
    job = make_job(
        alice, Status.RUNNING, rows_done=417_000, estimated_rows=1_000_000, rows_per_second=291_500, bytes_done=2_048
    )
    page = browser.get(f"/exports/{job.pk}/")
    assert "41% 417,000 of about 1,000,000 rows" in text(page)
    assert "Speed 291,500 rows/s Time left 2.0 s Written 2.0 KB" in text(page)
    assert f'hx-get="/exports/{job.pk}/progress/" hx-trigger="sse:progress throttle:1s' in page.content.decode()


def test_a_queued_export_says_how_many_come_before_it(browser: Client, alice: User) -> None:
    first, second = make_job(alice), make_job(alice)
    assert "Next in the queue." in text(browser.get(f"/exports/{first.pk}/"))
    assert "Number 2 in the queue." in text(browser.get(f"/exports/{second.pk}/"))


def test_a_failed_export_says_why_and_what_to_do_but_shows_no_traceback(browser: Client, alice: User) -> None:
    job = make_job(
        alice,
        Status.FAILED,
        error_code="storage_unavailable",
        error_detail="The file storage could not be reached.",
        error_trace="Traceback: secret",
    )
    page = browser.get(f"/exports/{job.pk}/")
    assert "The file storage could not be reached. storage_unavailable Retry it in a few minutes." in text(page)
    assert "secret" not in page.content.decode()


def test_the_fragment_of_an_ended_export_stops_asking(browser: Client, alice: User) -> None:
    job = make_job(alice, Status.COMPLETED)
    fragment = browser.get(f"/exports/{job.pk}/progress/", headers={"HX-Request": "true"}).content.decode()
    assert fragment.startswith('<div id="export" data-state="completed" data-announce="Customers: Completed"')


def test_a_fragment_asked_for_after_the_session_ended_loads_the_page_anew(client: Client, alice: User) -> None:
    job = make_job(alice)
    answer = client.get(f"/exports/{job.pk}/progress/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Refresh"]) == (200, "true")


def test_anothers_export_is_not_found(browser: Client, bob: User) -> None:
    job = make_job(bob, Status.COMPLETED)
    for path in ("", "progress/", "download/"):
        assert browser.get(f"/exports/{job.pk}/{path}").status_code == 404
    for path in ("cancel/", "retry/", "delete/"):
        assert browser.post(f"/exports/{job.pk}/{path}").status_code == 404


def test_hostile_text_is_shown_as_text(browser: Client, alice: User) -> None:
    hostile = '<script>alert("x")</script>'
    job = make_job(
        alice,
        Status.FAILED,
        resource=hostile,
        file_name=hostile,
        columns=[{"name": hostile, "label": hostile}],
        filters={hostile: hostile},
        error_detail=hostile,
    )
    for path in ("/exports/", f"/exports/{job.pk}/"):
        assert "<script>alert" not in browser.get(path).content.decode()


# The file


def test_a_download_leads_to_a_fresh_link_to_the_file(browser: Client, alice: User) -> None:
    job = make_job(alice, Status.COMPLETED)
    answer = browser.get(f"/exports/{job.pk}/download/")
    assert answer.status_code == 302
    assert "/exports/1/x.csv?" in answer["Location"]
    assert "X-Amz-Signature=" in answer["Location"]
    assert "customers-2026-02-26.csv" in answer["Location"]
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize(
    ("status", "values", "code", "reason"),
    [
        (Status.EXPIRED, {}, 410, "The file of this export has expired."),
        (Status.COMPLETED, {"expires_at": timezone.now() - HOUR}, 410, "The file of this export has expired."),
        (Status.RUNNING, {}, 409, "This export is running; it has no file to download."),
        (Status.COMPLETED, {"file_key": ""}, 404, "Its file was deleted."),
    ],
)
def test_without_a_file_a_download_says_why(
    browser: Client, alice: User, status: str, values: dict[str, Any], code: int, reason: str
) -> None:
    answer = browser.get(f"/exports/{make_job(alice, status, **values).pk}/download/")
    assert answer.status_code == code
    assert reason in text(answer)


def test_who_lost_the_permission_can_see_a_shared_export_but_not_fetch_it(
    client: Client, alice: User, charlie: User
) -> None:
    job = make_job(alice, Status.COMPLETED)
    job.shared_with.add(charlie)
    client.force_login(charlie)
    page = client.get(f"/exports/{job.pk}/")
    assert "its data needs permissions that you do not have" in text(page)
    assert "download" not in controls(page)
    assert client.get(f"/exports/{job.pk}/download/").status_code == 403


# Ending and going on


def test_cancelling_comes_back_to_where_the_button_was(browser: Client, alice: User) -> None:
    job = make_job(alice, Status.RUNNING)
    assert browser.post(f"/exports/{job.pk}/cancel/", {"next": "/exports/?page=1"})["Location"] == "/exports/?page=1"
    job.refresh_from_db()
    assert job.status == Status.CANCELLED


def test_nobody_is_sent_to_another_site(browser: Client, alice: User) -> None:
    job = make_job(alice)
    answer = browser.post(f"/exports/{job.pk}/cancel/", {"next": "https://elsewhere.example/"})
    assert answer["Location"] == f"/exports/{job.pk}/"


def test_cancelling_what_has_ended_says_so(browser: Client, alice: User) -> None:
    job = make_job(alice, Status.COMPLETED)
    page = browser.post(f"/exports/{job.pk}/cancel/", follow=True)
    assert "This export is completed; only a queued or running one can be cancelled." in text(page)


def test_retrying_queues_it_again(browser: Client, alice: User) -> None:
    job = make_job(alice, Status.FAILED)
    assert browser.post(f"/exports/{job.pk}/retry/")["Location"] == f"/exports/{job.pk}/"
    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.QUEUED, "")


def test_deleting_takes_it_off_the_list(browser: Client, alice: User) -> None:
    job = make_job(alice, Status.COMPLETED)
    page = browser.post(f"/exports/{job.pk}/delete/", {"next": "/exports/"}, follow=True)
    assert "The export and its file are deleted." in text(page)
    assert "export" not in controls(page)
    job.refresh_from_db()
    assert (job.deleted_at is None, job.file_key) == (False, "")


@pytest.mark.parametrize("action", ["cancel", "retry", "delete"])
def test_changes_are_for_the_owner_and_by_post_alone(browser: Client, alice: User, bob: User, action: str) -> None:
    job = make_job(bob)
    job.shared_with.add(alice)
    assert browser.get(f"/exports/{job.pk}/{action}/").status_code == 405
    refused = browser.post(f"/exports/{job.pk}/{action}/")
    assert refused.status_code == 403
    assert "Only its owner may change this export." in text(refused)


def test_a_form_without_its_token_changes_nothing(alice: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    job = make_job(alice)
    answer = browser.post(f"/exports/{job.pk}/cancel/")
    assert answer.status_code == 403
    assert "This form was too old. Nothing was changed." in text(answer)
    job.refresh_from_db()
    assert job.status == Status.QUEUED
