"""Presets: made once, used again, shared, and silent about what somebody may not see."""

from __future__ import annotations

import threading
from typing import Any

import django_filters as df
import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from rest_framework.test import APIClient

from exports_app import presets
from exports_app.models import ExportJob, ExportPreset
from exportsite.samples.filters import TransactionFilter
from tests.test_api_requests import found

PRESETS = "/api/v1/presets/"
EXPORTS = "/api/v1/exports/"
BODY = {
    "name": "Settled in euros",
    "resource": "transactions",
    "columns": ["id", {"name": "amount", "label": "Total"}],
    "filters": {"status": ["SETTLED"], "currency": ["EUR"]},
    "format": "csv",
    "compression": "gzip",
    "options": {"delimiter": ";"},
}


def as_user(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def may_see_cards(user: User) -> User:
    user.user_permissions.add(Permission.objects.get(codename="view_card"))
    return User.objects.get(pk=user.pk)


def make(client: APIClient, **values: Any) -> dict[str, Any]:
    response = client.post(PRESETS, BODY | values)
    assert response.status_code == 201, response.json()
    made: dict[str, Any] = response.json()
    return made


def test_a_preset_comes_back_as_it_was_given(api: APIClient) -> None:
    made = make(api)
    assert made == BODY | {"id": made["id"], "parameters": {}, "sheets": None, "shared_with": [], "owner": "alice"}
    assert api.get(f"{PRESETS}{made['id']}/").json() == made
    assert api.get(PRESETS).json() == {"next": None, "previous": None, "results": [made]}


def test_the_least_that_a_preset_needs_is_a_name_and_a_resource(api: APIClient) -> None:
    made = api.post(PRESETS, {"name": "All", "resource": "customers"}).json()
    assert (made["format"], made["compression"], made["columns"], made["filters"]) == ("csv", None, None, {})


@pytest.mark.parametrize(
    ("change", "status", "code", "where"),
    [
        ({"name": " "}, 400, "invalid", {"name": "This field may not be blank."}),
        ({"resource": "transaction"}, 400, "invalid", {"resource": "Unknown resource transaction. Did you mean"}),
        ({"colums": ["id"]}, 400, "invalid", {"colums": "Unknown field colums. Did you mean columns?"}),
        ({"columns": ["amuont"]}, 400, "invalid", {"columns": "Unknown column amuont. Did you mean amount?"}),
        ({"columns": ["card_number"]}, 400, "invalid", {"columns": "Unknown column card_number. Did you mean account"}),
        (
            {"filters": {"stauts": "x"}},
            400,
            "invalid",
            {"filters.stauts": "Unknown filter stauts. Did you mean status"},
        ),
        ({"format": "cvs"}, 400, "invalid", {"format": "Unknown format cvs. Did you mean csv?"}),
        ({"format": "xlsx"}, 400, "invalid", {"compression": "xlsx compresses by itself."}),
        ({"options": {"delimiter": "x"}}, 400, "invalid", {"options.delimiter": ""}),
        ({"shared_with": ["nobody"]}, 400, "invalid", {"shared_with": "There is no user nobody."}),
        ({"name": "a\0b"}, 400, "invalid", {"name": "The text holds a NUL character"}),
    ],
)
def test_what_no_export_could_be_made_of_is_refused_by_name(
    api: APIClient, change: dict[str, Any], status: int, code: str, where: dict[str, str]
) -> None:
    response = api.post(PRESETS, BODY | change)
    answer = response.json()
    assert (response.status_code, answer["code"]) == (status, code), answer
    for path, beginning in where.items():
        assert found(answer["errors"], path).startswith(beginning), answer
    assert ExportPreset.objects.count() == 0


def test_data_that_somebody_may_not_export_makes_no_preset(charlie: User) -> None:
    response = as_user(charlie).post(PRESETS, BODY)
    assert (response.status_code, response.json()["detail"]) == (
        400,
        "Unknown resource transactions. Valid: test_data.",
    )


def test_a_name_is_given_once_by_each_owner(api: APIClient, bob: User) -> None:
    make(api)
    response = api.post(PRESETS, BODY)
    assert response.status_code == 400
    assert response.json()["errors"] == {"name": ["There is a preset of this name already. Choose another name."]}
    make(as_user(bob))


def test_changed_is_what_the_change_names_and_a_put_resets_the_rest(api: APIClient) -> None:
    made = make(api)
    address = f"{PRESETS}{made['id']}/"
    assert api.patch(address, {"name": "Euros", "compression": None}).json() == made | {
        "name": "Euros",
        "compression": None,
    }
    assert api.put(address, {"name": "Euros", "resource": "customers"}).json() == made | {
        "name": "Euros",
        "resource": "customers",
        "columns": None,
        "filters": {},
        "compression": None,
        "options": {},
    }
    refused = api.patch(address, {"columns": ["card_number"]})
    assert refused.status_code == 400, "customers have no such column"
    assert api.delete(address).status_code == 204
    assert api.get(address).status_code == 404


def test_who_a_preset_is_shared_with_sees_and_uses_it_but_does_not_change_it(
    api: APIClient, bob: User, charlie: User
) -> None:
    made = make(api, shared_with=["bob", "charlie"])
    address = f"{PRESETS}{made['id']}/"
    client = as_user(bob)
    assert client.get(PRESETS).json()["results"] == [made]
    assert client.patch(address, {"name": "Mine"}).json()["code"] == "permission_denied"
    assert client.delete(address).status_code == 403
    assert client.post(EXPORTS, {"preset": made["id"]}).status_code == 202
    stranger = as_user(charlie)  # may not export transactions at all
    assert stranger.get(PRESETS).json()["results"] == []
    assert stranger.get(address).status_code == 404
    assert stranger.post(EXPORTS, {"preset": made["id"]}).json()["errors"] == {"preset": ["There is no such preset."]}


def test_another_persons_preset_is_not_there_for_operators_either(api: APIClient, olga: User) -> None:
    address = f"{PRESETS}{make(api)['id']}/"
    client = as_user(olga)
    assert client.get(PRESETS).json()["results"] == []
    assert client.patch(address, {"name": "Kept"}).status_code == 404
    assert client.delete(address).status_code == 404


def test_an_export_takes_from_its_preset_what_it_does_not_say_itself(api: APIClient) -> None:
    preset = make(api)["id"]
    whole = api.post(EXPORTS, {"preset": preset}).json()
    assert (whole["resource"], whole["format"], whole["compression"]) == ("transactions", "csv", "gzip")
    assert whole["columns"] == [{"name": "id", "label": "ID"}, {"name": "amount", "label": "Total"}]
    assert whole["filters"] == {"status": ["SETTLED"], "currency": ["EUR"]}
    assert whole["options"]["delimiter"] == ";"
    changed = api.post(
        EXPORTS,
        {"preset": preset, "columns": ["booked_at"], "filters": {}, "compression": None, "limit": 5, "options": {}},
    ).json()
    assert changed["resource"] == "transactions"
    assert [column["name"] for column in changed["columns"]] == ["booked_at"]
    assert (changed["filters"], changed["compression"], changed["limit"]) == ({}, None, 5)
    assert changed["options"]["delimiter"] == ","


def test_an_override_that_does_not_fit_the_rest_names_its_field(api: APIClient) -> None:
    response = api.post(EXPORTS, {"preset": make(api)["id"], "format": "xlsx"})
    assert response.status_code == 400
    assert list(response.json()["errors"]) == ["compression"]
    assert ExportJob.objects.count() == 0


def test_a_shared_preset_reveals_no_column_that_its_reader_may_not_see(
    alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TransactionFilter.base_filters, "card_number", df.CharFilter("card_number"))
    owner, reader = as_user(may_see_cards(alice)), as_user(bob)
    made = make(
        owner,
        columns=["id", {"name": "card_number", "label": "Card"}],
        filters={"card_number": "4111", "status": ["SETTLED"]},
        shared_with=["bob"],
    )
    assert made["columns"] == ["id", {"name": "card_number", "label": "Card"}]
    seen = reader.get(f"{PRESETS}{made['id']}/").json()
    assert seen == made | {"columns": ["id"], "filters": {"status": ["SETTLED"]}}
    assert reader.get(PRESETS).json()["results"] == [seen]
    half: list[dict[str, Any]] = [{}, {"columns": ["id"]}, {"filters": {}}]
    for own in half:
        response = reader.post(EXPORTS, {"preset": made["id"]} | own)
        assert (response.status_code, response.json()["code"]) == (403, "column_forbidden")
        assert "card" not in response.content.decode()
    allowed = reader.post(EXPORTS, {"preset": made["id"], "columns": ["id"], "filters": {}})
    assert allowed.status_code == 202
    asked = reader.post(EXPORTS, {"resource": "transactions", "filters": {"card_number": "4111"}})
    assert (asked.status_code, asked.json()["code"]) == (400, "invalid")
    shown = [each["name"] for each in reader.get("/api/v1/resources/transactions/").json()["filters"]]
    assert "card_number" not in shown
    assert "status" in shown


@pytest.mark.django_db(transaction=True)
def test_eight_at_once_do_not_go_past_the_most_that_somebody_may_have(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presets, "MAX_PRESETS", 3)
    answers: list[int] = []
    ready = threading.Barrier(8)

    def post(number: int) -> None:
        ready.wait()
        answers.append(as_user(alice).post(PRESETS, BODY | {"name": f"No. {number}"}).status_code)
        connection.close()

    threads = [threading.Thread(target=post, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 201, 201, 409, 409, 409, 409, 409]
    assert ExportPreset.objects.count() == 3
