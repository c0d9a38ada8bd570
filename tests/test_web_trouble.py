"""Pages when things are not as they should be, and what none of them may hold."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.template.loader import render_to_string
from django.test import Client
from pytest_django import Settings

from exports_app import services
from exports_app.choices import Status
from tests.web_pages import make_job, text


def test_switched_off_every_page_says_so(browser: Client, settings: Settings) -> None:
    settings.ENABLE_EXPORTS = False
    for path in ("/exports/", "/exports/new/", f"/exports/{uuid4()}/"):
        answer = browser.get(path)
        assert (answer.status_code, answer["Retry-After"]) == (503, "60")
        assert "Exports are switched off at the moment. An operator did that." in text(answer)
        assert '<a class="button" href="" data-testid="try-again">' in answer.content.decode()


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/exports/", "text/html"),
        ("/exports/new/customers/", "text/html"),
        ("/login/", "text/html"),
        ("/admin/", "text/html"),
        ("/api/v1/exports/", "application/json"),
    ],
)
def test_without_a_database_everybody_is_told_to_come_back(
    browser: Client, monkeypatch: pytest.MonkeyPatch, path: str, media_type: str
) -> None:
    def away(request: Any) -> Any:
        raise OperationalError("connection refused")

    monkeypatch.setattr("django.contrib.auth.middleware.get_user", away)
    answer = browser.get(path)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert answer["Content-Type"].startswith(media_type)
    assert "The database is away at the moment." in answer.content.decode()
    assert "connection refused" not in answer.content.decode()


def test_a_refusal_says_what_to_do(browser: Client, alice: User) -> None:
    job = make_job(alice, Status.EXPIRED)
    said = text(browser.get(f"/exports/{job.pk}/download/"))
    assert "410 The file of this export has expired. Start a new export to have it again. gone" in said
    said = text(browser.get(f"/exports/{uuid4()}/"))
    assert "404 There is no such export. It may have been deleted, or it is not shared with you. not_found" in said


@pytest.mark.parametrize("path", ["/nothing", "/nothing/", "/static/none.css", "/admin/nothing/", "/exports/nothing/"])
def test_an_unknown_address_has_a_page(client: Client, admin_user: User, path: str) -> None:
    client.force_login(admin_user)
    answer = client.get(path)
    assert answer.status_code == 404
    assert "There is nothing at this address." in text(answer)
    assert is_protected(answer)


def test_an_unknown_host_has_a_page(client: Client, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["exports.example.com"]
    answer = client.get("/login/", headers={"host": "elsewhere.example.com"})
    assert answer.status_code == 400
    assert "This request could not be understood." in text(answer)
    assert is_protected(answer)


def test_a_form_without_its_secret_has_a_page() -> None:
    answer = Client(enforce_csrf_checks=True).post("/login/", {"username": "alice"})
    assert answer.status_code == 403
    assert "Back to the exports" in text(answer)
    assert is_protected(answer)


def test_a_failure_that_nobody_foresaw_has_a_page(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "get_export", lambda user, job_id: 1 / 0)
    browser.raise_request_exception = False
    answer = browser.get(f"/exports/{uuid4()}/")
    assert answer.status_code == 500
    assert "Something broke on our side." in text(answer)
    assert is_protected(answer)


def test_the_admin_is_protected_as_every_page_is(client: Client, admin_user: User) -> None:
    assert is_protected(client.get("/admin/login/"))
    client.force_login(admin_user)
    for path in ("/admin/", "/admin/exports_app/exportjob/", "/admin/auth/user/add/"):
        assert is_protected(client.get(path))


def is_protected(answer: Any) -> bool:
    """No other site frames it, and it runs no script but ours."""
    rules = answer["Content-Security-Policy"].split("; ")
    return {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(rules) and (
        answer["X-Frame-Options"] == "DENY"
    )


@pytest.mark.parametrize("template", ["400.html", "403.html", "403_csrf.html", "404.html", "500.html"])
def test_error_pages_need_neither_request_nor_database(template: str) -> None:
    assert "Back to the exports" in render_to_string(template)


def test_no_page_holds_script_or_style_of_its_own(browser: Client, alice: User) -> None:
    jobs = [make_job(alice, status) for status in Status.values]
    paths = ["/exports/", "/exports/new/", "/exports/new/transactions/", *(f"/exports/{job.pk}/" for job in jobs)]
    for path in paths:
        body = browser.get(path).content.decode()
        assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=|javascript:|https?://", body), path
