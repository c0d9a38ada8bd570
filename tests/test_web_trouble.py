"""Pages when things are not as they should be, and what none of them may hold."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.template.loader import render_to_string
from django.test import Client
from pytest_django import Settings

from exports_app.choices import Status
from tests.web_pages import make_job, text


@pytest.fixture
def browser(client: Client, alice: User) -> Client:
    """Alice, signed in."""
    client.force_login(alice)
    return client


def test_switched_off_every_page_says_so(browser: Client, settings: Settings) -> None:
    settings.ENABLE_EXPORTS = False
    for path in ("/exports/", "/exports/new/", f"/exports/{uuid4()}/"):
        answer = browser.get(path)
        assert (answer.status_code, answer["Retry-After"]) == (503, "60")
        assert "Exports are switched off at the moment. exports_disabled" in text(answer)


def test_an_unknown_address_has_a_page(browser: Client) -> None:
    answer = browser.get("/nothing/")
    assert answer.status_code == 404
    assert "There is nothing at this address." in text(answer)


@pytest.mark.parametrize("template", ["403.html", "403_csrf.html", "404.html", "500.html"])
def test_error_pages_need_neither_request_nor_database(template: str) -> None:
    assert "Back to the exports" in render_to_string(template)


def test_no_page_holds_script_or_style_of_its_own(browser: Client, alice: User) -> None:
    jobs = [make_job(alice, status) for status in Status.values]
    paths = ["/exports/", "/exports/new/", "/exports/new/transactions/", *(f"/exports/{job.pk}/" for job in jobs)]
    for path in paths:
        body = browser.get(path).content.decode()
        assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=|javascript:|https?://", body), path
