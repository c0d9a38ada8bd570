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


def wait_for_state(page: Page, state: str) -> None:
    page.wait_for_selector(f'#export [data-state="{state}"]', timeout=PATIENCE)


def download(page: Page, testid: str = "download") -> bytes:
    """What a click on the button brings."""
    with page.expect_download(timeout=PATIENCE) as waiting:
        page.click(by(testid))
    return waiting.value.path().read_bytes()
