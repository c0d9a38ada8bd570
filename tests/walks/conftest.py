"""Pages in headless Chromium. Whatever a page complains about in its console fails the test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from tests.walks.browser import CHROMIUM, PATIENCE, SITE

ABORTED = ("htmx:afterRequest", "htmx:sendAbort", "htmx:sendError")
"""What htmx says of a request that a newer one has overtaken."""
REFUSED = "status of 400"
"""A form with something wrong in it is answered so, and the page says what."""


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Only with a site to walk on; ``tests/test_walks.py`` brings one."""
    return None if "EXPORTSITE_URL" in os.environ else True


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that may complain about nothing and ask no other host."""
    complaints: list[str] = []
    page = context.new_page()

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(ABORTED) and REFUSED not in message.text:
            complaints.append(message.text)

    def see(request: Request) -> None:
        if not request.url.startswith((SITE, "data:", "blob:")) and not request.is_navigation_request():
            complaints.append(f"asked {request.url}")

    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", see)
    yield page
    assert complaints == []


@pytest.fixture
def plain_page(chromium: Browser) -> Iterator[Page]:
    """A page without scripts."""
    context = chromium.new_context(java_script_enabled=False)
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()
