"""Exports that are killed, on a store with Ceph's answers: an upload that has ended is ``NoSuchKey`` there.

With ``CEPH=1`` on Ceph itself as well, where Debian's packages are there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User

from chaos.answers import Ceph, Store, serving
from exports_app import services
from exports_app.choices import Status
from exports_app.models import ExportJob
from exports_app.pipeline.sinks.s3 import S3Sink
from tests import ceph
from tests.jobs import FIVE_MIB, bucket, fill_customers, finish, read_object, request, upload_ids
from tests.stores.places import behind, site, site_at
from workers import run, upkeep
from workers.run import Run

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 120_000  # two parts and a rest


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if os.environ.get("CEPH") != "1":
        pytest.skip("CEPH=1 starts Ceph's gateway")
    if programs := ceph.missing():
        pytest.skip(f"Ceph is not installed: {', '.join(programs)}")
    with ceph.started(tmp_path_factory.mktemp("ceph"), os.environ["EXPORTS_S3_BUCKET"]) as address:
        yield address


@pytest.fixture(name="ceph_store", params=["answers", "gateway"])
def site_on_ceph(request: pytest.FixtureRequest, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr("exports_app.pipeline.sources.sql.MAX_CHUNK_ROWS", 2_000)
    settings.EXPORTS_PART_SIZE = FIVE_MIB
    settings.EXPORTS_STREAM_MAX_ROWS = 1_000_000
    if request.param == "answers":
        store = behind(Ceph)
        with site(store, settings):
            fill_customers(ROWS)
            yield store
        return
    parts = urlsplit(request.getfixturevalue("gateway"))
    store = Store(parts.hostname or "", parts.port or 80)  # which changes nothing
    with serving(store) as address, site_at(address, settings, access_key=ceph.KEY, secret_key=ceph.SECRET):
        fill_customers(ROWS)
        yield store


@pytest.fixture
def killed(alice: User, ceph_store: Store, monkeypatch: pytest.MonkeyPatch) -> ExportJob:
    """An export whose worker ended without a word behind the first part."""
    job = services.request_export(alice, request())[0]
    check = Run._check

    def checked(self: Run, heartbeat: Any) -> None:
        if self.job.parts.exists():
            raise SystemExit
        check(self, heartbeat)

    with monkeypatch.context() as broken:
        broken.setattr(Run, "_check", checked)
        with pytest.raises(SystemExit):
            run.run_next("exports")
    job.refresh_from_db()
    assert upload_ids(job) == [job.upload_id]
    return job


def test_an_export_that_was_killed_and_cancelled_can_be_retried(
    alice: User, ceph_store: Store, killed: ExportJob
) -> None:
    services.cancel_export(killed, by=alice)
    killed.refresh_from_db()
    services.retry_export(killed, by=alice)
    assert run.run_next("exports") is None
    killed.refresh_from_db()
    assert (killed.status, killed.error_code, killed.row_count) == (Status.COMPLETED, "", ROWS)
    assert upload_ids(killed) == []


def test_an_export_whose_upload_was_aborted_meanwhile_starts_over(
    alice: User, ceph_store: Store, killed: ExportJob
) -> None:
    client = bucket().meta.client
    client.abort_multipart_upload(Bucket=bucket().name, Key=killed.file_key, UploadId=killed.upload_id)
    with pytest.raises(client.exceptions.NoSuchKey):
        client.list_parts(Bucket=bucket().name, Key=killed.file_key, UploadId=killed.upload_id)
    assert run.run_next("exports") is None
    killed.refresh_from_db()
    assert (killed.status, killed.upload_number, killed.failures) == (Status.COMPLETED, 2, 0)


def test_a_lost_answer_of_complete_costs_nothing(alice: User, ceph_store: Store) -> None:
    ceph_store.lost.append("Complete")
    job = finish(alice)
    assert ceph_store.lost == []
    assert ceph_store.calls.count("Complete") >= 2
    assert (job.status, job.upload_number, job.failures, job.row_count) == (Status.COMPLETED, 1, 0, ROWS)
    assert len(read_object(job)) == job.file_size


def test_a_worker_killed_between_complete_and_its_record_leaves_a_whole_file(
    alice: User, ceph_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = services.request_export(alice, request())[0]
    complete = S3Sink.complete

    def killed_after(self: S3Sink) -> Any:
        complete(self)
        raise SystemExit

    with monkeypatch.context() as broken:
        broken.setattr(S3Sink, "complete", killed_after)
        with pytest.raises(SystemExit):
            run.run_next("exports")
    sent = ceph_store.calls.count("UploadPart")
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.upload_number, job.row_count) == (Status.COMPLETED, 1, ROWS)
    assert ceph_store.calls.count("UploadPart") == sent


@pytest.mark.parametrize("cancelled", [True, False], ids=["cancelled before", "waiting"])
def test_an_export_that_was_killed_can_be_deleted(
    alice: User, ceph_store: Store, killed: ExportJob, cancelled: bool
) -> None:
    if cancelled:
        services.cancel_export(killed, by=alice)
        killed.refresh_from_db()
    services.delete_export(killed, by=alice)
    upkeep.sweep()
    killed.refresh_from_db()
    assert killed.deleted_at is not None
    assert upload_ids(killed) == []
    services.discard_file(killed)  # again, as the upkeep does
