"""Keys in the hands of a test."""

from __future__ import annotations

from typing import Any

from rest_framework.test import APIClient

from exports_app import api_keys, keys


def make_key(user: Any, *scopes: str, **values: Any) -> str:
    """The secret of a new key; without scopes it has all of them."""
    return api_keys.create(user, name=values.pop("name", "a key"), scopes=scopes or keys.SCOPES, **values)[1]


def bearer(user: Any, *scopes: str, **values: Any) -> dict[str, str]:
    """The header that a program of theirs sends."""
    return {"Authorization": f"Bearer {make_key(user, *scopes, **values)}"}


def client_of(user: Any, *scopes: str, **values: Any) -> APIClient:
    """The API as a program of theirs uses it."""
    return client_with(make_key(user, *scopes, **values))


def client_with(secret: str) -> APIClient:
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {secret}")
