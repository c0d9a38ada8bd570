"""Django's ASGI handler, in which a synchronous request is one piece of work for one thread.

Django's own runs each step of each middleware as a call of its own in the request's thread, twenty for a request here,
and every one waits for the event loop and for the interpreter's lock again: a third of what a small call costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from inspect import iscoroutinefunction
from io import SEEK_END
from typing import IO, Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve


class SiteHandler(ASGIHandler):
    """Asynchronous views, such as event streams, go Django's own way; all others through the middleware in one call."""

    def __init__(self) -> None:
        super().__init__()
        self._synchronous = BaseHandler()
        self._synchronous.load_middleware()

    def create_request(self, scope: Mapping[str, Any], body_file: IO[bytes]) -> Any:
        """The request, or None, and its refusal. A body sent in chunks has a length here too, else DRF reads none."""
        request, refusal = super().create_request(scope, body_file)
        if request is not None and "HTTP_TRANSFER_ENCODING" in request.META:
            request.META["CONTENT_LENGTH"] = str(body_file.seek(0, SEEK_END))
            body_file.seek(0)
        return request, refusal

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        if _is_asynchronous(request):
            return await super().get_response_async(request)
        answering = asyncio.ensure_future(sync_to_async(self._answer)(request))
        try:
            return await asyncio.shield(answering)
        except asyncio.CancelledError:  # the client left; a thread cannot be cancelled, and its answer may hold much
            await sync_to_async((await answering).close)()
            raise

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        response = self._synchronous.get_response(request)
        if isinstance(response, StreamingHttpResponse) and not response.is_async:
            # A static file: read here, since Django would do it in a call of its own, and warn.
            response.streaming_content = _one(b"".join(response))
        return response


async def _one(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _is_asynchronous(request: HttpRequest) -> bool:
    try:
        return iscoroutinefunction(resolve(request.path_info).func)
    except Resolver404:
        return False
