"""The pictures of docs/images, taken from the running site.

``python -m exportsite.stack run --rows 50000 -- python -m tests.walks.pictures``
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import psycopg
from playwright.sync_api import Browser, Page, sync_playwright

from tests.walks.browser import CHROMIUM, SITE, by, sign_in, wait_for_state

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"
WIDTHS = {"wide": 1280, "phone": 390}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
FAILED = """
WITH told AS (UPDATE exports_app_exportevent
                 SET kind = 'failed', data = jsonb_build_object('detail', %(why)s::text)
               WHERE job_id = %(job)s AND kind = 'cancelled')
UPDATE exports_app_exportjob
   SET status = 'failed', error_code = 'storage_unavailable', error_detail = %(why)s, completed_at = now()
 WHERE id = %(job)s
"""
WHY = "The file storage could not be reached."


def start(page: Page, resource: str, *, rows: str = "") -> str:
    """Ask for an export; gives the path of its page."""
    page.goto(f"{SITE}/exports/new/{resource}/")
    if rows:
        page.fill(by("parameter-rows"), rows)
    page.wait_for_selector(by("preview-rows"))
    page.click(by("start"))
    page.wait_for_url(lambda url: "/new/" not in url)
    return page.url.removeprefix(SITE)


def fail(page: Page) -> str:
    """An export that has failed: cancelled first, since a storage that is away takes minutes to give up."""
    path = start(page, "test_data", rows="400000")
    page.click(by("cancel"))
    wait_for_state(page, "cancelled")
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute(FAILED, {"why": WHY, "job": path.strip("/").split("/")[1]})
    return path


def keep_preset(page: Page) -> None:
    """Settings with a name, shared with bob."""
    page.goto(f"{SITE}/exports/new/customers/")
    page.check(by("filter-country_code-DE"))
    page.click(by("preset-open"))
    page.fill(by("preset-name"), "Customers in Germany")
    page.click(by("preset-save"))
    page.wait_for_selector(by("message"))
    page.goto(f"{SITE}/exports/new/")
    page.click(by("preset-share-open"))
    page.fill(by("preset-people"), "bob")
    page.click(by("preset-share"))
    page.wait_for_selector(by("message"))


def take(browser: Browser, shown: Page, name: str, path: str, ready: Callable[[Page], object] | None = None) -> None:
    """One page, wide and narrow, light and dark."""
    state = shown.context.storage_state()
    for size, width in WIDTHS.items():
        for scheme in SCHEMES:
            context = browser.new_context(
                viewport={"width": width, "height": 844}, color_scheme=scheme, storage_state=state
            )
            page = context.new_page()
            page.goto(SITE + path)
            if ready:
                ready(page)
            page.screenshot(path=FOLDER / f"{name}-{size}-{scheme}.png", full_page=size == "phone")
            context.close()


def previewed(page: Page) -> None:
    page.wait_for_selector(by("preview-table"))
    page.wait_for_load_state("networkidle")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        stranger = browser.new_context().new_page()
        take(browser, stranger, "sign-in", "/login/")
        page = browser.new_context().new_page()
        sign_in(page)
        take(browser, page, "exports-empty", "/exports/")
        keep_preset(page)
        take(browser, page, "choose", "/exports/new/")
        take(browser, page, "new-export", "/exports/new/transactions/", previewed)
        done = start(page, "customers")
        wait_for_state(page, "completed")
        take(browser, page, "completed", done)
        take(browser, page, "failed", fail(page))
        running = start(page, "test_data", rows="900000")
        wait_for_state(page, "running")
        start(page, "transactions")
        take(browser, page, "exports-busy", "/exports/")
        take(browser, page, "running", running, lambda shown: shown.wait_for_selector(by("speed")))
        take(browser, stranger, "link", f"{done}link/")
        take(browser, page, "api-keys", "/exports/keys/")
        take(browser, page, "not-found", "/exports/00000000-0000-4000-8000-000000000000/")
        page.goto(SITE + running)
        page.click(by("cancel"))
        browser.close()


if __name__ == "__main__":
    main()
