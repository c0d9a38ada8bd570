"""``webhooks/``: what may be asked for, what is shown, and to whom."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from exports_app import webhooks
from exports_app.models import ExportNotification, ExportWebhook
from tests.test_api_requests import found

WEBHOOKS = "/api/v1/webhooks/"
URL = "https://hooks.example/exports?team=7"
ALL = ["export.completed", "export.failed", "export.cancelled", "export.expired"]


def make(client: APIClient, **values: Any) -> dict[str, Any]:
    response = client.post(WEBHOOKS, {"url": URL} | values)
    assert response.status_code == 201, response.json()
    made: dict[str, Any] = response.json()
    return made


def test_the_secret_is_shown_once(api: APIClient) -> None:
    made = make(api)
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert made == {
        "id": made["id"],
        "url": URL,
        "events": ALL,
        "active": True,
        "note": "",
        "former_secret_until": None,
        "created_at": made["created_at"],
    }
    assert api.get(f"{WEBHOOKS}{made['id']}/").json() == made
    assert api.get(WEBHOOKS).json() == {"next": None, "previous": None, "results": [made]}
    assert make(api)["secret"] != secret


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, {"url": "This field is required."}),
        ({"url": "hooks.example"}, {"url": "Enter a valid URL."}),
        ({"url": "ftp://hooks.example/"}, {"url": "Give an address that begins with https://."}),
        ({"url": "http://hooks.example/"}, {"url": "Give an address that begins with https://."}),
        ({"url": "https://me:secret@hooks.example/"}, {"url": "Leave user name and password out"}),
        ({"url": "https://hooks.example/#here"}, {"url": "Leave out what stands behind #"}),
        ({"url": "https://localhost/"}, {"url": "Give an address on the internet, not a private one."}),
        ({"url": "https://127.0.0.1/"}, {"url": "Give an address on the internet, not a private one."}),
        ({"url": "https://169.254.169.254/latest/"}, {"url": "Give an address on the internet, not a private one."}),
        ({"url": "https://[::1]/"}, {"url": "Give an address on the internet, not a private one."}),
        ({"url": "https://[::ffff:10.0.0.1]/"}, {"url": "Give an address on the internet, not a private one."}),
        ({"url": "https://hooks.example:99999/"}, {"url": "Enter a valid URL: no host has such a name, or no port"}),
        ({"url": "https://hooks.example:0/"}, {"url": "Enter a valid URL: port 0 leads nowhere."}),
        ({"url": URL, "events": []}, {"events": "This list may not be empty."}),
        ({"url": URL, "events": ["export.started"]}, {"events": '"export.started" is not a valid choice.'}),
        ({"url": URL, "events": "export.failed"}, {"events": "Expected a list of items"}),
        ({"url": URL, "secret": "mine"}, {"secret": "Unknown field secret."}),
    ],
)
def test_what_could_never_be_sent_to_is_refused_by_name(
    api: APIClient, body: dict[str, Any], where: dict[str, str]
) -> None:
    response = api.post(WEBHOOKS, body)
    assert response.status_code == 400
    for path, beginning in where.items():
        assert found(response.json()["errors"], path).startswith(beginning), response.json()
    assert ExportWebhook.objects.count() == 0


def test_a_change_names_what_it_changes_and_a_put_resets_the_rest(api: APIClient) -> None:
    address = f"{WEBHOOKS}{make(api, events=['export.failed'])['id']}/"
    assert api.patch(address, {"active": False}).json()["events"] == ["export.failed"]
    assert api.get(address).json()["active"] is False
    changed = api.put(address, {"url": "https://other.example/"}).json()
    assert (changed["url"], changed["events"], changed["active"]) == ("https://other.example/", ALL, True)
    assert api.put(address, {"active": True}).json()["errors"] == {"url": ["This field is required."]}
    assert api.patch(address, {"url": "https://10.0.0.1/"}).status_code == 400
    assert api.delete(address).status_code == 204
    assert api.get(address).status_code == 404


def test_one_that_is_switched_on_again_begins_afresh(api: APIClient) -> None:
    made = make(api)
    ExportWebhook.objects.update(active=False, failures=10, note="Switched off: the address answered 410 Gone.")
    seen = api.get(f"{WEBHOOKS}{made['id']}/").json()
    assert (seen["active"], seen["note"]) == (False, "Switched off: the address answered 410 Gone.")
    seen = api.patch(f"{WEBHOOKS}{made['id']}/", {"active": True}).json()
    assert (seen["active"], seen["note"], ExportWebhook.objects.get().failures) == (True, "", 0)


def test_another_users_webhook_does_not_exist(api: APIClient, bob: User) -> None:
    made = make(api)
    client = APIClient()
    bob.is_staff = True  # not even for staff: what is sent there is the owner's alone
    client.force_authenticate(bob)
    assert client.get(WEBHOOKS).json()["results"] == []
    for call in ("get ", "put ", "patch ", "delete ", "post test/", "post rotate/", "get deliveries/"):
        method, path = call.split(" ")
        response = getattr(client, method)(f"{WEBHOOKS}{made['id']}/{path}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found"), (method, path)


def test_nobody_has_more_webhooks_than_allowed(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "MAX_WEBHOOKS", 2)
    make(api)
    make(api)
    response = api.post(WEBHOOKS, {"url": URL})
    assert (response.status_code, response.json()) == (
        409,
        {"code": "conflict", "detail": "You have 2 webhooks. Delete one of them first."},
    )


def test_a_test_is_a_delivery_that_can_be_watched(api: APIClient) -> None:
    made = make(api)
    response = api.post(f"{WEBHOOKS}{made['id']}/test/")
    assert response.status_code == 202
    delivery = response.json()
    assert delivery == {
        "id": delivery["id"],
        "event": "webhook.test",
        "export": None,
        "status": "pending",
        "attempts": 0,
        "next_attempt_at": delivery["next_attempt_at"],
        "response_status": None,
        "error": None,
        "created_at": delivery["created_at"],
        "sent_at": None,
    }
    ExportNotification.objects.update(
        status="failed", attempts=1, response_status=500, error="The address answered 500."
    )
    assert api.get(f"{WEBHOOKS}{made['id']}/deliveries/").json()["results"] == [
        delivery
        | {
            "status": "failed",
            "attempts": 1,
            "next_attempt_at": None,
            "response_status": 500,
            "error": "The address answered 500.",
        }
    ]


def test_an_eleventh_test_within_a_minute_waits(api: APIClient) -> None:
    address = f"{WEBHOOKS}{make(api)['id']}/test/"
    assert [api.post(address).status_code for _ in range(11)] == [202] * 10 + [429]
    assert api.post(address)["Retry-After"] == "60"


def test_deliveries_come_in_pages(api: APIClient) -> None:
    made = make(api)
    for _ in range(3):
        api.post(f"{WEBHOOKS}{made['id']}/test/")
    page = api.get(f"{WEBHOOKS}{made['id']}/deliveries/?page_size=2").json()
    assert len(page["results"]) == 2
    assert len(api.get(page["next"]).json()["results"]) == 1
    assert api.get(f"{WEBHOOKS}{made['id']}/deliveries/?stauts=sent").status_code == 400
