"""One id from the caller's header to the answer and the job."""

from __future__ import annotations

import re
import uuid

import pytest
from django.test import Client
from rest_framework.test import APIClient

from exports_app.models import ExportJob

pytestmark = pytest.mark.django_db


def test_a_sane_id_is_taken_over_and_returned(api: APIClient) -> None:
    answer = api.post("/api/v1/exports/", {"resource": "customers"}, headers={"X-Request-ID": "order-2026:77"})
    assert answer["X-Request-ID"] == answer.json()["request_id"] == "order-2026:77"
    found = api.get("/api/v1/exports/?request_id=order-2026:77").json()["results"]
    assert [job["id"] for job in found] == [answer.json()["id"]]


@pytest.mark.parametrize("given", ["a b", "<script>", "x" * 101, "-x", 'say="hi"', "ü"])
def test_another_one_is_replaced(api: APIClient, given: str) -> None:
    answer = api.post("/api/v1/exports/", {"resource": "customers"}, headers={"X-Request-ID": given})
    assert answer["X-Request-ID"] == ExportJob.objects.get().request_id
    assert uuid.UUID(answer["X-Request-ID"]).version == 4


def test_every_answer_has_one(client: Client) -> None:
    for path in ("/login/", "/api/v1/exports/", "/health/", "/nowhere/"):
        assert re.fullmatch(r"[0-9a-f-]{36}", client.get(path)["X-Request-ID"])
