"""Bodies made to cost much are refused in few words, and nothing comes of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from exports_app.models import ExportJob, ExportPreset, ExportWebhook
from tests.hostile.bodies import BODIES, FORM, Hostile

pytestmark = pytest.mark.django_db

EXPORTS = "/api/v1/exports/"
MOST_BYTES = 16_384
"""Of an answer that is no whole page."""
MOST_OF_A_PAGE = 90_000


@pytest.fixture
def client(alice: User) -> Client:
    made = Client()
    made.force_login(alice)
    return made


@pytest.fixture
def api(alice: User) -> APIClient:
    made = APIClient()
    made.force_authenticate(alice)
    return made


@pytest.mark.parametrize("hostile", BODIES, ids=lambda each: each.name)
def test_it_is_refused_in_few_words(client: Client, hostile: Hostile) -> None:
    answer = client.post(hostile.path, hostile.body, content_type=hostile.content_type)
    assert answer.status_code == hostile.status
    assert len(answer.content) <= (MOST_OF_A_PAGE if hostile.content_type == FORM else MOST_BYTES)
    assert (ExportJob.objects.count(), ExportPreset.objects.count(), ExportWebhook.objects.count()) == (0, 0, 0)


def refused(api: APIClient, **body: Any) -> dict[str, Any]:
    answer = api.post(EXPORTS, {"resource": "customers", **body}, format="json")
    assert answer.status_code == 400
    found: dict[str, Any] = answer.json()
    return found


def test_twenty_problems_are_named_and_that_there_are_more_is_said(api: APIClient) -> None:
    body = refused(api, filters={f"country_{number}": 1 for number in range(21)})
    assert len(body["errors"]["filters"]) == 20
    body = refused(api, **{f"field_{number}": 1 for number in range(21)}, columns=[1] * 30)
    assert body["detail"] == "The request is not valid. Only the first 20 problems are named."
    named = body["errors"]
    assert len(named) + len(named.get("columns", ())) - ("columns" in named) == 20
    assert "Only the first" not in refused(api, columns=["a", "b"])["detail"]


def test_a_long_name_is_cut_in_what_is_said_of_it(api: APIClient) -> None:
    body = refused(api, columns=["ä" * 5_000])
    assert body["errors"]["columns"][0].startswith(f"Unknown column {'ä' * 50}…. Valid: id, ")
    body = refused(api, **{"ä" * 5_000: 1})
    assert list(body["errors"]) == [f"{'ä' * 50}…"]


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"columns": ["id"] * 1_001}, "columns", "Give 1,000 at most; these are 1,001."),
        ({"ids": [1] * 10_001}, "ids", "Give 10,000 at most; these are 10,001."),
        ({"sheets": ["x"] * 101}, "sheets", "Give 100 at most; these are 101."),
        ({"shared_with": ["x"] * 51}, "shared_with", "Give 50 at most; these are 51."),
        ({"filters": {str(n): 1 for n in range(1_001)}}, "filters", "Give 1,000 names at most; these are 1,001."),
        ({"options": {str(n): 1 for n in range(1_001)}}, "options", "Give 1,000 names at most; these are 1,001."),
        ({"parameters": {"a": "x" * 65_529}}, "parameters", "These are 65,537 bytes as JSON; 65,536 are allowed."),
        ({"compression": "x" * 11}, "compression", "Ensure this field has no more than 10 characters."),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 20 else "",
)
def test_each_field_has_its_bound(api: APIClient, body: dict[str, Any], field: str, message: str) -> None:
    assert refused(api, **body)["errors"] == {field: [message]}


def test_a_filter_takes_ten_thousand_values_and_each_once(api: APIClient) -> None:
    too_many = [f"X{number}" for number in range(10_001)]
    message = "Give 10,000 values at most; these are 10,001."
    assert refused(api, filters={"country_code": too_many})["errors"]["filters"] == {"country_code": [message]}
    answer = api.post(EXPORTS, {"resource": "customers", "filters": {"country_code": ["DE"] * 10_000}}, format="json")
    assert answer.status_code == 202


def test_ten_thousand_values_are_looked_up_by_one_query(
    api: APIClient, alice: User, django_assert_max_num_queries: Any
) -> None:
    body = {"resource": "transactions", "filters": {"account": [f"none-{number}" for number in range(10_000)]}}
    with django_assert_max_num_queries(12):
        answer = api.post(EXPORTS, body, format="json")
    assert answer.status_code == 400
    (message,) = answer.json()["errors"]["filters"]["account"]
    assert message.startswith("Select a valid choice. none-")


def test_a_body_of_fifty_thousand_lists_is_read_and_one_more_is_not(api: APIClient) -> None:
    def ask(count: int) -> tuple[int, str]:
        body = json.dumps({"ids": [[]] * (count - 2)})
        answer = api.post(EXPORTS, body, content_type="application/json")
        return answer.status_code, answer.json().get("detail", "")

    assert ask(50_000) == (400, "The request is not valid.")
    assert ask(50_001) == (400, "The body has more than 50,000 lists and objects.")


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "x\\uDFFFx", "\\\\\\u0000"])
def test_texts_that_no_database_stores_are_refused_by_the_name_of_their_field(api: APIClient, text: str) -> None:
    answer = api.post(EXPORTS, f'{{"resource": "customers", "format": "{text}"}}', content_type="application/json")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["format"]
    assert "NUL character or half a surrogate pair" in answer.json()["errors"]["format"][0]


@pytest.mark.parametrize("text", ["\\ud83d\\ude00", "\\\\u0000"])
def test_whole_pairs_and_what_only_looks_like_an_escape_are_texts(api: APIClient, text: str) -> None:
    body = f'{{"resource": "customers", "columns": [{{"name": "id", "label": "{text}"}}]}}'
    assert api.post(EXPORTS, body, content_type="application/json").status_code == 202


def test_a_value_of_the_form_is_shown_again_unless_it_is_beyond_reason(client: Client) -> None:
    path = "/exports/new/customers/"
    fitting = client.post(path, {"format": "csv", "limit": "x" * 65_536})
    assert (fitting.status_code, fitting.content.count(b"x" * 65_536)) == (400, 1)
    beyond = client.post(path, {"format": "csv", "limit": "x" * 65_537})
    assert beyond.status_code == 400
    assert b"A value of limit has more than 65,536 characters." in beyond.content
    assert len(beyond.content) < MOST_BYTES
