"""What holds on every page: no barrier, no sideways scrolling, little to load."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.walks.browser import SITE, by, sign_in, wait_for_state

PAGES = ("/exports/", "/exports/new/", "/exports/new/transactions/", "/exports/new/test_data/", "/exports/keys/")
NOT_FOUND = "/exports/00000000-0000-4000-8000-000000000000/"
WIDTHS = (390, 768, 1440)
FINGER = 44  # CSS pixels
TOO_SMALL = """(finger) => [...document.querySelectorAll("button, .button, summary, select, textarea, input")]
  .map((control) => control.matches("[type=checkbox], [type=radio]") ? control.closest("label") : control)
  .filter((control) => control.checkVisibility() && control.offsetHeight < finger && control.offsetHeight > 1)
  .map((control) => control.outerHTML.slice(0, 100))"""


@pytest.fixture
def finished(page: Page) -> str:
    """Path of an export that has completed."""
    sign_in(page)
    page.goto(f"{SITE}/exports/new/customers/")
    page.wait_for_selector(by("preview-rows"))
    page.click(by("start"))
    wait_for_state(page, "completed")
    return page.url.removeprefix(SITE)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_barrier_or_scrolls_sideways(
    chromium: Browser, page: Page, finished: str, scheme: Literal["light", "dark"]
) -> None:
    context = chromium.new_context(color_scheme=scheme, storage_state=page.context.storage_state())
    shown = context.new_page()
    found: dict[str, Any] = {}
    for path in (*PAGES, finished, f"{finished}link/", NOT_FOUND):
        shown.goto(SITE + path)
        if "/new/t" in path:
            shown.wait_for_selector(by("preview-rows"))
            shown.click(by("options"))
        for width in WIDTHS:
            shown.set_viewport_size({"width": width, "height": 900})
            if shown.evaluate("document.documentElement.scrollWidth > innerWidth"):
                found[f"{path} at {width}"] = "scrolls sideways"
        violations = Axe().run(shown).response["violations"]
        if violations:
            found[path] = [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in violations]
    context.close()
    assert found == {}


def test_whatever_is_touched_is_as_large_as_a_finger(chromium: Browser, page: Page, finished: str) -> None:
    context = chromium.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, storage_state=page.context.storage_state()
    )
    shown = context.new_page()
    found: dict[str, Any] = {}
    for path in (*PAGES, finished, f"{finished}link/", NOT_FOUND):
        shown.goto(SITE + path)
        if "/new/t" in path:
            shown.click(by("options"))
        if small := shown.evaluate(TOO_SMALL, FINGER):
            found[path] = small
    context.close()
    assert found == {}


def test_the_first_page_is_small(page: Page) -> None:
    sizes: list[int] = []
    sign_in(page)
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page.goto(f"{SITE}/exports/", wait_until="networkidle")
    assert sum(sizes) < 100_000


def test_signed_out_pages_have_no_barrier(page: Page) -> None:
    page.goto(f"{SITE}/login/")
    assert Axe().run(page).violations_count == 0
