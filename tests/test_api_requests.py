"""Bad requests: each gets the code and the field, and nothing is stored or enqueued."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from rest_framework.test import APIClient

from exports_app import services
from exports_app.choices import Status
from exports_app.models import ExportJob
from exports_app.plan import Request

committed = pytest.mark.django_db(transaction=True)
"""For tests whose rows must be visible to the source's own connection."""

BAD: list[tuple[Any, int, str, Any]] = [
    # body, status, code, where the error stands and how it begins
    ({}, 400, "invalid", {"resource": "This field is required."}),
    ({"resource": "transaction"}, 400, "invalid", {"resource": "Unknown resource transaction. Did you mean transact"}),
    ({"resource": 7.5}, 400, "invalid", {"resource": "Unknown resource 7.5."}),
    ({"resource": "customers", "format": "cvs"}, 400, "invalid", {"format": "Unknown format cvs. Did you mean csv?"}),
    ({"resource": "customers", "compression": "zip"}, 400, "invalid", {"compression": "Unknown compression zip."}),
    ({"resource": "customers", "colums": ["id"]}, 400, "invalid", {"colums": "Unknown field colums. Did you mean"}),
    ({"resource": "customers", "columns": ["emial"]}, 400, "invalid", {"columns": "Unknown column emial. Did you"}),
    ({"resource": "customers", "columns": []}, 400, "invalid", {"columns": "Choose at least one column"}),
    ({"resource": "customers", "columns": ["id", "id"]}, 400, "invalid", {"columns": "The column id is named twice."}),
    ({"resource": "customers", "columns": "id"}, 400, "invalid", {"columns": "Expected a list of items"}),
    ({"resource": "customers", "filters": {"contry": "DE"}}, 400, "invalid", {"filters.contry": "Unknown filter"}),
    (
        {"resource": "transactions", "filters": {"status": ["SETTLED", "LOST"]}},
        400,
        "invalid",
        {"filters.status": "Select a valid choice. LOST is not one of the available choices."},
    ),
    (
        {"resource": "transactions", "filters": {"booked_at_after": "yesterday"}},
        400,
        "invalid",
        {"filters.booked_at_after": "Enter a valid date"},
    ),
    (
        {"resource": "transactions", "filters": {"amount_min": "a lot"}},
        400,
        "invalid",
        {"filters.amount_min": "Enter a number."},
    ),
    ({"resource": "customers", "filters": ["DE"]}, 400, "invalid", {"filters": "Expected a dictionary of items"}),
    ({"resource": "customers", "ids": ["x"]}, 400, "invalid", {"ids": "Each id must be a"}),
    ({"resource": "customers", "limit": 0}, 400, "invalid", {"limit": "Ensure this value is greater than"}),
    ({"resource": "customers", "limit": "many"}, 400, "invalid", {"limit": "A valid integer is required."}),
    ({"resource": "customers", "options": {"delimeter": ";"}}, 400, "invalid", {"options.delimeter": "Unknown option"}),
    ({"resource": "customers", "options": {"delimiter": "x"}}, 400, "invalid", {"options.delimiter": ""}),
    ({"resource": "customers", "options": {"bom": "yes"}}, 400, "invalid", {"options.bom": ""}),
    ({"resource": "customers", "parameters": {"seed": 1}}, 400, "invalid", {"parameters": "This data takes no param"}),
    ({"resource": "customers", "shared_with": ["nobody"]}, 400, "invalid", {"shared_with": "There is no user nobody."}),
    (
        {"resource": "transactions", "columns": ["card_number"]},
        400,
        "invalid",
        {"columns": "Unknown column card_number. Did you mean account__number?"},
    ),
]


def found(nested: Any, path: str) -> str:
    """The first message at a dotted path of nested errors."""
    for name in path.split("."):
        assert name in nested, f"no error at {path}: {nested}"
        nested = nested[name]
    while isinstance(nested, dict):
        nested = next(iter(nested.values()))
    return str(nested[0])


