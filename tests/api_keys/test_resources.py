"""Keys that are limited to some data: whatever is of other data does not exist for them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from exports_app import access, keys, lifecycle
from exports_app.choices import EventKind, Status, Strategy
from exports_app.models import ExportJob, ExportPerformance, ExportPreset
from tests.api_keys.making import bearer, client_of
from tests.conftest import OPERATE, make_user
from tests.event_streams import in_thread, open_stream, run
from tests.web_pages import make_job

NONE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def limited(alice: User) -> APIClient:
    """Alice's program for tags."""
    return client_of(alice, resources=["tags"])


@pytest.fixture
def of_tags(alice: User) -> ExportJob:
    return make_job(alice, Status.COMPLETED, resource="tags", columns=[{"name": "id", "label": "ID"}])


@pytest.fixture
def of_customers(alice: User) -> ExportJob:
    return make_job(alice, Status.COMPLETED)


def test_only_its_data_is_listed_and_other_names_are_unknown(limited: APIClient) -> None:
    assert [each["name"] for each in limited.get("/api/v1/resources/").json()] == ["tags"]
    assert limited.get("/api/v1/resources/tags/").status_code == 200
    for path in ("/api/v1/resources/customers/", "/api/v1/resources/nothing/"):
        refused = limited.get(path)
        assert (refused.status_code, refused.json()) == (
            404,
            {"code": "not_found", "detail": "There is no such data, or you may not export it."},
        )


@pytest.mark.parametrize("path", ["/api/v1/exports/", "/api/v1/exports/download/", "/api/v1/presets/"])
def test_what_it_may_not_export_is_refused_as_what_does_not_exist(limited: APIClient, path: str) -> None:
    def refusal(name: str) -> tuple[int, str]:
        answer = limited.post(path, {"resource": name, **({"name": "new"} if "presets" in path else {})})
        return answer.status_code, answer.content.decode().replace(name, "…")

    assert refusal("customers") == refusal("nothing")
    assert refusal("customers")[0] == 400
    assert refusal("tags")[0] in (200, 201, 202)
    assert limited.post("/api/v1/resources/customers/estimate/", {}).status_code == 404


def test_exports_of_other_data_are_neither_listed_nor_found(
    limited: APIClient, of_tags: ExportJob, of_customers: ExportJob
) -> None:
    assert [each["id"] for each in limited.get("/api/v1/exports/").json()["results"]] == [str(of_tags.pk)]
    assert limited.get("/api/v1/exports/?resource=customers").json()["results"] == []
    for method, path in [
        ("get", ""), ("delete", ""), ("get", "status/"), ("post", "cancel/"), ("post", "retry/"),
        ("post", "token/"), ("delete", "token/"), ("get", "download/"), ("get", "downloads/"), ("post", "leave/"),
    ]:  # fmt: skip
        hidden, unknown = (getattr(limited, method)(f"/api/v1/exports/{job}/{path}") for job in (of_customers.pk, NONE))
        assert (hidden.status_code, hidden.json()) == (unknown.status_code, unknown.json()), (method, path)
        assert hidden.status_code == 404, (method, path)
    assert limited.get(f"/api/v1/exports/{of_tags.pk}/download/").status_code == 302


def test_a_shared_export_of_other_data_is_not_there_and_cannot_be_left(
    bob: User, alice: User, of_customers: ExportJob
) -> None:
    of_customers.shared_with.add(bob)
    limited = client_of(bob, resources=["tags"])
    assert limited.get("/api/v1/exports/").json()["results"] == []
    assert limited.post(f"/api/v1/exports/{of_customers.pk}/leave/").status_code == 404
    preset = ExportPreset.objects.create(owner=alice, name="hers", resource="customers")
    preset.shared_with.add(bob)
    assert limited.post(f"/api/v1/presets/{preset.pk}/leave/").status_code == 404
    assert client_of(bob).post(f"/api/v1/exports/{of_customers.pk}/leave/").status_code == 204
    assert client_of(bob).post(f"/api/v1/presets/{preset.pk}/leave/").status_code == 204


def test_presets_and_figures_of_other_data_are_not_there(limited: APIClient, alice: User) -> None:
    for name in ("tags", "customers"):
        ExportPreset.objects.create(owner=alice, name=name, resource=name)
        ExportPerformance.objects.create(
            owner=alice, resource=name, format="csv", strategy=Strategy.BACKGROUND, rows=1, bytes=1, seconds=1
        )
    assert [each["name"] for each in limited.get("/api/v1/presets/").json()["results"]] == ["tags"]
    assert [each["resource"] for each in limited.get("/api/v1/exports/performance/").json()["results"]] == ["tags"]
    other = ExportPreset.objects.get(name="customers")
    assert limited.get(f"/api/v1/presets/{other.pk}/").status_code == 404
    refused = limited.post("/api/v1/exports/", {"preset": str(other.pk)})
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["preset"])


