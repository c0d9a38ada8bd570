"""What a call by key costs, how keys are known, and when one no longer opens anything."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from exports_app import api_keys, errors, logs, retention
from exports_app.models import ApiKey
from tests.api_keys.making import client_of, client_with, make_key
from tests.costs import queries
from tests.jobs import make_job

EXPORTS = "/api/v1/exports/"
PATIENCE = 20.0


def refusal(client: APIClient) -> tuple[int, str]:
    answer = client.get(EXPORTS)
    return answer.status_code, answer.json()["detail"]


@pytest.mark.parametrize(("path", "most"), [("status/", 4), ("", 5)])
def test_a_look_at_an_export_takes_one_query_for_the_key_and_no_more_for_others(
    alice: User, bob: User, path: str, most: int
) -> None:
    client = client_of(alice)
    for _ in range(10):
        make_key(alice)
    job = make_job(alice, status="cancelled")
    job.shared_with.add(bob)
    client.get(EXPORTS)  # notes the use, once a minute
    with queries() as asked:  # key with user, export; permissions of the user and of groups, whom it is shared with
        assert client.get(f"{EXPORTS}{job.pk}/{path}").status_code == 200
    assert len(asked) == most


# How it is known


def test_a_secret_is_known_by_its_beginning_and_checks_itself(alice: User) -> None:
    key, secret = api_keys.create(alice, name="x", scopes=["read"])
    assert re.fullmatch(r"exk_[0-9A-Za-z]{49}", secret)
    assert key.prefix == secret[:8]
    assert len({make_key(alice) for _ in range(5)}) == 5


def test_a_mistyped_secret_is_refused_without_asking_the_database(
    alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    secret = make_key(alice)
    with django_assert_num_queries(0):
        for place in (4, 20, 52):
            other = "a" if secret[place] != "a" else "b"
            mistyped = secret[:place] + other + secret[place + 1 :]
            assert refusal(client_with(mistyped)) == (401, "Invalid token.")
        for text in ("exk_", secret[:-1], secret + "0", "x" * 5_000):
            assert refusal(client_with(text)) == (401, "Invalid token.")


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["\xff", "nothing", "exp_" + "0" * 64])
def test_what_is_no_key_opens_nothing(text: str) -> None:
    refused = client_with(text).get(EXPORTS)
    assert (refused.status_code, refused.json()) == (401, {"code": "not_authenticated", "detail": "Invalid token."})
    assert refused["WWW-Authenticate"] == "Bearer"


def test_logs_hide_a_secret_that_strays_into_them(alice: User) -> None:
    secret = make_key(alice)
    shown = logs.hide_secrets(None, "", {"event": f"The key {secret} was sent."})
    assert shown == {"event": "The key exk_*** was sent."}


# Its end


def test_a_key_lives_ninety_days_or_as_long_as_was_said(alice: User, settings: Any) -> None:
    def days(key: ApiKey) -> int:
        assert key.expires_at is not None
        return round((key.expires_at - timezone.now()) / timedelta(days=1))

    assert days(api_keys.create(alice, name="x", scopes=["read"])[0]) == 90
    assert days(api_keys.create(alice, name="x", scopes=["read"], days=365)[0]) == 365
    settings.EXPORTS_KEY_DAYS = 30
    assert days(api_keys.create(alice, name="x", scopes=["read"])[0]) == 30
    with pytest.raises(errors.Invalid, match="A key lives 1 to 30 days"):
        api_keys.create(alice, name="x", scopes=["read"], days=31)


def test_an_expired_key_opens_nothing_says_so_and_is_removed_a_month_later(alice: User) -> None:
    client, other = client_of(alice), client_of(alice)
    first = ApiKey.objects.order_by("created_at").values("pk")[:1]
    ApiKey.objects.filter(pk__in=first).update(expires_at=timezone.now())
    assert refusal(client) == (401, "This API key has expired.")
    assert other.get(EXPORTS).status_code == 200
    retention.prune()
    assert ApiKey.objects.count() == 2
    ApiKey.objects.filter(pk__in=first).update(expires_at=timezone.now() - timedelta(days=31))
    retention.prune()
    assert ApiKey.objects.count() == 1
    assert refusal(client) == (401, "Invalid token.")


def test_the_keys_of_a_user_who_is_switched_off_do_nothing(alice: User) -> None:
    client = client_of(alice)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert refusal(client) == (401, "Invalid token.")
    User.objects.filter(pk=alice.pk).update(is_active=True)
    assert client.get(EXPORTS).status_code == 200


def test_a_revoked_key_opens_nothing(alice: User, bob: User) -> None:
    client = client_of(alice)
    key = ApiKey.objects.get()
    with pytest.raises(errors.NotFound):
        api_keys.revoke(bob, key.pk)
    assert client.get(EXPORTS).status_code == 200
    api_keys.revoke(alice, key.pk)
    assert refusal(client) == (401, "Invalid token.")


def test_one_user_has_twenty_keys_at_once(alice: User, bob: User) -> None:
    for _ in range(20):
        make_key(alice)
    with pytest.raises(errors.Conflict, match="You have 20 keys"):
        make_key(alice)
    make_key(bob)
    ApiKey.objects.filter(pk=ApiKey.objects.filter(user=alice)[0].pk).update(expires_at=timezone.now())
    make_key(alice)


@pytest.mark.parametrize(
    ("values", "field", "sentence"),
    [
        ({"name": ""}, "name", "Give the key a name, so that you know later what it is for."),
        ({"name": "x" * 101}, "name", "A name has 100 characters at most; this one has 101."),
        ({"scopes": []}, "scopes", "Choose what the key may do: read, export, manage."),
        ({"scopes": ["raed"]}, "scopes", "Unknown scope raed. Did you mean read?"),
        ({"resources": ["tgas"]}, "resources", "Unknown resource tgas. Did you mean tags?"),
        ({"resources": ["accounts"]}, "resources", "Unknown resource accounts."),  # which Alice may not export
        ({"days": 0}, "days", "A key lives 1 to 365 days."),
        ({"days": 366}, "days", "A key lives 1 to 365 days."),
    ],
)
def test_what_no_key_can_be_is_refused_by_name(alice: User, values: dict[str, Any], field: str, sentence: str) -> None:
    with pytest.raises(errors.Invalid) as refused:
        api_keys.create(alice, **{"name": "x", "scopes": ["read"], "days": 1, **values})
    assert refused.value.errors is not None
    assert list(refused.value.errors) == [field]
    assert refused.value.errors[field][0].startswith(sentence)
    assert not ApiKey.objects.exists()


# Its use


def test_when_and_from_where_it_was_used_is_noted_once_a_minute(
    alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = client_of(alice)

    def used() -> tuple[Any, str]:
        return ApiKey.objects.values_list("last_used_at", "last_used_from").get()

    assert used() == (None, "")
    client.get(EXPORTS, REMOTE_ADDR="203.0.113.9")
    at, address = used()
    assert timezone.now() - at < timedelta(seconds=30)
    assert address == "203.0.113.9"
    client.get(EXPORTS, REMOTE_ADDR="203.0.113.10")
    assert used() == (at, "203.0.113.9")
    long_ago = at - timedelta(seconds=61)
    ApiKey.objects.update(last_used_at=long_ago)
    client.get(EXPORTS, REMOTE_ADDR="2001:db8::1")
    assert used()[1] == "2001:db8::1"
    assert used()[0] > long_ago


def test_from_where_it_was_used_is_forgotten_with_the_addresses_of_downloads(alice: User) -> None:
    key, _ = api_keys.create(alice, name="x", scopes=["read"], days=200)
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(days=29), last_used_from="203.0.113.9")
    retention.prune()
    assert ApiKey.objects.get(pk=key.pk).last_used_from == "203.0.113.9"
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(days=31))
    retention.prune()
    assert ApiKey.objects.get(pk=key.pk).last_used_from == ""
    assert ApiKey.objects.get(pk=key.pk).last_used_at is not None


@pytest.mark.django_db(transaction=True)
def test_noting_it_waits_for_nobody(alice: User) -> None:
    client = client_of(alice)
    held, done = Event(), Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                ApiKey.objects.select_for_update(no_key=True).get()
                held.set()
                assert done.wait(PATIENCE)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        try:
            assert held.wait(PATIENCE)
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '1s'")
            assert client.get(EXPORTS).status_code == 200
        finally:
            done.set()
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")
        holding.result(PATIENCE)
    assert ApiKey.objects.get().last_used_at is None
    assert client.get(EXPORTS).status_code == 200
    assert ApiKey.objects.get().last_used_at is not None
