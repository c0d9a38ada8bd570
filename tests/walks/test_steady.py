"""Pages that follow an export stay where they are, and say little."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from tests.walks.browser import SITE, by, sign_in, start, wait_for_state

WATCH = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
window.said = [];
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("[role=status], [role=alert], [aria-live]").forEach((region) => {
    new MutationObserver(() => {
      const text = region.textContent.trim();
      if (text) window.said.push(text);
    }).observe(region, { childList: true, characterData: true, subtree: true });
  });
});
"""
"""Sums up what moves by itself, and keeps what screen readers are told."""


def see_progress(page: Page, times: int) -> None:
    """Wait until the rows that are done have changed so often."""
    for _ in range(times):
        done = page.locator(by("rows-done")).text_content()
        expect(page.locator(by("rows-done"))).not_to_have_text(done or "")


def test_nothing_moves_while_progress_runs(page: Page) -> None:
    sign_in(page)
    page.add_init_script(WATCH)
    start(page, "test_data", parameter__rows="900000")
    wait_for_state(page, "running")
    expect(page.locator(by("speed"))).to_contain_text("rows/s")
    page.evaluate("window.shifted = 0")
    see_progress(page, 3)
    assert page.evaluate("window.shifted") == 0
    page.goto(f"{SITE}/exports/")
    expect(page.locator(by("rows-done")).first).to_be_visible()
    page.evaluate("window.shifted = 0")
    see_progress(page, 3)
    assert page.evaluate("window.shifted") == 0
    page.click(f"{by('cancel')} >> nth=0")
    expect(page.locator(by("rows-done"))).to_have_count(0)


def test_each_change_of_state_is_said_once(page: Page) -> None:
    sign_in(page)
    page.add_init_script(WATCH)
    start(page, "test_data", parameter__rows="60000")
    wait_for_state(page, "completed")
    said = page.evaluate("window.said")
    ready = ["Test data: Completed", "Test data: Completed. The file is ready."]
    assert said[-2:] == ready
    assert said[:-2] in ([], ["Test data: Running"], ["Test data: Queued", "Test data: Running"])


def test_tabs_and_a_phone_stay_in_step(page: Page, chromium: Browser) -> None:
    sign_in(page)
    tab = page.context.new_page()
    phone = chromium.new_context(
        viewport={"width": 390, "height": 844}, storage_state=page.context.storage_state()
    ).new_page()
    for other in (tab, phone):
        other.goto(f"{SITE}/exports/")
    start(page, "test_data", parameter__rows="900000")
    identity = page.url.rstrip("/").rsplit("/", 1)[1]
    for other in (tab, phone):
        expect(other.locator(f'[data-id="{identity}"] [data-state="running"]')).to_be_visible()
    phone.click(f'[data-id="{identity}"] {by("cancel")}')
    wait_for_state(page, "cancelled")
    expect(tab.locator(f'[data-id="{identity}"] [data-state="cancelled"]')).to_be_visible()
    phone.context.close()