@pytest.mark.parametrize(("body", "status", "code", "where"), BAD, ids=[str(each[0])[:60] for each in BAD])
def test_a_bad_request_names_its_field_and_leaves_nothing(
    api: APIClient,
    django_capture_on_commit_callbacks: Any,
    body: Any,
    status: int,
    code: str,
    where: Any,
) -> None:
    with django_capture_on_commit_callbacks() as enqueued:
        response = api.post("/api/v1/exports/", body, format="json")
    answer = response.json()
    assert (response.status_code, answer["code"]) == (status, code), answer
    for path, beginning in (where or {}).items():
        assert found(answer["errors"], path).startswith(beginning), answer
    assert ExportJob.objects.count() == 0
    assert enqueued == []


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        ('{"resource": ', "application/json", 400, "invalid"),
        ("[1, 2]", "application/json", 400, "invalid"),
        ('"customers"', "application/json", 400, "invalid"),
        ('{"resource": ' + "[" * 5_000 + "]" * 5_000 + "}", "application/json", 400, "invalid"),
        ('{"resource": "customers", "filters": ' + '{"a":' * 64 + "1" + "}" * 65, "application/json", 400, "invalid"),
        ("resource=customers", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(
    api: APIClient, content: str, content_type: str, status: int, code: str
) -> None:
    response = api.generic("POST", "/api/v1/exports/", content, content_type=content_type)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert ExportJob.objects.count() == 0


def test_nobody_exports_without_signing_in(db: None) -> None:
    response = APIClient().post("/api/v1/exports/", {"resource": "customers"})
    assert response.status_code == 401
    assert response.json() == {
        "code": "not_authenticated",
        "detail": "Authentication credentials were not provided.",
    }
    assert response["WWW-Authenticate"] == "Bearer"


def test_data_that_a_user_may_not_export_is_as_unknown_as_data_that_is_not_there(charlie: User) -> None:
    client = APIClient()
    client.force_authenticate(charlie)
    hidden, missing = (client.post("/api/v1/exports/", {"resource": name}) for name in ("customers", "costumers"))
    assert hidden.status_code == missing.status_code == 400
    assert hidden.json() == {
        "code": "invalid",
        "detail": "Unknown resource customers. Valid: test_data.",
        "errors": {"resource": ["Unknown resource customers. Valid: test_data."]},
    }
    assert missing.json()["detail"] == "Unknown resource costumers. Valid: test_data."
    assert ExportJob.objects.count() == 0


@committed
def test_more_rows_than_allowed_are_refused_with_both_numbers(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, silent_bell: list[str]
) -> None:
    from exportsite.samples.exports import TransactionExport

    monkeypatch.setattr(TransactionExport, "max_rows", 1_000)
    call_command("load_samples", rows=1_234, verbosity=0)
    response = api.post("/api/v1/exports/", {"resource": "transactions"})
    assert response.status_code == 422
    assert response.json() == {
        "code": "too_many_rows",
        "detail": "Export would contain 1,234 rows, which exceeds the maximum of 1,000. Please narrow your filters.",
    }
    assert (ExportJob.objects.count(), silent_bell) == (0, [])


@committed
def test_a_limit_brings_a_large_table_below_the_cap(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from exportsite.samples.exports import TransactionExport

    monkeypatch.setattr(TransactionExport, "max_rows", 1_000)
    call_command("load_samples", rows=1_234, verbosity=0)
    response = api.post("/api/v1/exports/", {"resource": "transactions", "limit": 1_000})
    assert response.status_code == 202
    assert response.json()["estimated_rows"] == 1_000


def test_the_sixth_active_export_of_a_user_waits(api: APIClient, settings: Any) -> None:
    for _ in range(5):
        assert api.post("/api/v1/exports/", {"resource": "customers"}).status_code == 202
    response = api.post("/api/v1/exports/", {"resource": "customers"})
    assert (response.status_code, response.json()["code"], response["Retry-After"]) == (429, "throttled", "10")
    assert ExportJob.objects.filter(status=Status.QUEUED).count() == 5


@committed
def test_the_same_idempotency_key_gives_the_same_job(api: APIClient, silent_bell: list[str]) -> None:
    first = api.post("/api/v1/exports/", {"resource": "customers"}, headers={"Idempotency-Key": "k1"})
    second = api.post("/api/v1/exports/", {"resource": "customers"}, headers={"Idempotency-Key": "k1"})
    other = api.post("/api/v1/exports/", {"resource": "trades"}, headers={"Idempotency-Key": "k1"})
    assert [first.status_code, second.status_code, other.status_code] == [202, 200, 409]
    assert first.json()["id"] == second.json()["id"]
    assert other.json()["code"] == "conflict"
    assert len(silent_bell) == 1


def test_a_switched_off_subsystem_says_so(api: APIClient, settings: Any) -> None:
    settings.ENABLE_EXPORTS = False
    response = api.post("/api/v1/exports/", {"resource": "customers"})
    assert (response.status_code, response.json()["code"]) == (503, "exports_disabled")
    assert response["Retry-After"] == "60"


def test_another_users_export_does_not_exist(api: APIClient, bob: User) -> None:
    job, _ = services.request_export(bob, Request(resource="customers"))
    for method, path in (("get", ""), ("delete", ""), ("post", "cancel/"), ("post", "retry/")):
        response = getattr(api, method)(f"/api/v1/exports/{job.pk}/{path}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert api.get("/api/v1/exports/").json()["results"] == []


def test_an_unknown_query_parameter_of_the_list_is_an_error(api: APIClient) -> None:
    response = api.get("/api/v1/exports/?stauts=queued")
    assert response.status_code == 400
    assert found(response.json()["errors"], "stauts") == "Unknown filter stauts. Did you mean status?"


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("exports/no-id/", "There is no such address."),
        ("webhooks/null,null/test/", "There is no such address."),
        ("exports", "There is no such address. Every path of the API ends with a slash."),
    ],
)
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_a_path_that_does_not_exist_is_refused_as_the_api_refuses(
    api: APIClient, method: str, path: str, detail: str
) -> None:
    response = getattr(api, method)(f"/api/v1/{path}")
    assert response.status_code == 404
    assert response.json() == {"code": "not_found", "detail": detail}


@pytest.mark.parametrize(
    ("path", "position"), [("exports", "%"), ("exports", "2026"), ("webhooks", "\0"), ("presets", "a\0b")]
)
def test_a_cursor_that_no_page_gave_out_is_refused(api: APIClient, path: str, position: str) -> None:
    cursor = b64encode(urlencode({"p": position}).encode()).decode()
    response = api.get(f"/api/v1/{path}/", {"cursor": cursor})
    assert response.status_code == 400
    assert response.json()["errors"] == {"cursor": ["Take it from next or previous of a page."]}
