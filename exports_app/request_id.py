"""One id for all that a request brings about: its answer, its log lines, its export and the worker's lines."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from structlog.contextvars import get_contextvars

from exports_app import logs  # noqa: F401 - sets structlog up before the next middleware logs

HEADER = "X-Request-ID"
META = "HTTP_X_REQUEST_ID"
SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+=@-]{0,99}")
"""What we take over from a caller: it goes into logs, rows and pages."""


@sync_and_async_middleware
def request_id_middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Give each request an id, the caller's where it is sane, and return it. Stands before all other middleware."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            name = _name(request)
            response: Awaitable[HttpResponseBase] = get_response(request)
            return _named(await response, name)

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        name = _name(request)
        return _named(get_response(request), name)

    return answer


def current() -> str:
    """Id of the request that is being answered; empty outside of one."""
    return str(get_contextvars().get("request_id", ""))


def _name(request: HttpRequest) -> str:
    given = request.META.get(META, "")
    name = given if SANE.fullmatch(given) else str(uuid.uuid4())
    request.META[META] = name  # where django-structlog looks for it
    return name


def _named(response: HttpResponseBase, name: str) -> HttpResponseBase:
    response[HEADER] = name
    return response
