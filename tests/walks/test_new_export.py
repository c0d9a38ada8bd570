"""From the first visit to the file: with the pointer, with the keyboard alone, and without scripts."""

from __future__ import annotations

import csv
import io

from playwright.sync_api import Page, expect

from tests.walks.browser import SITE, by, download, sign_in, wait_for_state


def rows_of(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


def test_from_the_first_visit_to_the_file(page: Page) -> None:
    sign_in(page)
    page.click(by("new-export"))
    page.click(by("resource-transactions"))
    expect(page.locator(by("preview-rows"))).to_have_text("12,000 rows")
    page.check(by("filter-status-SETTLED"))
    page.click(by("columns-none"))
    for name in ("id", "amount", "status"):
        page.check(by(f"column-{name}"))
    for _ in range(4):
        page.click(by("up-amount"))
    page.fill(by("label-amount"), "Betrag")
    page.click(by("options"))
    page.select_option(by("option-delimiter"), ";")
    titles = page.locator(by("preview-table") + " th")
    expect(titles).to_have_text(["Betrag", "ID", "Status"])
    expect(page.locator(by("preview-rows"))).not_to_have_text("12,000 rows")
    expect(page.locator(by("preview-table") + " tbody tr")).to_have_count(20)
    first = page.locator(by("preview-table") + " tbody tr").first.locator("td").all_text_contents()
    count = int((page.locator(by("preview-rows")).text_content() or "").split()[0].replace(",", ""))
    page.fill(by("limit"), "700")
    expect(page.locator(by("preview-rows"))).to_have_text("700 rows")
    page.fill(by("limit"), "")
    expect(page.locator(by("preview-rows"))).to_have_text(f"{count:,} rows")
    page.check(by("format-json"))
    page.check(by("format-csv"))
    data = fetched(page)
    lines = data.decode().splitlines()
    assert lines[0] == "Betrag;ID;Status"
    assert len(lines) - 1 == count
    assert lines[1].split(";") == first
    assert {line.split(";")[2] for line in lines[1:]} == {"SETTLED"}


def fetched(page: Page) -> bytes:
    """The file, at once where the button says so, else from the page of the export."""
    if page.locator(by("start")).text_content() == "Download":
        return download(page, "start")
    page.click(by("start"))
    wait_for_state(page, "completed")
    return download(page)


def tab_to(page: Page, testid: str) -> None:
    for _ in range(300):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.testid") == testid:
            return
    raise AssertionError(f"{testid} cannot be reached with the keyboard")


def test_the_keyboard_alone_is_enough(page: Page) -> None:
    page.goto(f"{SITE}/exports/new/customers/")
    page.keyboard.type("demo")
    page.keyboard.press("Tab")
    page.keyboard.type("demo")
    page.keyboard.press("Enter")
    page.wait_for_url("**/new/customers/")
    expect(page.locator(by("preview-rows"))).to_have_text("12,000 rows")
    tab_to(page, "down-id")
    page.keyboard.press("Enter")
    tab_to(page, "label-email")
    page.keyboard.type("Address")
    expect(page.locator(by("preview-table") + " th").nth(1)).to_have_text("ID")
    tab_to(page, "format-csv")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    tab_to(page, "start")
    page.keyboard.press("Enter")
    wait_for_state(page, "completed")
    tab_to(page, "download")
    with page.expect_download() as waiting:
        page.keyboard.press("Enter")
    rows = rows_of(waiting.value.path().read_bytes())
    assert rows[0][:3] == ["Name", "ID", "Address"]
    assert len(rows) == 12_001


def test_without_scripts_everything_works(plain_page: Page) -> None:
    page = plain_page
    sign_in(page)
    page.goto(f"{SITE}/exports/new/customers/")
    page.fill("[name=position-email]", "1")
    page.fill("[name=position-id]", "2")
    page.uncheck(by("column-name"))
    page.click(by("show-preview"))
    expect(page.locator(by("preview-rows"))).to_have_text("12,000 rows")
    expect(page.locator(by("preview-table") + " th").first).to_have_text("Email")
    page.click(by("start"))
    wait_for_state(page, "completed")
    rows = rows_of(download(page))
    assert rows[0][:2] == ["Email", "ID"]
    assert "Name" not in rows[0]
    assert len(rows) == 12_001


def test_what_is_wrong_is_said_before_anything_is_made(page: Page) -> None:
    sign_in(page)
    page.goto(f"{SITE}/exports/new/transactions/")
    page.fill(by("filter-amount_min"), "1")
    page.click(by("options"))
    page.fill(by("option-timezone"), "Mars/Olympus")
    expect(page.locator(by("preview-problems"))).to_contain_text("Mars/Olympus")
    page.click(by("start"))
    expect(page.locator(by("error-option-timezone"))).to_be_visible()
