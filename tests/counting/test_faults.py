"""A reader that loses or doubles rows never gives a finished export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from exports_app import orphans, services
from exports_app.models import ExportEvent, ExportJob
from exports_app.pipeline.sinks.pipe import Cut
from exports_app.pipeline.sources import counting
from exports_app.pipeline.sources.sql import SqlSource
from exports_app.pipeline.types import Chunk
from tests.direct.downloading import download, only_job
from tests.jobs import bucket, fill_customers, request
from workers import run

pytestmark = pytest.mark.django_db(transaction=True)

Read = Callable[[SqlSource, int], Chunk | None]
read: Read = SqlSource.read


def dropped(self: SqlSource, limit: int) -> Chunk | None:
    """Loses the second chunk."""
    self.reads = getattr(self, "reads", 0) + 1  # type: ignore[attr-defined]
    chunk = read(self, limit)
    return read(self, limit) if self.reads == 2 else chunk  # type: ignore[attr-defined]


def doubled(self: SqlSource, limit: int) -> Chunk | None:
    """Gives the first chunk twice."""
    self.reads = getattr(self, "reads", 0) + 1  # type: ignore[attr-defined]
    if self.reads == 2:  # type: ignore[attr-defined]
        chunk: Chunk = self.kept  # type: ignore[attr-defined]
        return chunk
    found = read(self, limit)
    if self.reads == 1:  # type: ignore[attr-defined]
        self.kept = found  # type: ignore[attr-defined]
    return found


@pytest.fixture(params=[dropped, doubled], ids=lambda fault: fault.__name__)
def faulty(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Read:
    """250 customers, read by a hundred and not right."""
    settings.EXPORTS_CHUNK_ROWS = 100
    settings.ADMINS = [("Operator", "operator@example.com")]
    fill_customers(250)
    monkeypatch.setattr("exports_app.pipeline.sources.sql.MAX_CHUNK_ROWS", 100)
    monkeypatch.setattr("exports_app.direct.FIRST_ROWS", 100)
    monkeypatch.setattr(SqlSource, "read", request.param)
    fault: Read = request.param
    return fault


@pytest.fixture(params=["beside", "behind"])
def when(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether a second connection counts while rows are read, or the first one behind the last row."""
    monkeypatch.setattr(counting, "BESIDE_SECONDS", 0.0 if request.param == "beside" else 60.0)
    return str(request.param)


WRITTEN = {"dropped": 150, "doubled": 350}


@pytest.mark.parametrize("format_", ["csv", "xlsx", "parquet"])
def test_the_run_starts_over_once_and_then_fails(alice: User, faulty: Read, when: str, format_: str) -> None:
    job, _ = services.request_export(alice, request(format=format_))
    again = run.run_next("exports")
    assert again is not None
    assert again.code == "incomplete"
    ExportJob.objects.update(next_attempt_at=None)
    assert run.run_next("exports") is None
    job.refresh_from_db()
    told = f"The file has {WRITTEN[faulty.__name__]} rows, and the database counts 250 rows."
    assert (job.status, job.error_code, job.error_detail) == ("failed", "incomplete", told)
    assert (job.row_count, job.rows_verified) == (None, None)
    assert list(ExportEvent.objects.filter(job=job).values_list("kind", flat=True)) == [
        "queued", "started", "retry", "resumed", "failed",
    ]  # fmt: skip
    assert list(bucket().objects.filter(Prefix=f"{orphans.PREFIX}{alice.pk}/{job.pk}")) == []
    assert [sent.subject for sent in mail.outbox] == [f"[Exports] Export {job.pk} is incomplete"]


def test_a_fault_that_passes_costs_one_run(alice: User, faulty: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    job, _ = services.request_export(alice, request())
    assert run.run_next("exports") is not None
    monkeypatch.setattr(SqlSource, "read", read)
    ExportJob.objects.update(next_attempt_at=None)
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.row_count, job.rows_verified) == ("completed", 250, True)
    assert len(job.snapshots) == 1
    services.discard_file(job)


def test_a_download_that_is_built_first_is_refused(api: APIClient, faulty: Read) -> None:
    answer = download(api)
    assert (answer.status_code, answer.json()["code"]) == (422, "incomplete")
    job = only_job()
    assert (job.status, job.error_code, job.row_count) == ("failed", "incomplete", None)


def test_a_download_that_is_streamed_breaks_off(api: APIClient, faulty: Read, settings: Any) -> None:
    settings.EXPORTS_DIRECT_MAX_ROWS = 1
    answer = download(api)
    assert answer.status_code == 200
    with pytest.raises(Cut):
        list(answer)
    job = only_job()
    assert (job.status, job.error_code, job.row_count) == ("failed", "incomplete", None)


def test_the_command_leaves_no_file(alice: User, faulty: Read, tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    with pytest.raises(CommandError, match=r"The file has \d+ rows, and the database counts 250 rows\.") as failed:
        call_command("export", "customers", user="alice", output=str(path))
    assert failed.value.returncode == 1
    assert list(tmp_path.iterdir()) == []
