"""Who is asking."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from structlog.contextvars import bind_contextvars

from exports_app import api_keys, errors, keys, services
from exports_app.api import scopes

PREFIXES = (b"bearer", b"token")


class BearerAuthentication(BaseAuthentication):
    """``Authorization: Bearer <key>``, and ``Token <key>`` as older clients send it.

    What the key may is asked here, for every view that lets keys in, whatever permissions of its own it has.
    ``request.auth`` is the key's ``Permit``.
    """

    def authenticate(self, request: Request) -> Any:
        words = get_authorization_header(request).split()
        if len(words) != 2 or words[0].lower() not in PREFIXES:
            return None
        try:
            key = api_keys.look_up(words[1].decode("ascii"))
        except UnicodeDecodeError:
            raise AuthenticationFailed("Invalid token.") from None
        except api_keys.Refused as refused:
            raise AuthenticationFailed(str(refused)) from None
        permit = api_keys.permit(key)
        keys.bind(key.user, permit)
        bind_contextvars(user_id=key.user.pk, **permit.named())  # for the log: who asks was not known before
        api_keys.note_use(key, str(request.META.get("REMOTE_ADDR", "")))
        try:
            scopes.require(permit, request)
        except errors.PermissionDenied:
            request.user, request.auth = AnonymousUser(), None  # the refusal is shown without asking anew
            raise
        return key.user, permit

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class ExportsEnabled(BasePermission):
    """Everything answers 503 with the reason while exports are switched off. Raises ``errors.Disabled``."""

    def has_permission(self, request: Request, view: Any) -> bool:
        services.require_enabled()
        return True
