"""Tokens as the last release wrote them go on working once they are keys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from exports_app import api_keys, downloads, retention
from exports_app.choices import Status
from exports_app.models import ApiKey, ExportToken
from tests.api_keys.making import client_with
from tests.web_pages import make_job

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "exp_a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90"
STORED = (
    "473005c5ca6e3ab9284698cd9585739c942d9fc6120d5d336d937812e92b5355"
    "d974bff39c5e8d3c9b9892f5bae7cc97979559b3a5f714b4fc66c127395b6328"
)
"""What the last release stored of it."""
INSERT = """
    INSERT INTO exports_app_apitoken (digest, token_key, created, expiry, name, user_id)
    VALUES (%s, %s, %s, %s, %s, %s)
"""


@pytest.fixture(autouse=True)
def no_tokens() -> Iterator[None]:
    """Their table is no model's any more, so nobody empties it after a test."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM exports_app_apitoken")


def insert(user: User, *, digest: str, expiry: datetime | None, name: str = "nightly") -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            INSERT, [digest, SECRET[:15], datetime.fromisoformat("2026-02-26T12:00:00Z"), expiry, name, user.pk]
        )


def tokens() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM exports_app_apitoken")
        return int(cursor.fetchone()[0])


def test_a_token_of_before_goes_on_working_with_all_that_it_could(alice: User) -> None:
    expiry = timezone.now() + timedelta(days=200)
    insert(alice, digest=STORED, expiry=expiry)
    insert(alice, digest="0" * 128, expiry=None, name="")
    retention.prune()
    key = ApiKey.objects.get(digest=STORED)
    assert (key.user, key.name, key.prefix) == (alice, "nightly", "exp_a1b2")
    assert (key.scopes, key.resources) == (["read", "export", "manage"], [])
    assert (key.created_at.isoformat(), key.expires_at) == ("2026-02-26T12:00:00+00:00", expiry)
    assert ApiKey.objects.get(digest="0" * 128).expires_at is None
    assert client_with(SECRET).get("/api/v1/webhooks/").status_code == 200


def test_a_token_that_the_release_before_made_a_moment_ago_works(alice: User) -> None:
    insert(alice, digest=STORED, expiry=None)
    assert client_with(SECRET).get("/api/v1/webhooks/").status_code == 200
    assert client_with(SECRET.replace("a1", "a2")).get("/api/v1/webhooks/").status_code == 401
    assert ApiKey.objects.count() == 1


def test_a_key_that_is_revoked_is_none_for_the_release_before(alice: User) -> None:
    insert(alice, digest=STORED, expiry=None)
    retention.prune()
    api_keys.revoke(alice, ApiKey.objects.get().pk)
    assert tokens() == 0
    assert client_with(SECRET).get("/api/v1/webhooks/").status_code == 401


def test_a_token_that_the_release_before_revokes_is_no_key_any_more(alice: User) -> None:
    insert(alice, digest=STORED, expiry=None)
    retention.prune()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM exports_app_apitoken")
    assert ApiKey.objects.count() == 0


def test_a_user_goes_with_their_tokens(alice: User) -> None:
    insert(alice, digest=STORED, expiry=None)
    alice.delete()
    retention.prune()
    assert tokens() == 0


def test_a_token_that_nobody_has_used_since_ends_with_the_password_too(alice: User) -> None:
    insert(alice, digest=STORED, expiry=None)
    retention.prune()
    alice.set_password("another")
    alice.save()
    refused = client_with(SECRET).get("/api/v1/exports/")
    assert (refused.status_code, refused.json()["detail"]) == (
        401,
        "This API key ended when its user's password was changed.",
    )


def test_an_expired_token_stays_expired(alice: User) -> None:
    insert(alice, digest=STORED, expiry=timezone.now() - timedelta(seconds=1))
    retention.prune()
    assert client_with(SECRET).get("/api/v1/exports/").json()["detail"] == "This API key has expired."


def test_a_link_that_the_release_before_made_works_at_once(alice: User) -> None:
    link = downloads.make_token(make_job(alice, Status.COMPLETED), alice).download_url
    ExportToken.objects.update(password_mark="")
    assert APIClient().get(link).status_code == 302


def test_a_link_that_the_release_before_made_ends_with_the_password(alice: User) -> None:
    link = downloads.make_token(make_job(alice, Status.COMPLETED), alice).download_url
    ExportToken.objects.update(password_mark="")
    retention.prune()
    assert ExportToken.objects.get().password_mark != ""
    alice.set_password("another")
    alice.save()
    assert APIClient().get(link).status_code == 403
