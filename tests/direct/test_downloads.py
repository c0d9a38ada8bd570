"""Downloads: the file in the answer to its request, who gets it, and what the job's row says about it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from datetime import timedelta
from typing import Any

import openpyxl
import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.db.models.functions import Now
from django.test import AsyncClient
from rest_framework.test import APIClient

from exports_app import direct, estimates, lifecycle, services
from exports_app.api.direct import FILE_TYPES
from exports_app.choices import EventKind, Status
from exports_app.models import ExportJob, ExportPerformance
from exports_app.pipeline.formats import FORMATS, get_format
from exportsite.samples.models import Customer
from tests.api_keys.making import make_key
from tests.direct.downloading import PATH, download, ids, only_job
from tests.jobs import fill_customers
from workers import run

pytestmark = pytest.mark.django_db(transaction=True)


# What comes


@pytest.mark.parametrize(
    ("rows", "strategy"), [(9, "direct"), (10, "stream"), (11, "stream"), (20, "stream"), (21, "background")]
)
def test_the_number_of_rows_decides(api: APIClient, small: None, rows: int, strategy: str) -> None:
    fill_customers(rows)
    response = download(api)
    assert response.status_code == (202 if strategy == "background" else 200)
    if strategy != "background":
        assert response["X-Export-Strategy"] == strategy
        assert len(response.getvalue().splitlines()) == rows + 1
    assert only_job().strategy == strategy


def test_a_small_file_is_whole_and_proven_before_it_comes(api: APIClient) -> None:
    fill_customers(3)
    response = download(api, columns=["id", "name"], filters={"subscription_tier": ["FREE"]}, limit=1)
    job = only_job()
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == f'attachment; filename="{job.file_name}"'
    assert response["Content-Length"] == str(len(response.content)) == str(job.file_size)
    assert response["X-Export-Id"] == str(job.pk)
    assert response.content.startswith(b'"ID",Name\n')
    assert (job.status, job.strategy, job.row_count) == ("completed", "direct", 1)
    assert job.crc32 == f"{zlib.crc32(response.content):08x}"
    assert (len(job.snapshots), job.file_key, job.expires_at) == (1, "", None)
    assert [event.kind for event in job.events.all()] == [
        EventKind.STARTED,
        EventKind.DOWNLOADED,
        EventKind.COMPLETED,
    ]
    assert (job.queue, job.claim, job.error_code) == ("exports", 1, "")
    figures = ExportPerformance.objects.get()
    assert (figures.rows, figures.bytes, figures.strategy) == (1, len(response.content), "direct")


def test_a_streamed_file_has_no_length_and_is_proven_when_its_last_byte_is_sent(api: APIClient, small: None) -> None:
    fill_customers(15)
    response = download(api)
    assert (response.streaming, "Content-Length" in response) == (True, False)
    job = ExportJob.objects.get()
    assert (job.status, job.row_count) == (Status.RUNNING, None)
    data = response.getvalue()
    job = only_job()
    assert (job.status, job.strategy, job.row_count, job.file_size) == ("completed", "stream", 15, len(data))
    assert job.crc32 == f"{zlib.crc32(data):08x}"
    assert [row[0] for row in csv.reader(io.StringIO(data.decode()))] == ["ID", *[str(n) for n in ids()]]


@pytest.mark.parametrize("rows", [9, 15])
@pytest.mark.parametrize(
    ("format_", "compression", "media_type"),
    [
        ("csv", "gzip", "application/gzip"),
        ("json", None, "application/json"),
        ("ndjson", None, "application/x-ndjson"),
        ("xlsx", None, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("parquet", None, "application/vnd.apache.parquet"),
    ],
)
def test_every_format_comes_either_way(
    api: APIClient, small: None, rows: int, format_: str, compression: str | None, media_type: str
) -> None:
    fill_customers(rows)
    response = download(api, format=format_, compression=compression)
    assert response["Content-Type"] == media_type
    assert first_column(response.getvalue(), format_) == ids()


def first_column(data: bytes, format_: str) -> list[int]:
    """The ids in a file."""
    if format_ == "csv":
        return [int(row[0]) for row in list(csv.reader(io.StringIO(gzip.decompress(data).decode())))[1:]]
    if format_ == "json":
        return [row["id"] for row in json.loads(data)]
    if format_ == "ndjson":
        return [json.loads(line)["id"] for line in data.splitlines()]
    if format_ == "xlsx":
        return [row[0] for row in openpyxl.load_workbook(io.BytesIO(data)).active.iter_rows(2, values_only=True)]
    from pyarrow import parquet

    found: list[int] = parquet.read_table(io.BytesIO(data))["id"].to_pylist()
    return found


@pytest.mark.parametrize("rows", [9, 15])
def test_a_server_with_an_event_loop_gets_the_same_file(alice: User, small: None, rows: int) -> None:
    """Django's ASGI handler; a synchronous iterator would warn there, which is an error here."""
    fill_customers(rows)
    headers = {"authorization": f"Bearer {make_key(alice)}"}

    async def fetch() -> bytes:
        response: Any = await AsyncClient().post(
            PATH, {"resource": "customers"}, content_type="application/json", headers=headers
        )
        return b"".join([piece async for piece in response]) if response.streaming else response.content

    data = async_to_sync(fetch)()
    assert [int(line.split(b",")[0]) for line in data.splitlines()[1:]] == ids()
    assert only_job().file_size == len(data)


