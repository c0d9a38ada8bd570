"""The page of a one-time link, and what the owner of an export does with links and sees of downloads."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client

from exports_app import downloads, services
from exports_app.choices import Status
from exports_app.models import ExportEvent, ExportJob, ExportToken
from tests.web_pages import HOUR, controls, make_job, text


@pytest.fixture
def stranger() -> Client:
    """Somebody without a login, whose reader of mail keeps no cookies."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def job(alice: User) -> ExportJob:
    return make_job(alice, Status.COMPLETED)


@pytest.fixture
def token(job: ExportJob, alice: User) -> str:
    return downloads.make_token(job, alice).token


def page(job: ExportJob) -> str:
    return f"/exports/{job.pk}/link/"


# What the link opens


def test_without_a_token_the_page_says_nothing_of_the_export(stranger: Client, job: ExportJob) -> None:
    opened = stranger.get(page(job))
    assert opened.status_code == 200
    assert "One-time link Paste the link that you were sent to see what it leads to." in text(opened)
    for private in ("alice", "customers", "1,234,567", "64.0"):
        assert private not in opened.content.decode()


def test_the_page_is_the_same_whether_there_is_such_an_export(stranger: Client, job: ExportJob) -> None:
    known = stranger.get(page(job)).content.decode().replace(str(job.pk), "ID")
    unknown_id = "6b1f0b5e-0000-4000-8000-000000000000"
    assert stranger.get(f"/exports/{unknown_id}/link/").content.decode().replace(unknown_id, "ID") == known


def test_nothing_of_the_page_is_kept_or_told(stranger: Client, job: ExportJob, token: str) -> None:
    for answer in (stranger.get(page(job)), stranger.post(page(job), {"token": token}), stranger.post(page(job))):
        assert "no-store" in answer["Cache-Control"]
        assert answer["Referrer-Policy"] == "same-origin"  # no-referrer would break the forms of the page
        assert answer["X-Robots-Tag"] == "noindex"


def test_a_token_that_works_shows_what_it_leads_to(stranger: Client, job: ExportJob, token: str) -> None:
    shown = stranger.post(page(job), {"token": token})
    assert shown.status_code == 200
    assert (
        "Your file is ready alice sent you Customers. "
        "File customers-2026-02-26.csv Rows 1,234,567 Size 64.0 MB Link ends in 23 hours Download" in text(shown)
    )
    assert ExportToken.objects.get().redeemed_at is None
    assert not ExportEvent.objects.exists()


def test_the_button_gives_the_file_once(stranger: Client, job: ExportJob, token: str) -> None:
    first = stranger.post(page(job), {"token": token, "download": "1"})
    assert first.status_code == 302
    assert "/exports/1/x.csv?" in first["Location"]
    assert first["Referrer-Policy"] == "no-referrer"
    second = stranger.post(page(job), {"token": token, "download": "1"})
    assert second.status_code == 403
    assert "This link was used already Each link gives the file once." in text(second)
    assert [event.data["via"] for event in ExportEvent.objects.all()] == ["token"]


def test_whatever_follows_links_uses_nothing_up(stranger: Client, job: ExportJob, token: str) -> None:
    for _ in range(3):
        stranger.get(page(job))
        stranger.head(page(job))
    assert stranger.post(page(job), {"token": token, "download": "1"}).status_code == 302


@pytest.mark.parametrize("form", ["{token}", "  {token}\n", "http://localhost{page}#{token}", "{api}?token={token}"])
def test_the_token_can_be_pasted_in_every_form(stranger: Client, job: ExportJob, token: str, form: str) -> None:
    pasted = form.format(token=token, page=page(job), api=f"http://localhost/api/v1/exports/{job.pk}/download/")
    assert "link-ready" in controls(stranger.post(page(job), {"token": pasted}))


@pytest.mark.parametrize("wrong", ["", "nonsense", "\x00", "é", "a.b", "x" * 10_000])
def test_a_wrong_token_says_what_to_do(stranger: Client, job: ExportJob, wrong: str) -> None:
    answer = stranger.post(page(job), {"token": wrong})
    assert answer.status_code == 403
    assert "This link is not complete Copy it whole, from https to its last character" in text(answer)
    assert {"token", "look", "sign-in"} <= set(controls(answer))


def test_an_expired_one_says_so(stranger: Client, job: ExportJob, token: str) -> None:
    ExportToken.objects.update(expires_at=Now() - HOUR)
    for body in ({"token": token}, {"token": token, "download": "1"}):
        answer = stranger.post(page(job), body)
        assert answer.status_code == 410
        assert "This link has expired Links live 24 hours. Ask whoever sent it for a new one" in text(answer)
        assert "redeem" not in controls(answer)


def test_a_withdrawn_one_says_so(stranger: Client, job: ExportJob, token: str) -> None:
    services.delete_export(job, by=job.owner)
    answer = stranger.post(page(job), {"token": token})
    assert answer.status_code == 403
    assert "This link was withdrawn" in text(answer)
    assert "alice" not in answer.content.decode()


def test_switched_off_the_page_says_so(stranger: Client, job: ExportJob, token: str, settings: Any) -> None:
    settings.ENABLE_EXPORTS = False
    answer = stranger.post(page(job), {"token": token, "download": "1"})
    assert answer.status_code == 503
    assert "Exports are switched off at the moment." in text(answer)


