"""The API as a client uses it: what may be exported, a job, the list, the end of a job."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from exports_app.choices import Status
from exports_app.models import ApiKey, ExportJob
from tests.api_keys.making import make_key
from tests.jobs import make_job
from workers import run

committed = pytest.mark.django_db(transaction=True)
"""For tests whose rows must be visible to the source's own connection."""


def test_resources_show_what_the_user_may_export(api: APIClient) -> None:
    answer = api.get("/api/v1/resources/").json()
    names = [each["name"] for each in answer]
    assert names == sorted(names)
    assert {"customers", "transactions", "trades"} <= set(names)
    transactions = next(each for each in answer if each["name"] == "transactions")
    assert "card_number" not in [column["name"] for column in transactions["columns"]]
    kinds = {column["name"]: column["kind"] for column in transactions["columns"]}
    assert (kinds["booked_at"], kinds["amount"], kinds["status"]) == ("datetime", "decimal", "choice")
    assert transactions["limits"] == {"max_rows": 500_000, "max_active": 5}
    status = next(each for each in transactions["filters"] if each["name"] == "status")
    assert [choice["value"] for choice in status["choices"]] == ["PENDING", "SETTLED", "FAILED", "REFUNDED"]


def test_one_resource_by_name(api: APIClient, charlie: User) -> None:
    assert api.get("/api/v1/resources/customers/").json()["title"] == "Customers"
    assert api.get("/api/v1/resources/nothing/").status_code == 404
    api.force_authenticate(charlie)
    assert api.get("/api/v1/resources/customers/").status_code == 404


def test_a_user_without_permissions_may_export_only_what_needs_none(charlie: User) -> None:
    client = APIClient()
    client.force_authenticate(charlie)
    assert [each["name"] for each in client.get("/api/v1/resources/").json()] == ["test_data"]


@pytest.mark.parametrize("prefix", ["Bearer", "Token"])
def test_a_key_opens_the_api_and_only_its_digest_is_stored(alice: User, prefix: str) -> None:
    secret = make_key(alice)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"{prefix} {secret}")
    assert client.get("/api/v1/exports/").status_code == 200
    assert secret not in str(ApiKey.objects.values_list())
    client.credentials(HTTP_AUTHORIZATION=f"{prefix} {secret[:-1]}")
    assert client.get("/api/v1/exports/").status_code == 401


@committed
def test_an_export_from_request_to_download(api: APIClient) -> None:
    call_command("load_samples", rows=50, verbosity=0)
    accepted = api.post(
        "/api/v1/exports/",
        {"resource": "customers", "columns": ["id", {"name": "email", "label": "E-mail"}], "limit": 3},
    )
    assert accepted.status_code == 202
    assert accepted["Location"] == accepted.json()["links"]["self"]
    job = accepted.json()
    assert (job["status"], job["progress"]["queue_position"], job["estimated_rows"]) == ("queued", 1, 3)
    assert job["options"]["escape_formulas"] is True
    assert run.run_next("exports") is None
    done = api.get(accepted["Location"]).json()
    assert (done["status"], done["row_count"], done["progress"]["percent"]) == ("completed", 3, 100.0)
    assert done["columns"] == [{"name": "id", "label": "ID"}, {"name": "email", "label": "E-mail"}]
    answer = requests.get(done["download_url"], timeout=10)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{done["file_name"]}"'
    lines = answer.text.split("\n")
    assert lines[0] == '"ID",E-mail'
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3", ""]
    assert len(answer.content) == done["file_size"]


def test_a_job_has_exactly_the_fields_of_the_contract(api: APIClient) -> None:
    job = api.post("/api/v1/exports/", {"resource": "customers"}).json()
    contract = {
        "id", "resource", "format", "compression", "status", "strategy", "progress", "attempt", "max_attempts",
        "next_attempt_at", "error", "warnings", "columns", "filters", "options", "estimated_rows", "estimate_exact",
        "row_count", "file_name", "file_size", "crc32", "snapshots", "download_url", "download_url_expires_at",
        "created_at", "started_at", "completed_at", "expires_at", "request_id", "owner", "shared_with", "links",
    }  # fmt: skip
    assert contract <= set(job)
    assert set(job) - contract == {"ids", "limit", "parameters", "message", "rows_verified", "sheets", "removed"}
    assert job["message"].startswith("The export was accepted.")
    assert set(api.get(job["links"]["self"]).json()) == set(job) - {"message"}
    assert set(job["progress"]) == {
        "percent", "rows", "total_rows", "bytes", "rows_per_second", "eta_seconds", "queue_position",
    }  # fmt: skip
    assert (job["owner"], job["attempt"], job["max_attempts"], job["error"]) == ("alice", 1, 3, None)


