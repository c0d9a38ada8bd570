"""The form of a new export, from the cards to the stored job."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from exports_app.models import ExportJob
from exportsite.samples.exports import TagExport
from exportsite.samples.models import Account, Tag
from tests.web_pages import controls, make_job, text


def test_the_cards_show_what_i_may_export(browser: Client) -> None:
    page = browser.get("/exports/new/")
    assert {"resource-customers", "resource-transactions", "resource-tags"} <= set(controls(page))
    assert "Everybody who ever signed up, with what they have paid so far. 7 columns" in text(page)
    assert "12 columns · up to 500,000 rows" in text(page)


@pytest.mark.parametrize(
    ("name", "title", "wanted"),
    [
        (
            "daily_pnl",
            "Daily P&amp;L",
            ["filter-day_after", "filter-day_before", "filter-account", "column-cumulative_pnl"],
        ),
        ("tag_performance", "Tag performance", ["filter-opened_at_after", "column-profit_factor"]),
        ("prop_evaluation", "Prop evaluation", ["column-remaining_total_loss", "column-alerts"]),
        ("goals", "Goals", ["filter-status-ACHIEVED", "filter-period-MONTHLY", "column-progress"]),
        ("tags", "Tags", ["filter-created_at_before", "column-usage"]),
    ],
)
def test_each_dataset_of_the_journal_has_its_form(browser: Client, name: str, title: str, wanted: list[str]) -> None:
    page = browser.get(f"/exports/new/{name}/")
    assert set(wanted) <= set(controls(page))
    assert f"New export {title} " in text(page)


def test_without_permissions_there_are_no_cards_of_tables(client: Client, charlie: User) -> None:
    client.force_login(charlie)
    assert "resource-customers" not in controls(client.get("/exports/new/"))
    hidden, missing = client.get("/exports/new/customers/"), client.get("/exports/new/nothing/")
    assert (hidden.status_code, missing.status_code) == (404, 404)
    assert text(hidden) == text(missing)


def test_an_unknown_resource_is_not_found(browser: Client) -> None:
    assert browser.get("/exports/new/nothing/").status_code == 404


def test_filters_become_controls_of_their_kind(browser: Client) -> None:
    page = browser.get("/exports/new/transactions/")
    body = page.content.decode()
    assert {"filter-status-SETTLED", "filter-currency-CHF", "filter-account"} <= set(controls(page))
    assert '<input type="date" name="filter-booked_at_after" data-testid="filter-booked_at_after"' in body
    assert '<input type="number" name="filter-amount_min" data-testid="filter-amount_min" step="any"' in body
    assert "Booked From Until" in text(page)
    assert "Amount From To" in text(page)
    assert "This data allows 500,000 rows at once." in text(page)


def test_columns_are_offered_to_who_may_have_them(browser: Client, alice: User) -> None:
    assert "column-card_number" not in controls(browser.get("/exports/new/transactions/"))
    alice.user_permissions.add(Permission.objects.get(codename="view_card"))
    assert "column-card_number" in controls(browser.get("/exports/new/transactions/"))


def test_the_form_starts_an_export(browser: Client, alice: User) -> None:
    Account.objects.bulk_create(Account(number=number, owner="Ann") for number in ("A-1", "A-2"))
    answer = browser.post(
        "/exports/new/transactions/",
        {
            "format": "csv",
            "compression": "gzip",
            "limit": "1000",
            "columns": ["id", "amount"],
            "filter-status": ["SETTLED", "PENDING"],
            "filter-account": "A-1, A-2,",
            "filter-booked_at_after": "2024-01-01",
            "filter-booked_at_before": "2024-01-31",
            "filter-amount_min": "0.50",
        },
    )
    job = ExportJob.objects.get()
    assert answer["X-Export-Id"] == str(job.pk)  # small, so it is the file itself
    assert answer["Content-Disposition"] == f'attachment; filename="{job.file_name}"'
    assert job.strategy == "direct"
    assert (job.owner, job.resource, job.format, job.compression) == (alice, "transactions", "csv", "gzip")
    assert [column["name"] for column in job.columns] == ["id", "amount"]
    assert job.row_limit == 1000
    assert job.filters == {
        "status": ["SETTLED", "PENDING"],
        "account": ["A-1", "A-2"],
        "booked_at_after": "2024-01-01",
        "booked_at_before": "2024-01-31T23:59:59.999999",  # the day belongs to the range
        "amount_min": "0.50",
    }


def test_parameters_become_controls_too(browser: Client, alice: User) -> None:
    form = {"format": "csv", "columns": ["row"], "parameter-rows": "20", "parameter-locale": "de"}
    browser.post("/exports/new/test_data/", form)
    parameters = ExportJob.objects.get().parameters
    assert (parameters["rows"], parameters["locale"], parameters["seed"]) == (20, "de", 1)
    refused = browser.post("/exports/new/test_data/", form | {"parameter-rows": "0"})
    assert "error-parameter-rows" in controls(refused)


@pytest.mark.parametrize(
    ("form", "stored"),
    [
        ({"format": "xlsx", "sheets": ["tags"]}, ["tags"]),
        ({"format": "xlsx"}, []),
        ({"format": "csv", "sheets": ["tags"]}, None),
        ({"format": "csv"}, None),
    ],
)
def test_further_sheets_can_be_left_out(browser: Client, form: dict[str, Any], stored: list[str] | None) -> None:
    browser.post("/exports/new/trades/", {"columns": ["id"], "keep": "1"} | form)
    job = ExportJob.objects.get()
    assert job.sheets == stored
    again = browser.get(f"/exports/new/trades/?again={job.pk}").content.decode()
    box = next(line for line in again.splitlines() if 'data-testid="sheet-tags"' in line)
    assert (" checked" in box) is (stored != [])


def test_sheets_that_i_may_not_export_are_not_offered(browser: Client, alice: User) -> None:
    assert "sheet-tags" in controls(browser.get("/exports/new/trades/"))
    alice.user_permissions.remove(Permission.objects.get(codename="view_tag"))
    assert "sheets" not in controls(browser.get("/exports/new/trades/"))
    assert "sheets" not in controls(browser.get("/exports/new/customers/"))


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"columns": []}, "columns", "Choose at least one column."),
        ({"columns": ["card_number"]}, "columns", "Select a valid choice. card_number is not one of"),
        ({"filter-amount_min": "ten"}, "filter-amount_min", "Enter a number."),
        ({"filter-status": ["LOST"]}, "filter-status", "Select a valid choice. LOST is not one of"),
        ({"filter-booked_at_after": "yesterday"}, "filter-booked_at_after", "Enter a valid date"),
        ({"limit": "0"}, "limit", "Give a number of 1 or more."),
        ({"format": "docx"}, "format", "Select a valid choice. docx is not one of"),
    ],
)
def test_what_does_not_fit_is_said_at_its_field(
    browser: Client, change: dict[str, Any], field: str, message: str
) -> None:
    answer = browser.post("/exports/new/transactions/", {"format": "csv", "columns": ["id"]} | change)
    assert answer.status_code == 400
    assert {"form-error", f"error-{field}"} <= set(controls(answer))
    assert message in text(answer)
    assert not ExportJob.objects.exists()


def test_too_many_exports_at_once_is_said_above_the_form(browser: Client, alice: User) -> None:
    for _ in range(5):
        make_job(alice)
    answer = browser.post("/exports/new/tags/", {"format": "csv", "columns": ["id"]})
    assert answer.status_code == 429
    assert "You have 5 exports queued or running; 5 are allowed at once." in text(answer)


@pytest.mark.django_db(transaction=True)
def test_too_many_rows_are_refused_with_the_way_out(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TagExport, "max_rows", 2)
    now = timezone.now()
    Tag.objects.bulk_create(Tag(name=f"tag {n}", colour="#fff", created_at=now, updated_at=now) for n in range(3))
    answer = browser.post("/exports/new/tags/", {"format": "csv", "columns": ["id"]})
    assert answer.status_code == 422
    assert "would contain 3 rows, which exceeds the maximum of 2. Please narrow your filters." in text(answer)
