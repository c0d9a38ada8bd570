"""Tokens of the API: what a call with one costs, and when one no longer opens anything."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from exports_app import retention
from exports_app.models import ApiToken
from tests.jobs import make_job


def client_of(user: User) -> APIClient:
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {ApiToken.objects.create(user)[1]}")


@pytest.mark.parametrize(("path", "queries"), [("status/", 4), ("", 5)])
def test_a_look_at_an_export_takes_one_query_for_the_token_and_no_more_for_others(
    alice: User, bob: User, django_assert_num_queries: DjangoAssertNumQueries, path: str, queries: int
) -> None:
    client = client_of(alice)
    for _ in range(10):
        client_of(alice)
    job = make_job(alice, status="cancelled")
    job.shared_with.add(bob)
    with django_assert_num_queries(
        queries
    ):  # token with user, export; permissions of the user and of groups, whom it is shared with
        assert client.get(f"/api/v1/exports/{job.pk}/{path}").status_code == 200


def test_an_expired_token_opens_nothing_and_the_upkeep_removes_it(alice: User) -> None:
    client, other = client_of(alice), client_of(alice)
    ApiToken.objects.filter(pk=ApiToken.objects.order_by("created").values("pk")[:1]).update(
        expiry=timezone.now() - timedelta(seconds=1)
    )
    assert client.get("/api/v1/exports/").status_code == 401
    assert other.get("/api/v1/exports/").status_code == 200
    assert ApiToken.objects.count() == 2
    retention.prune()
    assert ApiToken.objects.count() == 1


@pytest.mark.django_db
def test_a_token_of_bytes_that_are_no_text_opens_nothing() -> None:
    refused = APIClient(HTTP_AUTHORIZATION="Bearer \xff").get("/api/v1/exports/")
    assert (refused.status_code, refused.json()) == (401, {"code": "not_authenticated", "detail": "Invalid token."})