def test_the_list_is_newest_first_in_pages(api: APIClient, settings: Any) -> None:
    settings.EXPORTS_MAX_ACTIVE = 0
    made = [api.post("/api/v1/exports/", {"resource": "customers"}).json()["id"] for _ in range(5)]
    first = api.get("/api/v1/exports/?page_size=3").json()
    second = api.get(first["next"]).json()
    assert [job["id"] for job in first["results"] + second["results"]] == made[::-1]
    assert (first["previous"], second["next"]) == (None, None)
    assert api.get("/api/v1/exports/?status=completed").json()["results"] == []


@committed
def test_those_shared_with_see_and_read_but_do_not_change(api: APIClient, alice: User, bob: User) -> None:
    call_command("load_samples", rows=10, verbosity=0)
    job = api.post("/api/v1/exports/", {"resource": "customers", "shared_with": ["bob"]}).json()
    assert run.run_next("exports") is None
    api.force_authenticate(bob)
    assert api.get(job["links"]["self"]).json()["download_url"] is not None
    assert api.delete(job["links"]["self"]).status_code == 403
    assert api.post(job["links"]["cancel"]).status_code == 403
    bob.user_permissions.clear()
    api.force_authenticate(User.objects.get(pk=bob.pk))
    assert api.get(job["links"]["self"]).json()["download_url"] is None


def test_a_queued_export_is_cancelled_once_and_retried(api: APIClient) -> None:
    job = api.post("/api/v1/exports/", {"resource": "customers"}).json()
    assert api.post(job["links"]["cancel"]).json()["status"] == "cancelled"
    again = api.post(job["links"]["cancel"])
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert api.post(f"{job['links']['self']}retry/").json()["status"] == "queued"
    assert api.post(f"{job['links']['self']}retry/").status_code == 409


@committed
def test_a_deleted_export_is_gone_with_its_file(api: APIClient) -> None:
    call_command("load_samples", rows=10, verbosity=0)
    job = api.post("/api/v1/exports/", {"resource": "customers"}).json()
    assert run.run_next("exports") is None
    url = api.get(job["links"]["self"]).json()["download_url"]
    assert requests.get(url, timeout=10).status_code == 200
    assert api.delete(job["links"]["self"]).status_code == 204
    assert requests.get(url, timeout=10).status_code == 404
    assert api.get(job["links"]["self"]).status_code == 404
    assert api.delete(job["links"]["self"]).status_code == 404


@committed
def test_an_expired_export_answers_410_with_the_job(api: APIClient) -> None:
    call_command("load_samples", rows=10, verbosity=0)
    job = api.post("/api/v1/exports/", {"resource": "customers"}).json()
    assert run.run_next("exports") is None
    ExportJob.objects.update(expires_at="2020-01-01T00:00:00Z")
    call_command("prune_exports")
    response = api.get(job["links"]["self"])
    assert (response.status_code, response.json()["code"]) == (410, "gone")
    assert (response.json()["id"], response.json()["status"]) == (job["id"], "expired")
    assert response.json()["download_url"] is None


@committed
def test_health_counts_the_jobs(api: APIClient, olga: User) -> None:
    call_command("load_samples", rows=10, verbosity=0)
    api.post("/api/v1/exports/", {"resource": "customers"})
    assert run.run_next("exports") is None
    api.post("/api/v1/exports/", {"resource": "customers"})
    assert APIClient().get("/health/").json() == {"status": "ok"}
    assert api.get("/health/").json() == {"status": "ok"}
    api.force_authenticate(olga)
    answer = api.get("/health/").json()
    assert answer.pop("avg_duration_ms") > 0
    assert answer.pop("since").endswith("T00:00:00+00:00")
    assert answer == {
        "status": "ok",
        "queued": 1,
        "running": 0,
        "processed": 1,
        "failed": 0,
        "retried": 0,
        "refused_removals": 0,
    }


@committed
def test_health_counts_what_ended_since_midnight(api: APIClient, alice: User, olga: User) -> None:
    ended = {"status": Status.FAILED, "error_code": "bad_key"}
    make_job(alice, completed_at=timezone.now() - timedelta(days=2), **ended)
    make_job(alice, completed_at=timezone.now(), failures=1, **ended)
    api.force_authenticate(olga)
    answer = api.get("/health/").json()
    assert (answer["failed"], answer["retried"]) == (1, 1)


def test_the_list_is_narrowed_by_format_and_refuses_what_is_no_moment(api: APIClient) -> None:
    made = [api.post("/api/v1/exports/", {"resource": "customers", "format": name}).json() for name in ("csv", "json")]
    assert [job["id"] for job in api.get("/api/v1/exports/?format=csv").json()["results"]] == [made[0]["id"]]
    for query, name in (("created_after=", "created_after"), ("page_size=0", "page_size"), ("cursor=x", "cursor")):
        refused = api.get(f"/api/v1/exports/?{query}")
        assert (refused.status_code, list(refused.json()["errors"])) == (400, [name])