def test_too_many_rows_become_a_job_that_a_worker_runs(api: APIClient, small: None, silent_bell: list[str]) -> None:
    fill_customers(21)
    response = download(api)
    assert (response.status_code, response["Location"]) == (202, response.json()["links"]["self"])
    assert silent_bell == ["exports.large"]
    assert run.run_next("exports.large") is None
    assert (only_job().status, only_job().row_count) == ("completed", 21)


def test_a_client_that_cannot_be_told_of_a_break_gets_the_file_built(api: APIClient, small: None) -> None:
    fill_customers(15)
    response = api.post(PATH, {"resource": "customers"}, SERVER_PROTOCOL="HTTP/1.0")
    assert (response["X-Export-Strategy"], response["Content-Length"]) == ("direct", str(len(response.content)))


def test_a_built_file_too_large_for_memory_is_sent_from_a_temporary_one(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "SPOOL_BYTES", 1_000)
    fill_customers(500)
    response = download(api)
    data = response.getvalue()
    assert (response["X-Export-Strategy"], response["Content-Length"]) == ("direct", str(len(data)))
    assert only_job().crc32 == f"{zlib.crc32(data):08x}"


def test_the_schema_names_the_media_type_of_every_format() -> None:
    every = {get_format(name).content_type.partition(";")[0] for name in FORMATS}
    assert {*FILE_TYPES, "application/json"} == every | {"application/gzip"}


# What is left of it


def test_the_job_of_a_download_reads_as_one_whose_file_was_sent(api: APIClient) -> None:
    fill_customers(2)
    job = api.get(f"/api/v1/exports/{download(api)['X-Export-Id']}/")
    assert job.status_code == 200
    shown = job.json()
    assert (shown["status"], shown["strategy"], shown["row_count"]) == ("completed", "direct", 2)
    assert (shown["download_url"], shown["expires_at"], shown["progress"]["percent"]) == (None, None, 100.0)
    refused = api.get(f"/api/v1/exports/{shown['id']}/download/")
    assert (refused.status_code, refused.json()["detail"]) == (404, "Its file was sent at once; no copy was kept.")
    who = api.get(f"/api/v1/exports/{shown['id']}/downloads/").json()["results"]
    assert [(each["by"], each["via"], each["address"]) for each in who] == [("alice", "login", "127.0.0.1")]
    assert api.delete(f"/api/v1/exports/{shown['id']}/").status_code == 204


def test_no_mail_leads_to_a_file_that_is_not_kept(api: APIClient) -> None:
    fill_customers(1)
    download(api, notify={"email": True, "webhooks": True})
    assert only_job().notify == {"email": False, "webhooks": True}


def test_its_page_says_that_no_copy_is_kept(api: APIClient, client: Any, alice: User) -> None:
    fill_customers(2)
    client.force_login(alice)
    page = client.get(f"/exports/{download(api)['X-Export-Id']}/").content.decode()
    assert "Its file was sent when it was made; no copy is kept here." in page
    assert "The whole file was read back before its first byte was sent." in page
    assert 'data-testid="download"' not in page
    assert "2 columns · downloaded at once" in client.get("/exports/").content.decode()


def test_downloads_count_for_the_limits(api: APIClient, settings: Any) -> None:
    settings.EXPORTS_RATE = "2/hour"
    fill_customers(1)
    assert [download(api).status_code for _ in range(3)] == [200, 200, 429]
    settings.EXPORTS_RATE = ""
    settings.EXPORTS_MAX_ACTIVE = 1
    ExportJob.objects.all().update(status=Status.RUNNING, lease_expires_at=Now(), claim=1)
    assert download(api).json()["code"] == "throttled"


def test_the_same_idempotency_key_makes_one_download(api: APIClient) -> None:
    fill_customers(1)
    body = {"resource": "customers"}
    assert api.post(PATH, body, headers={"idempotency-key": "k"}).status_code == 200
    again = api.post(PATH, body, headers={"idempotency-key": "k"})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert only_job().row_count == 1