def test_an_operators_key_sees_everybodys_exports_of_its_data(of_tags: ExportJob, of_customers: ExportJob) -> None:
    operator = make_user("op", permissions=(*OPERATE, "view_tag"))
    assert len(client_of(operator).get("/api/v1/exports/").json()["results"]) == 2
    shown = client_of(operator, resources=["tags"]).get("/api/v1/exports/").json()["results"]
    assert [each["id"] for each in shown] == [str(of_tags.pk)]


def test_figures_of_the_site_and_webhooks_tell_of_all_data_and_are_closed(alice: User) -> None:
    operator = make_user("op", permissions=(*OPERATE, "view_tag"))
    limited = client_of(operator, resources=["tags"])
    assert limited.get("/health/").json() == {"status": "ok"}
    assert "queued" in client_of(operator).get("/health/").json()
    for method, path in [("get", "/metrics"), ("get", "/api/v1/webhooks/"), ("post", "/api/v1/webhooks/")]:
        refused = getattr(limited, method)(path)
        assert (refused.status_code, refused.json()["detail"]) == (
            403,
            "This API key is limited to some data, and this call tells of all exports.",
        )


def test_a_sheet_of_other_data_is_left_out_of_its_workbooks_and_keeps_others_closed(alice: User) -> None:
    limited = client_of(alice, resources=["trades"])
    made = limited.post("/api/v1/exports/", {"resource": "trades", "format": "xlsx"}).json()
    assert ExportJob.objects.get(pk=made["id"]).sheets == []
    whole = client_of(alice).post("/api/v1/exports/", {"resource": "trades", "format": "xlsx"}).json()
    job = ExportJob.objects.get(pk=whole["id"])
    assert job.sheets
    ExportJob.objects.filter(pk=job.pk).update(
        status=Status.COMPLETED, row_count=1, file_size=1, file_key="x", completed_at=job.created_at
    )
    assert limited.get(f"/api/v1/exports/{job.pk}/").json()["download_url"] is None
    assert limited.get(f"/api/v1/exports/{job.pk}/download/").status_code == 403
    assert client_of(alice).get(f"/api/v1/exports/{job.pk}/download/").status_code == 302


def test_the_idempotency_key_of_an_export_of_other_data_shows_nothing(alice: User) -> None:
    body, again = {"resource": "customers"}, {"idempotency-key": "mine"}
    assert client_of(alice).post("/api/v1/exports/", body, headers=again).status_code == 202
    refused = client_of(alice, resources=["tags"]).post("/api/v1/exports/", body, headers=again)
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["resource"])


def test_a_projects_own_rules_cannot_forget_what_a_key_is_limited_to(
    alice: User, of_tags: ExportJob, of_customers: ExportJob, settings: Any
) -> None:
    settings.EXPORTS_ACCESS = "tests.api_keys.test_resources.Everything"
    assert access.of(alice).exports().count() == 2
    keys.bind(alice, keys.Permit(resources=frozenset({"tags"})))
    assert [job.pk for job in access.of(alice).exports()] == [of_tags.pk]


class Everything(access.Access):
    """Rules that know nothing of keys."""

    def exports(self) -> Any:
        return ExportJob.objects.all()


@pytest.mark.django_db(transaction=True)
def test_a_stream_of_all_exports_tells_of_its_data_alone_from_the_beginning_and_later(alice: User) -> None:
    make_job(alice)
    first = make_job(alice, resource="tags")
    headers = bearer(alice, "read", resources=["tags"])

    def make_more() -> str:
        for name in ("customers", "tags"):
            job = make_job(alice, resource=name)
            lifecycle.record_event(job.pk, EventKind.QUEUED, {})
        return str(job.pk)

    async def main() -> None:
        async with open_stream("/api/v1/exports/events/", headers) as stream:
            assert (await stream.next()).data["id"] == str(first.pk)
            second = await in_thread(make_more)
            assert (await stream.next()).data["id"] == second

    run(main)


@pytest.mark.django_db(transaction=True)
def test_the_stream_of_an_export_of_other_data_is_not_there(alice: User) -> None:
    job = make_job(alice)

    headers = bearer(alice, "read", resources=["tags"])

    async def main() -> None:
        async with open_stream(f"/api/v1/exports/{job.pk}/events/", headers) as stream:
            assert stream.status == 404

    run(main)
