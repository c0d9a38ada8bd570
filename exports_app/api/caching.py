"""What the API answers is one user's, and may hold a link that opens a file: no cache keeps any of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from exports_app.api import urls


@sync_and_async_middleware
def no_store_middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """``Cache-Control: no-store`` on whatever the API's paths answer: refusals, streams and unknown paths as well."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            response: Awaitable[HttpResponseBase] = get_response(request)
            return _unstored(request, await response)

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        return _unstored(request, get_response(request))

    return answer


def _unstored(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    match = request.resolver_match
    if match is not None and urls.app_name in match.app_names:
        response["Cache-Control"] = "no-store"
    return response