def test_the_same_idempotency_key_gives_the_same_job(api: APIClient, small: None) -> None:
    fill_customers(21)
    body = {"resource": "customers"}
    answers = [api.post(PATH, body, headers={"idempotency-key": "k"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 200]
    assert answers[0].json()["id"] == answers[1].json()["id"]


def test_a_file_is_not_sent_again_to_who_asked_before_it_was_begun(
    api: APIClient, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two at once, whose estimate came too late for a file of its own."""
    fill_customers(1)
    body = {"resource": "customers"}
    assert api.post(PATH, body, headers={"idempotency-key": "k"}).status_code == 200
    known = services.known_export
    looks = iter([lambda *args: None])
    monkeypatch.setattr(services, "known_export", lambda *args: next(looks, known)(*args))
    monkeypatch.setattr(services, "_estimate", lambda plan: estimates.UNKNOWN)
    again = api.post(PATH, body, headers={"idempotency-key": "k"})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert only_job().row_count == 1


# Who may


def test_a_token_or_a_session_with_its_csrf_token(alice: User) -> None:
    fill_customers(1)
    client = APIClient(enforce_csrf_checks=True)
    assert client.post(PATH, {"resource": "customers"}).status_code == 401
    client.login(username="alice", password="alice")
    assert client.post(PATH, {"resource": "customers"}).json()["code"] == "permission_denied"
    client.logout()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_key(alice)}")
    assert client.post(PATH, {"resource": "customers"}).status_code == 200


def test_refusals_are_those_of_every_export(api: APIClient, charlie: User, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_customers(3)
    assert download(api, columns=["nam"]).json()["errors"] == {"columns": ["Unknown column nam. Did you mean name?"]}
    assert api.post(PATH, "id=1", content_type="text/plain").json()["code"] == "unsupported_media_type"
    assert api.get(PATH).status_code == 405
    monkeypatch.setattr("exportsite.samples.exports.CustomerExport.max_rows", 2)
    assert download(api).status_code == 422
    api.force_authenticate(charlie)
    assert download(api).json()["detail"] == "Unknown resource customers. Valid: test_data."
    assert ExportJob.objects.count() == 0


def test_a_sensitive_column_needs_its_permission(api: APIClient, alice: User) -> None:
    assert api.post(PATH, {"resource": "transactions", "columns": ["card_number"]}).status_code == 400
    alice.user_permissions.add(Permission.objects.get(codename="view_card"))
    api.force_authenticate(User.objects.get(pk=alice.pk))
    assert api.post(PATH, {"resource": "transactions", "columns": ["card_number"]}).content == b"Card number\n"


@pytest.mark.parametrize(
    ("accept", "status"),
    [("text/csv", 200), ("*/*", 200), ("text/*", 200), ("application/json", 200), ("image/png", 406)],
)
def test_accept_may_name_the_file_or_anything(api: APIClient, accept: str, status: int) -> None:
    fill_customers(1)
    response = api.post(PATH, {"resource": "customers"}, headers={"accept": accept})
    assert response.status_code == status
    assert ExportJob.objects.count() == (1 if status == 200 else 0)


# Whose it is while it runs


def running(alice: User, strategy: str) -> ExportJob:
    return ExportJob.objects.create(
        owner=alice,
        resource="customers",
        format="csv",
        strategy=strategy,
        status=Status.RUNNING,
        claim=1,
        lease_expires_at=Now() - timedelta(hours=2),
    )


@pytest.mark.parametrize("strategy", ["direct", "stream"])
def test_a_download_whose_server_died_has_failed(api: APIClient, alice: User, strategy: str) -> None:
    job = running(alice, strategy)
    assert [each.pk for each in lifecycle.take_back_lost()] == [job.pk]
    job = only_job()
    assert (job.status, job.error_code) == ("failed", "worker_lost")
    assert job.error_detail == "The server stopped while it sent the file. Start the export again."
    assert job.events.get(kind=EventKind.FAILED).data["detail"] == job.error_detail
    assert run.run_next("exports") is None
    assert only_job().claim == 1


def test_downloads_take_no_place_of_the_workers(alice: User, settings: Any) -> None:
    settings.EXPORTS_SOURCE_MAX_RUNNING = 1
    running(alice, "stream")
    waiting = ExportJob.objects.create(owner=alice, resource="customers", format="csv")
    claimed = lifecycle.claim_next("exports", "w")
    assert claimed is not None
    assert claimed.pk == waiting.pk


def test_old_rows_of_downloads_are_pruned(api: APIClient) -> None:
    from exports_app import retention

    fill_customers(1)
    download(api)
    retention.prune()
    assert ExportJob.objects.count() == 1
    ExportJob.objects.update(created_at=Now() - timedelta(days=91))
    assert retention.prune().jobs == 1


def test_the_number_of_queries_does_not_grow_with_the_rows(api: APIClient, small: None) -> None:
    from django.test.utils import CaptureQueriesContext

    counts = []
    download(api)  # what is asked once in a process or of a user
    for rows in (1, 8):
        fill_customers(rows - Customer.objects.count())
        with CaptureQueriesContext(connection) as queries:
            download(api)
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert counts[0] <= 25
