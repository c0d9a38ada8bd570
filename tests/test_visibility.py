"""Columns that somebody may not see: absent from what others share with them, and from every form."""

from __future__ import annotations

from typing import Any

import django_filters as df
import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from exports_app.models import ExportJob, ExportPreset
from exportsite.samples.filters import TransactionFilter
from tests.web_pages import controls, make_job, text

CARDS: dict[str, Any] = {
    "resource": "transactions",
    "columns": [{"name": "id", "label": "ID"}, {"name": "card_number", "label": "Plastic"}],
    "filters": {"card_number": "4111", "status": ["SETTLED"]},
}


@pytest.fixture(autouse=True)
def filter_by_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TransactionFilter.base_filters, "card_number", df.CharFilter("card_number"))


@pytest.fixture
def browser(client: Client, bob: User) -> Client:
    """Bob, signed in, who may not see card numbers."""
    client.force_login(bob)
    return client


@pytest.fixture
def shared(alice: User, bob: User) -> ExportJob:
    """What Alice, who may see them, has shared with him."""
    alice.user_permissions.add(Permission.objects.get(codename="view_card"))
    job = make_job(alice, "completed", **CARDS)
    job.shared_with.add(bob)
    return job


def test_a_shared_export_names_no_hidden_column_and_no_filter_on_it(browser: Client, shared: ExportJob) -> None:
    job = browser.get(f"/api/v1/exports/{shared.pk}/").json()
    assert job["columns"] == [{"name": "id", "label": "ID"}]
    assert job["filters"] == {"status": ["SETTLED"]}
    page = browser.get(f"/exports/{shared.pk}/")
    assert "Columns ID Not for you to see 1 column, 1 filter" in text(page)
    for told in (browser.get("/api/v1/exports/"), page, browser.get("/exports/")):
        assert "4111" not in told.content.decode()
        assert "Plastic" not in told.content.decode()


def test_its_owner_sees_them(client: Client, shared: ExportJob, alice: User) -> None:
    client.force_login(alice)
    assert client.get(f"/api/v1/exports/{shared.pk}/").json()["filters"] == CARDS["filters"]
    page = text(client.get(f"/exports/{shared.pk}/"))
    assert "4111" in page
    assert "Columns ID Plastic" in page
    assert "Not for you" not in page


def test_a_form_offers_no_filter_on_a_hidden_column(browser: Client) -> None:
    assert "filter-status-SETTLED" in controls(browser.get("/exports/new/transactions/"))
    assert "filter-card_number" not in controls(browser.get("/exports/new/transactions/"))


def test_settings_of_others_come_without_them_and_say_so(browser: Client, shared: ExportJob, bob: User) -> None:
    preset = ExportPreset.objects.create(owner=shared.owner, name="Cards", **CARDS)
    preset.shared_with.add(bob)
    for start in (f"again={shared.pk}", f"preset={preset.pk}"):
        page = browser.get(f"/exports/new/transactions/?{start}")
        assert "hidden from you, and left out here" in text(page)
        assert "4111" not in page.content.decode()
        assert "Plastic" not in page.content.decode()
    assert "hidden from you" not in text(browser.get("/exports/new/transactions/"))


def test_settings_of_other_data_are_no_start(browser: Client, shared: ExportJob) -> None:
    page = browser.get(f"/exports/new/customers/?again={shared.pk}")
    assert page.status_code == 200
    assert "hidden from you" not in text(page)
