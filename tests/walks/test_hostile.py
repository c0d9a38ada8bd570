"""Text that would be more than text, wherever people or rows bring it: shown as text, and held in its place."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.walks.browser import SITE, by, sign_in, start, wait_for_state

HOSTILE = "<img src=x onerror=alert(1)> \"' {{ 7*7 }} ${8*8} \N{RIGHT-TO-LEFT OVERRIDE}txet " + "W" * 40
CELL = "UPDATE samples_customer SET name = %s WHERE id = 1"


@pytest.fixture
def hostile_row() -> Iterator[None]:
    """The first customer has such a name."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        name = connection.execute("SELECT name FROM samples_customer WHERE id = 1").fetchone()
        assert name is not None
        connection.execute(CELL, [HOSTILE])
        yield
        connection.execute(CELL, [name[0]])


def scrolls_sideways(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def test_hostile_text_is_text_and_moves_nothing_else(page: Page, hostile_row: None) -> None:
    page.on("dialog", lambda dialog: pytest.fail(f"It ran: {dialog.message}"))
    sign_in(page)
    page.goto(f"{SITE}/exports/new/customers/")
    page.fill(by("label-email"), HOSTILE)
    page.click(by("preset-open"))
    page.fill(by("preset-name"), HOSTILE)
    expect(page.locator(by("preview-table") + " th").nth(2)).to_have_text(HOSTILE)
    expect(page.locator(by("preview-table") + " td").nth(1)).to_have_text(HOSTILE)
    page.click(by("preset-save"))
    expect(page.locator(by("message"))).to_contain_text(HOSTILE)
    start(page, "customers", label__email=HOSTILE)
    wait_for_state(page, "completed")
    expect(page.locator(by("contents"))).to_contain_text(HOSTILE)
    page.fill(by("share-with"), HOSTILE)
    page.click(by("share"))
    expect(page.locator(by("message"))).to_contain_text(HOSTILE)
    made = page.url.removeprefix(SITE)
    page.goto(f"{SITE}/exports/keys/")
    page.fill(by("key-name"), HOSTILE)
    page.fill(by("key-password"), "demo")
    page.click(by("key-create"))
    expect(page.locator(by("key")).first).to_contain_text(HOSTILE)
    page.set_viewport_size({"width": 390, "height": 844})
    wide = [
        path
        for path in ("/exports/", "/exports/new/", "/exports/new/customers/", "/exports/keys/", made)
        if page.goto(SITE + path) and scrolls_sideways(page)
    ]
    assert wide == []
    page.goto(f"{SITE}/exports/keys/")
    page.locator(by("key-revoke")).first.click()
    expect(page.locator("#confirm-text")).to_contain_text(HOSTILE)
    page.click(by("confirm"))
    expect(page.locator(by("message"))).to_contain_text(HOSTILE)
    page.goto(f"{SITE}/exports/new/")
    page.locator(by("saved-preset"), has_text="onerror").locator(by("preset-delete")).click()
    page.click(by("confirm"))
    expect(page.locator(by("saved-preset"), has_text="onerror")).to_have_count(0)
