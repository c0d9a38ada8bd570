"""That somebody is who they are, freshly: asked before a new API key is handed out."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate
from django.http import HttpRequest

from exports_app import clock

FRESH_SECONDS = 600
_SIGNED_IN_AT = "exports_signed_in_at"


def note_sign_in(request: Any, **_: Any) -> None:
    """Keep with the session when it was signed in to; Django keeps only when the user last was, anywhere."""
    if hasattr(request, "session"):
        request.session[_SIGNED_IN_AT] = int(clock.now().timestamp())


def asks_password(user: Any) -> bool:
    """Whether the proof is the user's password; else it is a sign-in to this session a short while ago."""
    return bool(user.has_usable_password())


def is_fresh(request: HttpRequest) -> bool:
    """Whether this session was signed in to within the last ten minutes."""
    at = request.session.get(_SIGNED_IN_AT)
    return isinstance(at, int) and 0 <= clock.now().timestamp() - at < FRESH_SECONDS


def prove(request: HttpRequest, password: str) -> Any:
    """The user who asks, as stored now; None: they have not proven it.

    A password goes through all that signing in goes through, whatever backends and limits the project has.
    """
    user: Any = request.user
    if not asks_password(user):
        return user if is_fresh(request) else None
    if not password:
        return None
    found = authenticate(request, username=user.get_username(), password=password)
    return found if found is not None and found.pk == user.pk else None
