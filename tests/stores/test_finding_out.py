"""Exports into a store that demands equal parts, which nobody said before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import checks
from django.test import override_settings

from chaos.answers import EqualParts, Store
from exports_app import previews, services
from exports_app.choices import Status
from exports_app.estimates import Estimate
from exports_app.models import ExportEvent, ExportJob, ExportPart, ExportStore
from exports_app.pipeline.parts import are_equal
from exports_app.plan import make_plan
from tests.jobs import FIVE_MIB, fill_customers, finish, read_object, request, upload_ids
from tests.stores.places import behind, site
from workers import resume, run
from workers.run import Run

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 120_000  # two parts and a rest


@pytest.fixture(name="r2")
def site_on_r2(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr("exports_app.pipeline.sources.sql.MAX_CHUNK_ROWS", 2_000)
    settings.EXPORTS_PART_SIZE = FIVE_MIB
    settings.EXPORTS_STREAM_MAX_ROWS = 1_000_000
    store = behind(EqualParts)
    with site(store, settings):
        fill_customers(ROWS)
        yield store


def ask(user: User, **values: Any) -> ExportJob:
    return services.request_export(user, request(**values))[0]


def killed_at(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """End a run without a word once so many parts are on record, once."""
    check = Run._check
    done: list[bool] = []

    def checked(self: Run, heartbeat: Any) -> None:
        if not done and self.job.parts.count() >= number:
            done.append(True)
            raise SystemExit
        check(self, heartbeat)

    monkeypatch.setattr(Run, "_check", checked)


def test_the_export_that_finds_it_out_starts_over_once_and_uses_no_attempt(alice: User, r2: Store) -> None:
    job = ask(alice)
    decision = run.run_next("exports")
    assert decision is not None
    assert (decision.delay, decision.counts, decision.code) == (0.0, False, "storage_unavailable")
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.failures, job.crashes, job.upload_number) == (Status.COMPLETED, 0, 0, 2)
    assert job.row_count == ROWS
    assert len(read_object(job)) == job.file_size
    assert upload_ids(job) == []
    retry = ExportEvent.objects.get(job=job, kind="retry").data
    assert (retry["counts"], retry["starts_over"]) == (False, True)


def test_what_was_found_out_is_known_to_the_next_export(alice: User, r2: Store, settings: Any) -> None:
    job = ask(alice)
    run.run_next("exports")
    run.run_next("exports")
    job.refresh_from_db()
    name = f"{settings.STORAGES['exports']['OPTIONS']['endpoint_url']}/{settings.EXPORTS_S3_BUCKET}"
    assert list(ExportStore.objects.values_list("name", "equal_parts")) == [(name, True)]
    after = finish(alice)
    assert (after.status, after.upload_number) == (Status.COMPLETED, 1)
    assert read_object(after) == read_object(job)


@pytest.mark.parametrize("format_name", ["csv", "json", "ndjson", "xlsx"])
def test_an_export_in_equal_parts_that_is_killed_goes_on_behind_its_checkpoint(
    alice: User, r2: Store, settings: Any, monkeypatch: pytest.MonkeyPatch, format_name: str
) -> None:
    settings.EXPORTS_S3_EQUAL_PARTS = "on"
    undisturbed = finish(alice, format=format_name)
    assert undisturbed.status == Status.COMPLETED
    job = ask(alice, format=format_name)
    killed_at(1, monkeypatch)
    with pytest.raises(SystemExit):
        run.run_next("exports")
    job.refresh_from_db()
    assert job.status == Status.QUEUED
    before = list(job.parts.filter(inner=False).values_list("number", "etag", "claim"))
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.upload_number, job.row_count, job.rows_verified) == (Status.COMPLETED, 1, ROWS, True)
    assert before
    assert set(before) <= set(job.parts.values_list("number", "etag", "claim"))
    assert are_equal([resume.stored_part(part) for part in job.parts.all()])
    if format_name != "xlsx":  # whose pieces are compressed, so that its bytes follow the chunks that were read
        assert read_object(job) == read_object(undisturbed)
    assert not ExportPart.objects.exclude(tail=b"").exists()


def test_an_export_that_began_with_other_parts_starts_over_where_equal_ones_are_wanted_by_now(
    alice: User, r2: Store, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ask(alice)
    killed_at(2, monkeypatch)
    with pytest.raises(SystemExit):
        run.run_next("exports")
    settings.EXPORTS_S3_EQUAL_PARTS = "on"
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.upload_number, job.failures) == (Status.COMPLETED, 2, 0)


def test_a_site_that_says_off_is_told_what_to_set(alice: User, r2: Store, settings: Any) -> None:
    settings.EXPORTS_S3_EQUAL_PARTS = "off"
    job = finish(alice)
    assert (job.status, job.error_code) == (Status.FAILED, "access_denied")
    assert job.error_detail == "The file storage takes parts of one size only."
    assert not ExportStore.objects.exists()


def test_r2_is_known_by_its_address(alice: User, settings: Any) -> None:
    from exports_app import equal_parts

    options = {**settings.STORAGES["exports"]["OPTIONS"], "endpoint_url": "https://abc.r2.cloudflarestorage.com"}
    assert not equal_parts.wanted()
    settings.STORAGES = {**settings.STORAGES, "exports": {**settings.STORAGES["exports"], "OPTIONS": options}}
    assert equal_parts.wanted()


WARNING = (
    "This storage takes 10,000 parts of one size, so that a file of more than 78 GiB would fail: narrow the filters, "
    "or set a limit."
)


@pytest.mark.parametrize(
    ("rows", "exact", "expected"),
    [
        (1_000, False, []),
        (300_000_000, True, []),
        (300_000_000, False, [WARNING]),
        (None, False, [WARNING]),
    ],
)
def test_the_estimate_warns_where_ten_thousand_parts_may_be_too_few(
    alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch, rows: int | None, exact: bool, expected: list[str]
) -> None:
    fill_customers(100)
    monkeypatch.setattr(previews, "estimate_rows", lambda *_, **__: Estimate(rows=rows, exact=exact))
    settings.EXPORTS_S3_EQUAL_PARTS = "on"
    found = previews.forecast(make_plan(request(), alice)).warnings
    assert [each for each in found if "parts" in each] == expected
    settings.EXPORTS_S3_EQUAL_PARTS = "off"
    assert not any("parts" in each for each in previews.forecast(make_plan(request(), alice)).warnings)


@override_settings(EXPORTS_S3_EQUAL_PARTS="yes")
def test_another_value_of_the_setting_is_a_finding() -> None:
    found = [each.msg for each in checks.run_checks(tags=["exports"]) if each.id == "exports.E024"]
    assert found == ["EXPORTS_S3_EQUAL_PARTS is 'yes'. Set it to auto, on or off."]
