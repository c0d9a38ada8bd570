"""The schema: complete, valid, and the same in what it promises for every endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from rest_framework.test import APIClient

from tests.api_keys.making import make_key

WITH_BODIES_OF_THEIR_OWN = {("/api/v1/exports/{id}/", "410"), ("/health/ready/", "503")}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return made


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_the_schema_is_valid_and_nothing_in_it_was_guessed() -> None:
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=StringIO())


def test_every_refusal_has_the_body_of_an_error(schema: dict[str, Any]) -> None:
    validate_schema(schema)  # type: ignore[no-untyped-call]
    for path, method, operation in operations(schema):
        for status, answer in operation["responses"].items():
            if int(status) >= 400 and (path, status) not in WITH_BODIES_OF_THEIR_OWN:
                content = answer["content"]["application/json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Error"}, (path, method, status)
                assert content["examples"], (path, method, status)


def test_every_endpoint_that_needs_a_login_names_401_and_403(schema: dict[str, Any]) -> None:
    for path, method, operation in operations(schema):
        closed = {} not in operation.get("security", [{}])
        assert "401" in operation["responses"] or not closed, (path, method)
        assert "403" in operation["responses"] or not closed, (path, method)
        assert "404" in operation["responses"] or "{" not in path, (path, method)
        assert "503" in operation["responses"], (path, method)
        is_negotiated = path.startswith("/api/") and path != "/api/v1/exports/{id}/download/"  # the file is what it is
        assert ("406" in operation["responses"]) == is_negotiated, (path, method)


def test_every_call_of_the_api_names_the_scope_that_a_key_needs(schema: dict[str, Any]) -> None:
    found = {(path, method): each.get("x-key-scope") for path, method, each in operations(schema)}
    assert {key for key, scope in found.items() if scope is None} == {
        ("/health/", "get"), ("/health/ready/", "get"), ("/metrics", "get"),
    }  # fmt: skip
    assert found["/api/v1/exports/{id}/", "delete"] == "manage"
    assert found["/api/v1/exports/", "post"] == "export"
    assert found["/api/v1/exports/{id}/events/", "get"] == "read"
    assert schema["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert (
        "`export` (make exports, fetch files, make links)"
        in (schema["components"]["securitySchemes"]["token"]["description"])
    )


def test_headers_stand_beside_the_answers_that_carry_them(schema: dict[str, Any]) -> None:
    answers = schema["paths"]["/api/v1/exports/"]["post"]["responses"]
    assert set(answers["202"]["headers"]) == {"Location", "X-Request-ID"}
    assert set(answers["429"]["headers"]) == {"Retry-After", "X-Request-ID"}
    assert set(answers["401"]["headers"]) == {"WWW-Authenticate", "X-Request-ID"}


def test_no_body_is_free_where_it_could_be_typed(schema: dict[str, Any]) -> None:
    for path, method, operation in operations(schema):
        for status, answer in operation["responses"].items():
            for content in answer.get("content", {}).values():
                assert content["schema"].get("type") != "object", (path, method, status)
                assert content["schema"], (path, method, status)


@pytest.mark.django_db
def test_the_schema_and_its_page_are_for_people_who_signed_in(alice: User) -> None:
    nobody, browser = APIClient(), APIClient()
    browser.force_login(alice)
    refused = nobody.get("/api/schema/")
    assert refused.status_code == 401
    assert b"/api/v1/" not in refused.content
    led_away = nobody.get("/api/docs/")
    assert (led_away.status_code, led_away["Location"]) == (302, "/login/?next=/api/docs/")
    assert [browser.get(path).status_code for path in ("/api/schema/", "/api/docs/")] == [200, 200]


@pytest.mark.django_db
def test_a_key_opens_the_schema_and_a_wrong_one_does_not(alice: User) -> None:
    assert APIClient(headers={"Authorization": f"Bearer {make_key(alice)}"}).get("/api/schema/").status_code == 200
    for path in ("/api/schema/", "/api/docs/"):
        assert APIClient(headers={"Authorization": "Bearer exk_wrong"}).get(path).status_code == 401, path


@pytest.mark.django_db
def test_a_setting_opens_the_schema_and_its_page_to_everybody(settings: Any) -> None:
    settings.EXPORTS_PUBLIC_SCHEMA = True
    assert [APIClient().get(path).status_code for path in ("/api/schema/", "/api/docs/")] == [200, 200]


@pytest.mark.django_db
def test_the_page_of_the_schema_needs_no_other_host(alice: User) -> None:
    browser = APIClient()
    browser.force_login(alice)
    page = browser.get("/api/docs/")
    assert page.status_code == 200
    assert b"https://" not in page.content
    assert b"/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js" in page.content
