"""The page of keys: made after a fresh proof of identity, shown once, revoked. Nothing here needs JavaScript."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from exports_app import proof
from exports_app.models import ApiKey
from tests.api_keys.making import client_with, make_key
from tests.web_pages import controls, text

KEYS = "/exports/keys/"
ASKED = {"name": "nightly", "scopes": ["read", "export"], "days": "30", "password": "alice"}


def secret_in(page: Any) -> str:
    found = re.search(r'value="(exk_\w+)"', page.content.decode())
    assert found
    return found[1]


def values_in(page: Any, name: str) -> list[str]:
    """Of the boxes of this name that are ticked."""
    body = page.content.decode()
    return re.findall(rf'type="checkbox" name="{name}" value="(\w+)" checked', body)


def problem_in(page: Any) -> str:
    found = re.search(r'data-testid="key-problem">([^<]*)<', page.content.decode())
    assert found
    return found[1].replace("&#x27;", "'")


@pytest.fixture
def sso(client: Client, alice: User) -> Client:
    """Alice, who has no password here, signed in just now."""
    alice.set_unusable_password()
    alice.save()
    client.force_login(alice)
    return client


def grow_old(client: Client, seconds: int) -> None:
    """As if the session had been signed in to so long ago."""
    session = client.session
    session[proof._SIGNED_IN_AT] = int(time.time()) - seconds
    session.save()


def test_the_form_offers_what_most_keys_are(browser: Client) -> None:
    page = browser.get(KEYS)
    assert values_in(page, "scopes") == ["read", "export"]
    assert values_in(page, "resources") == []
    assert 'min="1" max="365" value="90"' in page.content.decode()
    assert "sign-in-again" not in controls(page)
    assert re.findall(r'name="resources" value="(\w+)"', page.content.decode()) == [
        "customers", "daily_pnl", "goals", "prop_evaluation", "tag_performance", "tags", "test_data", "trades",
        "transactions",
    ]  # fmt: skip


def test_a_key_is_made_as_asked_and_shown_once(browser: Client, alice: User) -> None:
    page = browser.post(KEYS, {**ASKED, "resources": ["tags", "trades"]})
    assert page.status_code == 200
    assert "no-store" in page["Cache-Control"]
    secret = secret_in(page)
    key = ApiKey.objects.get()
    assert (key.user, key.name, key.scopes, key.resources) == (alice, "nightly", ["read", "export"], ["tags", "trades"])
    assert key.expires_at is not None
    assert (key.expires_at - timezone.now()).days == 29
    listed = browser.get(KEYS)
    assert secret not in listed.content.decode()
    today = timezone.now().date()
    assert f"nightly {secret[:8]}… read, export · Tags, Trades Made {today}" in text(listed)
    assert "not used yet" in text(listed)
    client_with(secret).get("/api/v1/resources/", REMOTE_ADDR="203.0.113.9")
    assert re.search(rf"last used {today} \d\d:\d\d from 203.0.113.9", text(browser.get(KEYS)))


@pytest.mark.parametrize("password", ["", "wrong", "bob"])
def test_without_the_right_password_there_is_no_key(browser: Client, bob: User, password: str) -> None:
    page = browser.post(KEYS, {**ASKED, "scopes": ["manage"], "resources": ["tags"], "password": password})
    assert page.status_code == 403
    assert problem_in(page) == "The password was not accepted. Check it; after several wrong ones, wait a while first."
    assert not ApiKey.objects.exists()
    body = page.content.decode()
    assert 'value="nightly"' in body  # all but the password stands in the form again
    assert (values_in(page, "scopes"), values_in(page, "resources")) == (["manage"], ["tags"])
    assert 'max="365" value="30"' in body
    assert 'type="password" autocomplete="current-password" required' in body


def test_wrong_passwords_are_slowed_down_as_at_signing_in(browser: Client) -> None:
    answers = [browser.post(KEYS, {**ASKED, "password": "wrong"}).status_code for _ in range(6)]
    assert answers[0] == 403
    assert answers[-1] == 429
    page = browser.post(KEYS, ASKED)
    assert (page.status_code, int(page["Retry-After"]) > 0) == (429, True)
    assert not ApiKey.objects.exists()


def test_a_password_is_checked_by_the_backends_of_the_project_whatever_they_are(
    client: Client, alice: User, settings: Any
) -> None:
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
    client.force_login(alice)
    assert client.post(KEYS, {**ASKED, "password": "wrong"}).status_code == 403
    assert client.post(KEYS, ASKED).status_code == 200


def test_who_has_no_password_here_needs_a_fresh_sign_in(sso: Client) -> None:
    assert "key-password" not in controls(sso.get(KEYS))
    assert sso.post(KEYS, {**ASKED, "password": ""}).status_code == 200
    grow_old(sso, 599)
    assert sso.post(KEYS, ASKED).status_code == 200
    grow_old(sso, 601)
    page = sso.get(KEYS)
    assert "A new key needs a sign-in of the last ten minutes." in text(page)
    assert "key-create" not in controls(page)
    refused = sso.post(KEYS, ASKED)
    assert refused.status_code == 403
    assert problem_in(refused) == "Your sign-in is more than ten minutes old. Sign in again, then make the key."
    assert ApiKey.objects.count() == 2


def test_signing_in_again_goes_by_the_projects_own_page_and_comes_back(sso: Client, alice: User, settings: Any) -> None:
    grow_old(sso, 601)
    settings.LOGIN_URL = "https://sso.example.com/start"
    answer = sso.post("/exports/keys/sign-in/")
    assert answer["Location"].startswith("https://sso.example.com/start?next=")
    assert answer["Location"].endswith("/exports/keys/")
    settings.LOGIN_URL = "login"
    assert sso.get(KEYS)["Location"] == "/login/?next=/exports/keys/"  # the session has ended
    sso.force_login(alice)
    assert "key-create" in controls(sso.get(KEYS))


def test_a_sign_in_elsewhere_does_not_refresh_this_session(sso: Client, alice: User) -> None:
    grow_old(sso, 601)
    Client().force_login(alice)
    assert sso.post(KEYS, ASKED).status_code == 403


def test_a_session_that_does_not_say_when_it_began_is_not_fresh(sso: Client) -> None:
    session = sso.session
    del session[proof._SIGNED_IN_AT]
    session.save()
    assert sso.post(KEYS, ASKED).status_code == 403


@pytest.mark.parametrize(
    ("values", "status", "problem"),
    [
        ({"name": ""}, 400, "Give the key a name, so that you know later what it is for."),
        ({"scopes": []}, 400, "Choose what the key may do: read, export, manage."),
        ({"scopes": ["all"]}, 400, "Unknown scope all. Valid: read, export, manage."),
        ({"resources": ["accounts"]}, 400, "Unknown resource accounts. Valid: customers, daily_pnl"),
        ({"days": "366"}, 400, "A key lives 1 to 365 days."),
        ({"days": "soon"}, 400, "Give a number of days."),
        ({"days": "-1"}, 400, "Give a number of days."),
        ({"days": "9" * 30}, 400, "Give a number of days."),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_costs_no_password(
    browser: Client, values: dict[str, Any], status: int, problem: str
) -> None:
    page = browser.post(KEYS, {**ASKED, "password": "wrong", **values})
    assert page.status_code == status
    assert problem_in(page).startswith(problem)
    assert not ApiKey.objects.exists()


def test_the_twenty_first_key_is_refused(browser: Client, alice: User) -> None:
    for _ in range(20):
        make_key(alice)
    page = browser.post(KEYS, ASKED)
    assert (page.status_code, problem_in(page)) == (
        409,
        "You have 20 keys. Revoke one that is not used any more.",
    )


def test_a_key_that_has_ended_says_why(browser: Client, alice: User) -> None:
    make_key(alice, name="old")
    ApiKey.objects.update(expires_at=timezone.now())
    assert "expired" in text(browser.get(KEYS))
    ApiKey.objects.update(expires_at=None)
    alice.set_password("another")
    alice.save()
    browser.force_login(alice)
    assert "ended with your former password" in text(browser.get(KEYS))


def test_a_password_that_is_stored_anew_while_it_is_checked_ends_no_key(
    browser: Client, alice: User, settings: Any
) -> None:
    before = make_key(alice)
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    secret = secret_in(browser.post(KEYS, ASKED))
    for each in (secret, before):
        assert client_with(each).get("/api/v1/exports/").status_code == 200


def test_making_a_key_needs_the_token_of_the_form(alice: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    assert strict.post(KEYS, ASKED).status_code == 403
    assert not ApiKey.objects.exists()


def test_the_page_asks_the_database_no_more_often_for_many_keys(
    browser: Client, alice: User, django_assert_num_queries: Any
) -> None:
    for _ in range(10):
        make_key(alice)
    with django_assert_num_queries(5):  # session, user, keys with user, permissions: own and by group
        assert controls(browser.get(KEYS)).count("key") == 10
