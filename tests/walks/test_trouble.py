"""A server that goes away and comes back, and links that do not work any more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import urlsplit

import psycopg
import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from chaos.proxy import Mode, Proxy
from tests.walks.browser import SITE, by, download, sign_in, start, wait_for_state


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """What stands between the browser and the site."""
    parts = urlsplit(SITE)
    opened = Proxy(parts.hostname or "", parts.port or 80)
    yield opened
    opened.heal()


def test_a_stopped_server_is_said_to_be_away_and_what_happened_meanwhile_is_shown(
    context: BrowserContext, proxy: Proxy
) -> None:
    page = context.new_page()
    sign_in(page)
    notice = page.locator(by("reconnecting"))
    with page.expect_response("**/exports/events/"):
        page.goto(f"http://127.0.0.1:{proxy.port}/exports/")
    expect(notice).to_be_hidden()
    proxy.set(Mode.REFUSE)
    expect(notice).to_be_visible()
    headers = {"Authorization": f"Bearer {os.environ['EXPORTSITE_TOKEN']}"}
    made = requests.post(f"{SITE}/api/v1/exports/", json={"resource": "tags"}, headers=headers, timeout=30).json()
    proxy.set(Mode.PASS)
    expect(notice).to_be_hidden()
    expect(page.locator(f'[data-id="{made["id"]}"] [data-state="completed"]')).to_be_visible()


# Links


@pytest.fixture
def link(page: Page) -> str:
    """A one-time link to an export that has completed."""
    sign_in(page)
    start(page, "customers")
    wait_for_state(page, "completed")
    page.click(by("make-link"))
    return page.locator(by("made-link")).input_value()


@pytest.fixture(params=["light", "dark"])
def stranger(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Somebody who never signed in."""
    scheme: Literal["light", "dark"] = request.param
    context = chromium.new_context(color_scheme=scheme, viewport={"width": 390, "height": 844})
    yield context.new_page()
    context.close()


def open_link(page: Page, link: str) -> None:
    page.goto("about:blank")  # another # alone loads nothing
    page.goto(link)


def barriers(page: Page) -> list[Any]:
    return [each["id"] for each in Axe().run(page).response["violations"]]


def test_a_link_gives_the_file_once_and_then_says_that_it_did(link: str, stranger: Page) -> None:
    open_link(stranger, link)
    expect(stranger.locator(by("link-ready"))).to_be_visible()
    assert barriers(stranger) == []
    assert download(stranger, "redeem").startswith(b'"ID",Name,Email')
    expect(stranger.locator(by("started"))).to_be_visible()
    assert barriers(stranger) == []
    open_link(stranger, link)
    expect(stranger.locator(by("error"))).to_have_text("This link was used already")
    assert barriers(stranger) == []


def test_a_link_that_was_cut_short_asks_for_all_of_it(link: str, stranger: Page) -> None:
    open_link(stranger, link[:-4])
    expect(stranger.locator(by("error"))).to_have_text("This link is not complete")
    assert barriers(stranger) == []
    stranger.fill(by("token"), link)
    stranger.click(by("look"))
    expect(stranger.locator(by("link-ready"))).to_be_visible()


def test_a_link_whose_time_is_over_says_so(link: str, stranger: Page) -> None:
    identity = link.partition("/exports/")[2].partition("/")[0]
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute(
            "UPDATE exports_app_exporttoken SET expires_at = now() - interval '1 minute' WHERE job_id = %s", [identity]
        )
    open_link(stranger, link)
    expect(stranger.locator(by("error"))).to_have_text("This link has expired")
    expect(stranger.locator(by("sign-in"))).to_be_visible()
    assert barriers(stranger) == []


def test_a_preview_that_must_wait_comes_without_an_error(context: BrowserContext) -> None:
    """Other tabs of the same user ask for more previews at once than are answered."""
    page = context.new_page()
    refused: list[int] = []
    page.on("response", lambda answer: refused.append(answer.status) if answer.status == 429 else None)
    sign_in(page)
    page.goto(f"{SITE}/exports/new/transactions/")
    expect(page.locator(by("preview-table"))).to_be_visible()
    page.evaluate(
        """() => {
          const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
          const ask = () => fetch("/exports/new/transactions/preview/", {
            method: "POST", headers: {"HX-Request": "true", "X-CSRFToken": token},
            body: new URLSearchParams(new FormData(document.getElementById("new"))),
          });
          for (let n = 0; n < 12; n += 1) ask();
          window.htmx.trigger("#preview", "again");
        }"""
    )
    expect(page.locator(by("preview-table"))).to_be_visible()
    page.fill(by("limit"), "7")
    expect(page.locator(by("preview-rows"))).to_have_text("7 rows", timeout=10_000)
    expect(page.locator(by("reconnecting"))).to_be_hidden()
    assert 429 in refused
