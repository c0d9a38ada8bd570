"""The preview of the form: the first rows and headers exactly as they will stand in the file."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from tests.web_pages import text

pytestmark = pytest.mark.django_db(transaction=True)

SENT: dict[str, Any] = {
    "columns": ["lifetime_value", "id"],
    "label-lifetime_value": "Spent",
    "limit": "20",
}


@pytest.fixture
def browser(client: Client, alice: User, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Alice, signed in, with some customers."""
    monkeypatch.setattr("exports_app.previews.FORECAST_SECONDS", 10.0)
    monkeypatch.setattr("exports_app.previews.PREVIEW_SECONDS", 10.0)
    call_command("load_samples", "--rows", "30", verbosity=0)
    client.force_login(alice)
    return client


def cells(response: Any, tag: str) -> list[str]:
    found = re.findall(rf"<{tag}\b[^>]*>(.*?)</{tag}>", response.content.decode(), re.DOTALL)
    return [unescape(re.sub(r"<[^>]+>", "", each)).strip() for each in found]


def test_json_shows_names_and_numbers_as_the_file_has_them(browser: Client) -> None:
    shown = browser.post("/exports/new/customers/preview/", SENT | {"format": "ndjson"})
    made = browser.post("/exports/new/customers/", SENT | {"format": "ndjson"})
    rows = [json.loads(line, parse_float=str, parse_int=str) for line in made.content.decode().splitlines()]
    assert len(rows) == 20
    assert cells(shown, "th") == list(rows[0]) == ["lifetime_value", "id"]
    assert cells(shown, "td") == [cell for row in rows for cell in row.values()]
    assert any(cell.endswith("0") for cell in cells(shown, "td")[::2])


def test_csv_shows_the_headers_that_were_given(browser: Client) -> None:
    shown = browser.post("/exports/new/customers/preview/", SENT | {"format": "csv"})
    made = browser.post("/exports/new/customers/", SENT | {"format": "csv"}).content.decode().splitlines()
    assert cells(shown, "th") == made[0].split(",") == ["Spent", "ID"]
    assert cells(shown, "td") == [cell for line in made[1:] for cell in line.split(",")]


def test_formats_that_have_no_use_for_headers_are_said(browser: Client) -> None:
    page = browser.get("/exports/new/customers/").content.decode()
    assert re.search(r'data-formats="json ndjson parquet" data-testid="headers-unused"', page)


def test_a_mail_is_for_a_file_that_is_made_in_the_background(browser: Client) -> None:
    at_once = browser.post("/exports/new/customers/preview/", SENT | {"format": "csv"})
    assert 'data-action="Download"' in at_once.content.decode()
    mailed = browser.post("/exports/new/customers/preview/", SENT | {"format": "csv", "email": "on"})
    assert 'data-action="Start export"' in mailed.content.decode()
    assert "Made in the background" in text(mailed)


def test_a_file_without_rows_is_said_to_be_one(browser: Client) -> None:
    shown = browser.post(
        "/exports/new/customers/preview/", SENT | {"format": "csv", "filter-lifetime_value_min": "1e9"}
    )
    assert "No row matches; the file would hold none." in text(shown)
