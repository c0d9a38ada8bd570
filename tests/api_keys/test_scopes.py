"""What keys may: each call by each scope, and nothing that nobody has thought of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from exports_app import downloads, keys
from exports_app.api import scopes
from exports_app.api.permissions import BearerAuthentication
from exports_app.choices import Scope, Status
from exports_app.models import ExportEvent, ExportJob, ExportPreset, ExportToken, ExportWebhook
from tests.api_keys.making import bearer, client_of, make_key
from tests.conftest import VIEW_SAMPLES, make_user
from tests.web_pages import make_job

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

CALLS = """
GET /api/v1/resources/                      read
GET /api/v1/resources/customers/            read
POST /api/v1/resources/customers/estimate/  export
GET /api/v1/exports/                        read
POST /api/v1/exports/                       export
POST /api/v1/exports/download/              export
GET /api/v1/exports/performance/            read
GET /api/v1/exports/events/                 read
GET /api/v1/exports/{job}/                  read
DELETE /api/v1/exports/{job}/               manage
GET /api/v1/exports/{job}/status/           read
GET /api/v1/exports/{job}/events/           read
POST /api/v1/exports/{job}/cancel/          export
POST /api/v1/exports/{job}/retry/           export
POST /api/v1/exports/{job}/leave/           manage
POST /api/v1/exports/{job}/token/           export
DELETE /api/v1/exports/{job}/token/         export
GET /api/v1/exports/{job}/download/         export
HEAD /api/v1/exports/{job}/download/        export
GET /api/v1/exports/{job}/downloads/        read
GET /api/v1/presets/                        manage
POST /api/v1/presets/                       manage
GET /api/v1/presets/{preset}/               manage
PUT /api/v1/presets/{preset}/               manage
PATCH /api/v1/presets/{preset}/             manage
DELETE /api/v1/presets/{preset}/            manage
POST /api/v1/presets/{preset}/leave/        manage
GET /api/v1/webhooks/                       manage
POST /api/v1/webhooks/                      manage
GET /api/v1/webhooks/{webhook}/             manage
PUT /api/v1/webhooks/{webhook}/             manage
PATCH /api/v1/webhooks/{webhook}/           manage
DELETE /api/v1/webhooks/{webhook}/          manage
POST /api/v1/webhooks/{webhook}/rotate/     manage
POST /api/v1/webhooks/{webhook}/test/       manage
GET /api/v1/webhooks/{webhook}/deliveries/  manage
GET /api/schema/                            read
GET /api/docs/                              read
GET /health/                                read
GET /health/ready/                          read
GET /metrics                                read
"""
"""Every call, and the one scope that it needs."""
BODIES: dict[str, dict[str, Any]] = {
    "/api/v1/resources/customers/estimate/": {},
    "/api/v1/exports/": {"resource": "customers"},
    "/api/v1/exports/download/": {"resource": "customers"},
    "/api/v1/presets/": {"name": "new", "resource": "customers"},
    "/api/v1/presets/{preset}/": {"name": "new", "resource": "customers"},
    "/api/v1/webhooks/": {"url": "https://hooks.example.com/"},
    "/api/v1/webhooks/{webhook}/": {"url": "https://hooks.example.com/"},
}


@pytest.fixture
def places(alice: User) -> dict[str, str]:
    """One of each that Alice has."""
    preset = ExportPreset.objects.create(owner=alice, name="mine", resource="customers")
    webhook = ExportWebhook.objects.create(owner=alice, url="https://hooks.example.com/", secret="whsec_MTIz")
    job = make_job(alice, Status.COMPLETED)
    return {"job": str(job.pk), "preset": str(preset.pk), "webhook": str(webhook.pk)}


@pytest.mark.django_db(transaction=True)  # streams read in threads of their own
@pytest.mark.parametrize("line", CALLS.strip().splitlines(), ids=lambda line: " ".join(line.split()[:2]))
def test_each_call_needs_one_scope_and_says_which_one_is_missing(
    alice: User, places: dict[str, str], line: str
) -> None:
    method, path, needed = line.split()
    body = BODIES.get(path) if method in ("POST", "PUT", "PATCH") else None
    others = [each for each in keys.SCOPES if each != needed]

    def call(*scopes: str) -> Any:
        client = APIClient(headers=bearer(alice, *scopes))
        return getattr(client, method.lower())(path.format(**places), body)

    refused = call(*others)
    assert refused.status_code == 403
    sentence = f"This API key lacks the scope {needed}, which this needs."
    if path == "/api/schema/":  # YAML, as the schema would have been
        assert sentence in refused.content.decode()
    elif path != "/api/docs/" and method != "HEAD":
        assert refused.json() == {"code": "permission_denied", "detail": sentence}
    answered = call(needed)
    if answered.status_code == 403:  # operators alone
        assert path == "/metrics"
        assert answered.json()["detail"] == "You may not export this data."
    else:
        assert answered.status_code in (200, 201, 202, 204, 302, 404, 409, 503)


def patterns(found: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for each in found:
        if isinstance(each, URLResolver):
            yield from patterns(each.url_patterns)
        else:
            yield each


def open_to_keys() -> Iterator[tuple[str, str]]:
    """Path and method of every view of the site that a key can come to."""
    for pattern in patterns(get_resolver().url_patterns):
        view = getattr(pattern.callback, "cls", None)
        if view is None or not any(isinstance(each, BearerAuthentication) for each in view().get_authenticators()):
            continue
        yield from ((str(pattern.name), method) for method in METHODS if hasattr(view, method.lower()))


def test_every_view_of_the_site_that_keys_come_to_says_which_scope_it_needs() -> None:
    found = set(open_to_keys())
    assert len(found) == len(CALLS.strip().splitlines()) - 1  # HEAD is a GET
    assert {each for each in found if scopes.scope_of(*each) is None} == set()
    assert {(path, method) for path, methods in scopes.SCOPES.items() for method in methods} == found


def test_a_call_without_a_scope_is_closed_to_keys(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scopes, "SCOPES", {})
    refused = client_of(alice).get("/api/v1/exports/")
    assert (refused.status_code, refused.json()["detail"]) == (403, "This cannot be done by an API key.")


def test_a_method_that_a_path_has_not_is_refused_as_such(alice: User) -> None:
    client = client_of(alice, "read")
    assert client.put("/api/v1/exports/").status_code == 405
    assert client.options("/api/v1/exports/").status_code == 200


def test_a_session_is_asked_for_no_scope(alice: User, browser: Client, places: dict[str, str]) -> None:
    assert browser.get("/api/v1/presets/").status_code == 200
    assert browser.get(f"/api/v1/exports/{places['job']}/download/").status_code == 302


def test_who_may_read_alone_is_shown_no_link_to_the_file(alice: User, places: dict[str, str]) -> None:
    path = f"/api/v1/exports/{places['job']}/"
    assert client_of(alice, "read").get(path).json()["download_url"] is None
    assert client_of(alice, "read").get("/api/v1/exports/").json()["results"][0]["download_url"] is None
    assert "X-Amz-Signature=" in client_of(alice, "read", "export").get(path).json()["download_url"]


def test_a_key_without_manage_shares_nothing_with_a_new_export(alice: User, bob: User) -> None:
    body = {"resource": "customers", "shared_with": ["bob"]}
    refused = client_of(alice, "read", "export").post("/api/v1/exports/", body)
    assert (refused.status_code, refused.json()["detail"]) == (
        403,
        "This API key lacks the scope manage, which this needs.",
    )
    assert not ExportJob.objects.exists()
    assert client_of(alice, "export", "manage").post("/api/v1/exports/", body).json()["shared_with"] == ["bob"]


def test_an_operators_key_changes_others_exports_with_manage_alone(alice: User) -> None:
    operator = make_user("op", permissions=("view_exportjob", "change_exportjob"))
    job = make_job(alice)
    path = f"/api/v1/exports/{job.pk}/cancel/"
    assert client_of(operator, "read", "export").post(path).status_code == 403
    job.refresh_from_db()
    assert job.status == Status.QUEUED
    assert client_of(operator, "read", "export", "manage").post(path).status_code == 200


def test_a_key_may_no_more_than_its_user(charlie: User, alice: User) -> None:
    job = make_job(alice, Status.COMPLETED)
    client = client_of(charlie)
    assert client.get(f"/api/v1/exports/{job.pk}/").status_code == 404
    assert client.post("/api/v1/exports/", {"resource": "customers"}).status_code == 400


def test_histories_say_which_key_it_was_and_never_its_secret(alice: User) -> None:
    secret = make_key(alice, "export")
    key = str(alice.export_keys.get().pk)
    client = APIClient(headers={"Authorization": f"Bearer {secret}"})
    client.post("/api/v1/exports/", {"resource": "customers"})
    client.get(f"/api/v1/exports/{make_job(alice, Status.COMPLETED).pk}/download/")
    queued, fetched = ExportEvent.objects.order_by("id")
    assert (queued.kind, queued.data) == ("queued", {"key": key})
    assert (fetched.kind, fetched.data["key"]) == ("downloaded", key)
    assert secret not in str([*ExportEvent.objects.values_list(), *ExportJob.objects.values_list()])


def test_a_link_that_was_made_by_key_is_one_as_any_other(alice: User) -> None:
    job = make_job(alice, Status.COMPLETED)
    link = client_of(alice, "export").post(f"/api/v1/exports/{job.pk}/token/").json()
    assert downloads.look_up(job.pk, link["token"]) == ExportToken.objects.get()
    assert APIClient().get(link["download_url"]).status_code == 302


def test_everybody_without_a_key_has_the_whole_of_what_they_may(alice: User) -> None:
    assert keys.permit_of(make_user("dora", permissions=VIEW_SAMPLES)) is keys.WHOLE
    assert keys.permit_of(None) is keys.WHOLE
    assert all(keys.WHOLE.allows(scope) for scope in Scope)
    assert keys.WHOLE.allows_resource("anything")
