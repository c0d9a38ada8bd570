"""A browser for the walks, and what they all do with it."""

from __future__ import annotations

import os
import shutil

from playwright.sync_api import Page, expect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SITE = os.environ.get("EXPORTSITE_URL", "")
PATIENCE = 30_000  # milliseconds; the machine may be busy, and nothing here measures time

expect.set_options(timeout=PATIENCE)


def by(testid: str) -> str:
    return f'[data-testid="{testid}"]'


def sign_in(page: Page, name: str = "demo") -> None:
    page.goto(f"{SITE}/exports/")
    page.fill("[name=username]", name)
    page.fill("[name=password]", name)
    page.press("[name=password]", "Enter")
    page.wait_for_url("**/exports/")


def start(page: Page, resource: str, **values: str) -> None:
    """Ask for an export that is made in the background, and come to its page; ``parameter__rows="9"`` fills a field."""
    page.goto(f"{SITE}/exports/new/{resource}/")
    for name, value in values.items():
        page.fill(by(name.replace("__", "-")), value)
    page.wait_for_selector(f"{by('preview-rows')}, {by('preview-problems')}")
    page.click(by("start"))
    page.wait_for_url(lambda url: "/new/" not in url)


def wait_for_state(page: Page, state: str) -> None:
    page.wait_for_selector(f'#export [data-state="{state}"]', timeout=PATIENCE)


def download(page: Page, testid: str = "download") -> bytes:
    """What a click on the button brings."""
    with page.expect_download(timeout=PATIENCE) as waiting:
        page.click(by(testid))
    return waiting.value.path().read_bytes()
