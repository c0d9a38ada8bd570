"""No cache keeps what the API answers; what is the same for everybody may be kept."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import AsyncClient, Client
from rest_framework.test import APIClient

from exports_app import services
from exports_app.models import ExportJob
from tests.web_pages import make_job

pytestmark = pytest.mark.django_db


def test_a_link_to_a_file_is_not_kept(api: APIClient, alice: User) -> None:
    job = make_job(alice, "completed")
    for path in ("/api/v1/exports/", f"/api/v1/exports/{job.pk}/"):
        answer = api.get(path)
        assert "X-Amz-Signature=" in answer.content.decode()
        assert answer["Cache-Control"] == "no-store"


def test_what_was_accepted_and_what_was_retried_are_not_kept(api: APIClient, alice: User) -> None:
    accepted = api.post("/api/v1/exports/", {"resource": "customers"})
    assert (accepted.status_code, accepted["Cache-Control"]) == (202, "no-store")
    retried = api.post(f"/api/v1/exports/{make_job(alice, 'cancelled').pk}/retry/")
    assert (retried.status_code, retried["Cache-Control"]) == (200, "no-store")


def test_a_failure_that_nobody_foresaw_is_not_kept(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> ExportJob:
        raise RuntimeError

    monkeypatch.setattr(services, "request_export", fail)
    api.raise_request_exception = False
    answer = api.post("/api/v1/exports/", {"resource": "customers"})
    assert (answer.status_code, answer["Cache-Control"]) == (500, "no-store")


@pytest.mark.parametrize("path", ["/api/v1/", "/api/v1/nowhere/", "/api/v1/exports/1/"])
def test_an_address_that_is_none_is_not_kept_under_wsgi_or_asgi(client: Client, path: str) -> None:
    for answer in (client.get(path), async_to_sync(AsyncClient().get)(path)):
        assert (answer.status_code, answer["Cache-Control"]) == (404, "no-store")


def test_what_is_the_same_for_everybody_says_nothing(client: Client) -> None:
    assert "Cache-Control" not in client.get("/health/")


@pytest.mark.parametrize("path", ["/api/schema/", "/api/docs/"])
def test_what_is_for_people_who_signed_in_is_not_kept(client: Client, alice: User, path: str) -> None:
    refused = client.get(path)
    client.force_login(alice)
    shown = client.get(path)
    assert (refused["Cache-Control"], shown["Cache-Control"]) == ("no-store", "no-store")
