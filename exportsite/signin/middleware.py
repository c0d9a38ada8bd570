"""What an answer says of the attempt to sign in that its request made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from exportsite.signin import guard
from exportsite.signin.backend import WAIT

_COOKIE = "signin_cookie"


def sign_in_middleware(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Any:
    """429 with ``Retry-After`` where a password was not looked at; after a sign-in, the cookie of a known browser."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if wait := getattr(request, WAIT, 0):
            response.status_code = 429
            response["Retry-After"] = str(wait)
        elif cookie := getattr(request, _COOKIE, ""):
            guard.set_cookie(response, cookie)
        return response

    return answer


@receiver(user_logged_in, dispatch_uid="exportsite.signin")
def _remember(sender: Any, request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    if request is not None and "REMOTE_ADDR" in request.META:  # a command or a test has no client
        setattr(request, _COOKIE, guard.remember(request, user.get_username()))
