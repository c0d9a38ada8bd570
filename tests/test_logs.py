"""The log of an export: every event that it goes through, all with the id of the first request."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
import structlog
from django.core.management import call_command
from rest_framework.test import APIClient

from exports_app import conf, lifecycle, retention, services
from exports_app.access import SYSTEM
from exports_app.models import ExportJob
from exports_app.pipeline.errors import DatabaseBusy
from workers import part_sizes, run, upkeep

committed = pytest.mark.django_db(transaction=True)
REQUEST = {"X-Request-ID": "from-the-caller"}


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> Any:
    """Names of the events about jobs so far, each checked to have the caller's id."""
    caplog.set_level(logging.INFO, logger="exports")

    def seen() -> list[str]:
        lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
        about_jobs = [line for line in lines if line["event"].startswith("export.job.")]
        assert {line["request_id"] for line in about_jobs} == {"from-the-caller"}, about_jobs
        assert {line["job"] for line in about_jobs} == {str(ExportJob.objects.get().pk)}
        return [line["event"].removeprefix("export.job.") for line in about_jobs]

    return seen


def ask(api: APIClient) -> str:
    """Path of a new export of 60 customers."""
    call_command("load_samples", rows=60, verbosity=0)
    path: str = api.post("/api/v1/exports/", {"resource": "customers"}, headers=REQUEST)["Location"]
    return path


@committed
def test_from_the_request_to_expiry(api: APIClient, events: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(api)
    monkeypatch.setattr(run, "PROGRESS_SECONDS", 0.0)
    assert run.run_next("exports") is None
    ExportJob.objects.update(expires_at="2020-01-01T00:00:00Z")
    retention.prune()
    assert list(dict.fromkeys(events())) == ["enqueued", "started", "chunk", "progress", "completed", "expired"]


@committed
def test_a_stored_part_has_its_line(api: APIClient, events: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(api)
    monkeypatch.setattr(part_sizes, "part_size", lambda number, first: 1)
    assert run.run_next("exports") is None
    assert "part" in events()


@committed
def test_a_retry_and_the_failure_after_it(api: APIClient, events: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(api)

    def broken(*_: object, **__: object) -> None:
        raise DatabaseBusy

    ExportJob.objects.update(max_attempts=2)
    monkeypatch.setattr(run, "make_plan", broken)
    assert run.run_next("exports") is not None
    ExportJob.objects.update(next_attempt_at=None)
    assert run.run_next("exports") is None
    assert events() == ["enqueued", "started", "retrying", "started", "failed"]


@committed
def test_a_cancel_and_a_start_again_keep_the_id_of_the_first_request(api: APIClient, events: Any) -> None:
    path = ask(api)
    for action in ("cancel", "retry", "cancel"):
        api.post(f"{path}{action}/", headers={"X-Request-ID": f"another-to-{action}"})
    services.delete_export(ExportJob.objects.get(), by=SYSTEM)
    assert events() == ["enqueued", "cancelled", "enqueued", "cancelled"]


@committed
def test_a_lost_worker_is_said_under_the_same_id(api: APIClient, events: Any) -> None:
    ask(api)
    for _ in range(3):
        assert lifecycle.claim_next("exports", "gone") is not None
        ExportJob.objects.update(lease_expires_at="2020-01-01T00:00:00Z")
        upkeep.sweep()
    assert events() == ["enqueued", "retrying", "retrying", "failed"]


def test_production_writes_one_json_object_per_line() -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(conf.log_formatter(json=True))
    logger = logging.getLogger("exports.test_logs")
    logger.addHandler(handler)
    try:
        structlog.get_logger("exports.test_logs").warning("export.job.part", number=3, request_id="from-the-caller")
        logger.warning("a plain record of %s", "Django's")
    finally:
        logger.removeHandler(handler)
    part, plain = (json.loads(line) for line in written.getvalue().splitlines())
    assert (part["event"], part["number"], part["request_id"]) == ("export.job.part", 3, "from-the-caller")
    assert (plain["event"], plain["level"], plain["logger"]) == (
        "a plain record of Django's",
        "warning",
        "exports.test_logs",
    )
