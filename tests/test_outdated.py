"""Jobs whose resource changed since they were asked for, and exports that were switched off: each has its own code."""

from __future__ import annotations

from typing import Any

import django_filters as df
import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from exports_app import services, validation
from exports_app.choices import Status
from exports_app.models import ExportJob
from exportsite.samples.exports import CustomerExport
from exportsite.samples.filters import CustomerFilter
from tests.jobs import fill_customers, read_object, request
from workers import run
from workers.run import Run

pytestmark = pytest.mark.django_db(transaction=True)


def asked(user: User, **values: Any) -> ExportJob:
    fill_customers(5)
    return services.request_export(user, request(**values))[0]


def ended(job: ExportJob) -> tuple[str, str, str]:
    assert run.run_next(job.queue) is None
    job.refresh_from_db()
    return job.status, job.error_code, job.error_detail


OUTDATED = "This export asks for something that the data no longer offers: "


class OtherFilter(df.FilterSet):
    country = df.CharFilter("country_code")


class FewerFilter(CustomerFilter):
    subscription_tier = df.ChoiceFilter(choices=[("BASIC", "Basic")])  # type: ignore[assignment]


def test_a_filter_that_is_gone(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = asked(alice, filters={"country_code": "DE"})
    monkeypatch.setattr(CustomerExport, "filterset_class", OtherFilter)
    sentence = f"{OUTDATED}Unknown filter country_code. Did you mean country?"
    assert ended(job) == (Status.FAILED, "request_outdated", sentence)


def test_a_choice_that_is_gone(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = asked(alice, filters={"subscription_tier": "FREE"})
    monkeypatch.setattr(CustomerExport, "filterset_class", FewerFilter)
    sentence = f"{OUTDATED}Select a valid choice. FREE is not one of the available choices. Valid: BASIC."
    assert ended(job) == (Status.FAILED, "request_outdated", sentence)


def test_a_format_that_is_gone(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = asked(alice)
    monkeypatch.setattr(CustomerExport, "formats", ("xlsx",))
    sentence = f"{OUTDATED}Customers cannot be exported as csv. Valid: xlsx."
    assert ended(job) == (Status.FAILED, "request_outdated", sentence)


def test_an_option_that_is_gone(alice: User) -> None:
    job = asked(alice)
    ExportJob.objects.filter(pk=job.pk).update(options={"colour": "red"})
    assert ended(job)[:2] == (Status.FAILED, "request_outdated")


def test_parameters_that_are_gone(alice: User) -> None:
    job = asked(alice)
    ExportJob.objects.filter(pk=job.pk).update(parameters={"days": 7})
    assert ended(job) == (Status.FAILED, "request_outdated", f"{OUTDATED}This data takes no parameters.")


def test_a_label_that_is_no_longer_allowed_is_no_column_that_is_gone(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = asked(alice, columns=["id", "name"])
    ExportJob.objects.filter(pk=job.pk).update(columns=[*job.columns, {"name": "id", "label": "ID"}])
    assert ended(job) == (Status.FAILED, "request_outdated", f"{OUTDATED}The column id is named twice.")


def test_a_column_that_is_gone_keeps_its_code(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = asked(alice)
    monkeypatch.setattr(CustomerExport, "columns", ("id", "name"))
    assert ended(job)[:2] == (Status.FAILED, "column_gone")


def test_the_same_name_in_another_spelling_is_another_resource(alice: User) -> None:
    """What is stored is taken as it stands: nobody there could say that something else was meant."""
    job = asked(alice)
    ExportJob.objects.filter(pk=job.pk).update(resource="Customers")
    assert ended(job)[:2] == (Status.FAILED, "resource_gone")
    assert validation.COMPRESSIONS == ("gzip",)


def test_pages_say_what_to_do(alice: User, browser: Any, api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    job = asked(alice, filters={"country_code": "DE"})
    monkeypatch.setattr(CustomerExport, "filterset_class", OtherFilter)
    ended(job)
    assert b"Start a new export; it offers what there is today." in browser.get(f"/exports/{job.pk}/").content
    assert api.get(f"/api/v1/exports/{job.pk}/").json()["error"]["code"] == "request_outdated"


@pytest.mark.parametrize("when", ["before", "amid"])
def test_what_is_switched_off_ends_and_can_be_retried(
    alice: User, api: APIClient, settings: Any, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    job = asked(alice)
    followed = Run._note_chunk

    def switch_off(self: Run, progress: Any) -> None:
        settings.ENABLE_EXPORTS = False
        followed(self, progress)

    if when == "before":
        settings.ENABLE_EXPORTS = False
    else:
        monkeypatch.setattr(Run, "_note_chunk", switch_off)
    assert ended(job) == (Status.FAILED, "switched_off", "Exports were switched off.")
    assert api.post(f"/api/v1/exports/{job.pk}/retry/").json()["code"] == "exports_disabled"
    monkeypatch.setattr(Run, "_note_chunk", followed)
    settings.ENABLE_EXPORTS = True
    assert api.get(f"/api/v1/exports/{job.pk}/").json()["error"] == {
        "code": "switched_off",
        "detail": "Exports were switched off.",
    }
    assert api.post(f"/api/v1/exports/{job.pk}/retry/").status_code == 200
    assert ended(job) == (Status.COMPLETED, "", "")
    assert read_object(job).count(b"\n") == 6
    services.discard_file(job)


def test_what_would_end_in_the_same_way_is_not_offered_again(
    alice: User, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = asked(alice, filters={"country_code": "DE"})
    monkeypatch.setattr(CustomerExport, "filterset_class", OtherFilter)
    ended(job)
    assert 'data-testid="retry"' not in browser.get(f"/exports/{job.pk}/").content.decode()
    ExportJob.objects.filter(pk=job.pk).update(error_code="storage_unavailable")
    assert 'data-testid="retry"' in browser.get(f"/exports/{job.pk}/").content.decode()
