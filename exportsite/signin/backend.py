"""Django's check of name and password, behind the back-off and the gate."""

from __future__ import annotations

from typing import Any, NoReturn

from asgiref.sync import sync_to_async
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from exportsite.signin import guard
from exportsite.signin.gate import Busy, gate

GATE_SECONDS = 2.0  # that a password waits for its check
WAIT = "signin_wait"  # of a request: seconds until the next attempt is let through


class BackOffBackend(ModelBackend):
    """Every ``authenticate(request, …)`` of the site comes here, whichever page or call asked.

    A refused attempt costs no hash; every other one costs one, also for an account that is unknown or inactive.
    Without a request (commands) nothing is counted.
    """

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        name = username if username is not None else kwargs.get("username")
        if name is None or password is None:
            return None
        if request is None:
            with gate.place(first=False, seconds=60):
                return super().authenticate(request, username=name, password=password)
        request = getattr(request, "_request", request)  # DRF's has Django's within
        attempt = guard.get_attempt(request, str(name))
        if wait := guard.counters.take(attempt.limits):
            _refuse(request, wait)
        try:
            with gate.place(first=attempt.from_known_browser, seconds=GATE_SECONDS):
                user = super().authenticate(request, username=name, password=password)
        except Busy:
            guard.counters.give_back(attempt.limits)
            _refuse(request, 2)
        if user is not None:
            guard.counters.give_back(attempt.limits)
            guard.counters.clear(attempt.limits[0].key)
        return user

    async def aauthenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        return await sync_to_async(self.authenticate)(request, username, password, **kwargs)


def _refuse(request: HttpRequest, seconds: int) -> NoReturn:
    """Raises ``PermissionDenied``, upon which Django asks no other backend."""
    setattr(request, WAIT, seconds)
    raise PermissionDenied
