"""Who is asking."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from knox.auth import TokenAuthentication
from rest_framework.authentication import get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from structlog.contextvars import bind_contextvars

from exports_app import services

PREFIXES = (b"bearer", b"token")


class BearerAuthentication(TokenAuthentication):  # type: ignore[misc]  # knox ships no types
    """``Authorization: Bearer <token>``, and ``Token <token>`` as older clients send it."""

    def authenticate(self, request: Request) -> Any:
        words = get_authorization_header(request).split()
        if len(words) != 2 or words[0].lower() not in PREFIXES:
            return None
        if not words[1].isascii():  # knox would fail on it
            raise AuthenticationFailed("Invalid token.")
        user, token = self.authenticate_credentials(words[1])
        bind_contextvars(user_id=user.pk)  # for the log: who asks was not known before
        return user, token

    def _cleanup_token(self, auth_token: Any) -> bool:
        """Whether it has expired. knox would read all of the user's tokens at every call; the upkeep removes them."""
        return auth_token.expiry is not None and auth_token.expiry < timezone.now()

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class ExportsEnabled(BasePermission):
    """Everything answers 503 with the reason while exports are switched off. Raises ``errors.Disabled``."""

    def has_permission(self, request: Request, view: Any) -> bool:
        services.require_enabled()
        return True
