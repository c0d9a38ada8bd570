"""What people do around an export: cancel, retry, share, keep settings, narrow the list, sign out."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.walks.browser import SITE, by, download, sign_in, start, wait_for_state


def test_an_export_is_cancelled_and_retried(page: Page) -> None:
    sign_in(page)
    start(page, "test_data", parameter__rows="400000")
    page.click(by("cancel"))
    wait_for_state(page, "cancelled")
    page.click(by("retry"))
    expect(page.locator(by("cancel"))).to_be_visible()
    page.click(by("cancel"))
    wait_for_state(page, "cancelled")
    page.goto(f"{SITE}/exports/")
    page.click(f"{by('export')} >> nth=0 >> {by('delete')}")
    page.click(by("confirm"))
    expect(page.locator(by("message"))).to_contain_text("deleted")


def test_an_export_is_shared_and_fetched_by_the_other(page: Page, chromium: Browser) -> None:
    sign_in(page)
    start(page, "customers")
    wait_for_state(page, "completed")
    page.fill(by("share-with"), "nobody-of-that-name")
    page.click(by("share"))
    expect(page.locator(by("message"))).to_contain_text("There is no user nobody-of-that-name.")
    page.fill(by("share-with"), "bob")
    page.click(by("share"))
    expect(page.locator(by("shared"))).to_contain_text("bob")
    other = chromium.new_context().new_page()
    sign_in(other, "bob")
    other.goto(page.url)
    assert download(other).count(b"\n") >= 12_001
    expect(other.locator(by("sharing"))).to_have_count(0)
    page.click(by("unshare"))
    assert other.reload().status == 404  # type: ignore[union-attr]
    other.context.close()


def test_settings_are_kept_as_a_preset_and_used_again(page: Page) -> None:
    sign_in(page)
    page.goto(f"{SITE}/exports/new/customers/")
    page.fill(by("label-email"), "Address")
    page.check(by("format-ndjson"))
    page.click(by("preset-open"))
    page.fill(by("preset-name"), "Lines")
    page.click(by("preset-save"))
    expect(page.locator(by("message"))).to_contain_text("The preset Lines is saved.")
    page.goto(f"{SITE}/exports/new/")
    page.click("text=Lines")
    expect(page.locator(by("label-email"))).to_have_value("Address")
    expect(page.locator(by("format-ndjson"))).to_be_checked()
    page.goto(f"{SITE}/exports/new/")
    mine = page.locator(by("saved-preset"), has_text="Lines")
    mine.locator(by("preset-delete")).click()
    page.click(by("confirm"))
    expect(mine).to_have_count(0)


def test_a_preset_is_shared_and_used_by_the_other_alone(page: Page, chromium: Browser) -> None:
    sign_in(page)
    page.goto(f"{SITE}/exports/new/customers/")
    page.fill(by("label-email"), "Address")
    page.click(by("preset-open"))
    page.fill(by("preset-name"), "Addresses")
    page.press(by("preset-name"), "Enter")
    expect(page.locator(by("message"))).to_contain_text("The preset Addresses is saved.")
    page.goto(f"{SITE}/exports/new/")
    mine = page.locator(by("saved-preset"), has_text="Addresses")
    mine.locator(by("preset-share-open")).click()
    mine.locator(by("preset-people")).fill("bob, nobody-of-that-name")
    mine.locator(by("preset-share")).click()
    expect(mine.locator(by("preset-problem"))).to_have_text("There is no user nobody-of-that-name.")
    expect(mine.locator(by("preset-people"))).to_be_focused()
    assert Axe().run(page).violations_count == 0
    mine.locator(by("preset-people")).fill("bob")
    mine.locator(by("preset-share")).click()
    expect(page.locator(by("message"))).to_contain_text("The preset Addresses is shared with bob.")
    other = chromium.new_context().new_page()
    sign_in(other, "bob")
    other.goto(f"{SITE}/exports/new/")
    expect(other.locator(by("saved-preset"), has_text="Addresses")).to_contain_text("From demo")
    other.click("text=Addresses")
    expect(other.locator(by("label-email"))).to_have_value("Address")
    mine.locator(by("preset-delete")).click()
    page.click(by("confirm"))
    expect(mine).to_have_count(0)
    assert other.reload().status == 404  # type: ignore[union-attr]
    other.context.close()


def test_the_list_leads_to_sharing_and_links(page: Page) -> None:
    sign_in(page)
    start(page, "customers")
    wait_for_state(page, "completed")
    page.goto(f"{SITE}/exports/")
    page.locator(by("share-open")).first.click()
    expect(page.locator(by("make-link"))).to_be_in_viewport()
    expect(page.locator(by("share-with"))).to_be_in_viewport()


def test_the_list_is_narrowed_and_the_way_out_is_a_click(page: Page) -> None:
    sign_in(page)
    start(page, "customers")
    wait_for_state(page, "completed")
    page.goto(f"{SITE}/exports/")
    page.select_option(by("narrow-status"), "failed")
    expect(page.locator(by("none-found"))).to_be_visible()
    page.goto(f"{SITE}/exports/")
    page.click(by("sign-out"))
    page.wait_for_url("**/login/**")