def test_hostile_text_is_shown_as_text(stranger: Client, alice: User) -> None:
    hostile = '"><script>alert("x")</script>'
    job = make_job(alice, Status.COMPLETED, file_name=hostile, resource="customers")
    shown = stranger.post(page(job), {"token": downloads.make_token(job, alice).token})
    assert "<script>alert" not in shown.content.decode()
    assert "<script>alert" not in stranger.post(page(job), {"token": hostile}).content.decode()


def test_the_pages_hold_no_script_or_style_of_their_own(
    stranger: Client, client: Client, job: ExportJob, alice: User, token: str
) -> None:
    client.force_login(alice)
    client.get(f"/exports/{job.pk}/download/")
    answers = [
        stranger.get(page(job)),
        stranger.post(page(job), {"token": token}),
        stranger.post(page(job), {"token": "x"}),
        client.get(f"/exports/{job.pk}/"),
        client.post(f"/exports/{job.pk}/links/"),
    ]
    for answer in answers:
        body = answer.content.decode().replace("http://localhost/exports/", "")
        assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=|javascript:|https?://", body)


# What the owner does and sees


def test_the_owner_makes_a_link_that_is_shown_once(client: Client, job: ExportJob, alice: User) -> None:
    client.force_login(alice)
    assert "make-link" in controls(client.get(f"/exports/{job.pk}/"))
    made = client.post(f"/exports/{job.pk}/links/")
    assert made.status_code == 201
    assert "no-store" in made["Cache-Control"]
    assert made["Referrer-Policy"] == "same-origin"  # else its own form would be refused
    found = re.search(rf'value="http://localhost{page(job)}#([^"]+)"', made.content.decode())
    assert found is not None
    assert "It ends in 23 hours and is not shown again. 1 link not used yet End it" in text(made)
    assert client.get(f"/exports/{job.pk}/").content.decode().count(found[1]) == 0
    assert downloads.look_up(job.pk, found[1]).created_by == alice


def test_the_owner_ends_all_links(client: Client, stranger: Client, job: ExportJob, alice: User, token: str) -> None:
    downloads.make_token(job, alice)
    client.force_login(alice)
    assert "2 links not used yet" in text(client.get(f"/exports/{job.pk}/"))
    ended = client.post(f"/exports/{job.pk}/links/withdraw/", follow=True)
    assert "2 links ended." in text(ended)
    assert "withdraw-links" not in controls(ended)
    assert stranger.post(page(job), {"token": token, "download": "1"}).status_code == 403


def test_the_owner_sees_who_fetched_the_file(
    client: Client, stranger: Client, job: ExportJob, alice: User, bob: User, token: str
) -> None:
    client.force_login(alice)
    assert "Nobody has fetched the file yet." in text(client.get(f"/exports/{job.pk}/"))
    job.shared_with.add(bob)
    stranger.post(page(job), {"token": token, "download": "1"}, REMOTE_ADDR="203.0.113.9")
    client.force_login(bob)
    client.get(f"/exports/{job.pk}/download/", REMOTE_ADDR="198.51.100.7")
    client.head(f"/exports/{job.pk}/download/")
    client.force_login(alice)
    shown = text(client.get(f"/exports/{job.pk}/"))
    assert re.search(r"Downloads bob 20\S+ \S+ UTC from 198\.51\.100\.7 Somebody by a link of alice ", shown)
    assert "from 203.0.113.9" in shown


def test_the_list_of_downloads_is_short_on_the_page(client: Client, job: ExportJob, alice: User) -> None:
    client.force_login(alice)
    for _ in range(22):
        client.get(f"/exports/{job.pk}/download/")
    shown = client.get(f"/exports/{job.pk}/")
    assert controls(shown).count("fetched") == 20
    assert "And 2 before." in text(shown)


def test_who_it_is_shared_with_makes_links_but_sees_no_downloads(
    client: Client, job: ExportJob, alice: User, bob: User
) -> None:
    job.shared_with.add(bob)
    client.force_login(bob)
    client.get(f"/exports/{job.pk}/download/", REMOTE_ADDR="198.51.100.7")
    shown = client.get(f"/exports/{job.pk}/")
    assert "make-link" in controls(shown)
    assert {"downloads", "fetched", "withdraw-links"} & set(controls(shown)) == set()
    assert "198.51.100.7" not in shown.content.decode()
    assert client.post(f"/exports/{job.pk}/links/").status_code == 201
    assert client.post(f"/exports/{job.pk}/links/withdraw/").status_code == 403


def test_an_expired_export_still_shows_who_fetched_it(client: Client, job: ExportJob, alice: User) -> None:
    client.force_login(alice)
    client.get(f"/exports/{job.pk}/download/")
    ExportJob.objects.update(expires_at=Now() - HOUR)
    shown = client.get(f"/exports/{job.pk}/")
    assert "fetched" in controls(shown)
    assert "make-link" not in controls(shown)


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING, Status.FAILED, Status.CANCELLED])
def test_without_a_file_there_is_nothing_to_link_to(client: Client, alice: User, status: str) -> None:
    job = make_job(alice, status)
    client.force_login(alice)
    assert {"links", "downloads"} & set(controls(client.get(f"/exports/{job.pk}/"))) == set()
    assert client.post(f"/exports/{job.pk}/links/").status_code == 409


def test_making_links_is_by_post_and_with_the_forms_own_token(job: ExportJob, alice: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    for path in ("links/", "links/withdraw/"):
        assert browser.get(f"/exports/{job.pk}/{path}").status_code == 405
        assert browser.post(f"/exports/{job.pk}/{path}").status_code == 403
    assert not ExportToken.objects.exists()
