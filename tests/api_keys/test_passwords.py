"""A change of password ends keys and one-time links, however it is made; storing the same one anew does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from exports_app import downloads
from exports_app.choices import Status
from exports_app.models import ApiKey, ExportToken
from tests.api_keys.making import client_of
from tests.conftest import make_user
from tests.web_pages import make_job

EXPORTS = "/api/v1/exports/"
ENDED = (401, "This API key ended when its user's password was changed.")
OTHER_HASHERS = [
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.MD5PasswordHasher",
]


def answer(client: APIClient) -> tuple[int, str]:
    found = client.get(EXPORTS)
    return found.status_code, found.json().get("detail", "")


def by_set_password(user: User) -> None:
    user.set_password("another")
    user.save()


def by_set_password_alone(user: User) -> None:
    user.set_password("another")
    user.save(update_fields=["password"])


def by_attribute(user: User) -> None:
    user.password = make_password("another")
    user.save(update_fields=["password"])


def by_queryset(user: User) -> None:
    User.objects.filter(pk=user.pk).update(password=make_password("another"))


def by_unusable_password(user: User) -> None:
    user.set_unusable_password()
    user.save(update_fields=["password"])


def by_admin(user: User) -> None:
    admin = Client()
    admin.force_login(make_user("root", is_staff=True, is_superuser=True))
    data = {"usable_password": "true", "password1": "quite-another-1", "password2": "quite-another-1"}
    assert admin.post(f"/admin/auth/user/{user.pk}/password/", data).status_code == 302


WAYS = [by_set_password, by_set_password_alone, by_attribute, by_queryset, by_unusable_password, by_admin]


@pytest.mark.parametrize("change", WAYS, ids=lambda way: way.__name__)
def test_every_way_of_changing_it_ends_keys_and_links(alice: User, bob: User, change: Callable[[User], None]) -> None:
    client, others = client_of(alice), client_of(bob)
    job = make_job(alice, Status.COMPLETED)
    link = downloads.make_token(job, alice).download_url
    assert answer(client) == (200, "")
    assert APIClient().head(link).status_code == 200
    change(User.objects.get(pk=alice.pk))
    assert answer(client) == ENDED
    refused = APIClient().get(link)
    assert (refused.status_code, refused.json()["detail"]) == (403, "This link was withdrawn. Ask for a new one.")
    assert answer(others) == (200, "")


@pytest.mark.parametrize("change", WAYS, ids=lambda way: way.__name__)
def test_so_does_a_change_of_one_that_would_have_been_stored_anew(
    alice: User, settings: Any, change: Callable[[User], None]
) -> None:
    client = client_of(alice)
    settings.PASSWORD_HASHERS = OTHER_HASHERS
    change(User.objects.get(pk=alice.pk))
    assert answer(client) == ENDED


def test_storing_the_same_password_by_another_hasher_ends_nothing(
    alice: User, bob: User, client: Client, settings: Any
) -> None:
    program, others = client_of(alice), client_of(bob)
    link = downloads.make_token(make_job(alice, Status.COMPLETED), alice).download_url
    before = User.objects.get(pk=alice.pk).password
    settings.PASSWORD_HASHERS = OTHER_HASHERS
    assert client.post("/login/", {"username": "alice", "password": "alice"}).status_code == 302
    assert User.objects.get(pk=alice.pk).password != before
    assert answer(program) == (200, "")
    assert APIClient().get(link).status_code == 302
    assert answer(others) == (200, "")


def test_what_had_ended_does_not_come_back_with_another_hasher(alice: User, settings: Any) -> None:
    program = client_of(alice)
    by_queryset(alice)
    settings.PASSWORD_HASHERS = OTHER_HASHERS
    assert authenticate(username="alice", password="another") is not None
    assert answer(program) == ENDED


def test_a_new_secret_key_ends_them_unless_the_old_one_is_a_fallback(alice: User, settings: Any) -> None:
    program = client_of(alice)
    old = settings.SECRET_KEY
    settings.SECRET_KEY = "n" * 50
    assert answer(program) == ENDED
    settings.SECRET_KEY_FALLBACKS = [old]
    assert answer(program) == (200, "")
    settings.SECRET_KEY_FALLBACKS = []
    assert answer(program) == (200, "")  # its use has made it one of the new key


def test_what_is_stored_does_not_open_a_session(alice: User) -> None:
    client_of(alice)
    downloads.make_token(make_job(alice, Status.COMPLETED), alice)
    marks = {ApiKey.objects.get().password_mark, ExportToken.objects.get().password_mark}
    assert len(marks) == 1
    assert alice.get_session_auth_hash() not in marks
