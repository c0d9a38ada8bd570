"""Server-sent events: what happens to one export, or to all of mine that are on their way.

Plain views, since DRF answers 406 to ``text/event-stream``; who may see what, and how refusals look, is DRF's.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import APIException, MethodNotAllowed
from rest_framework.views import APIView

from exports_app import errors, services
from exports_app.api import hub, moments
from exports_app.api.hub import Subscription

COMMENT_SECONDS = 15.0
"""Proxies end connections that say nothing for long."""
ACCESS_SECONDS = 30.0
"""Between two looks at whether the client may still see what it is told."""
RETRY_MS = 2_000
"""What clients wait before they come back."""
LONGEST_ID = 18
"""Digits that fit the database's numbers."""
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


@csrf_exempt  # a wrong method is refused as elsewhere; nothing here changes anything
async def export_events(request: HttpRequest, id: UUID) -> HttpResponseBase:
    """``exports/{id}/events/``: a snapshot, what follows, and the end at ``done``."""

    def admit(request: HttpRequest) -> Any:
        user = _Door().admit(request)
        services.get_export(user, id)
        return user

    return await _answer(request, admit, id)


@csrf_exempt
async def list_events(request: HttpRequest) -> HttpResponseBase:
    """``exports/events/``: the same for every active export of mine or shared with me; it does not end."""
    return await _answer(request, _Door().admit, None)


class _Door(APIView):
    """DRF's authentication, permissions and errors for a view that is none of its own."""

    def admit(self, request: HttpRequest) -> Any:
        """Who asks. Raises what DRF and the services raise."""
        services.require_enabled()
        self.request = self.initialize_request(request)
        if request.method != "GET":
            raise MethodNotAllowed(str(request.method))
        self.perform_authentication(self.request)
        self.check_permissions(self.request)
        return self.request.user

    def refuse(self, request: HttpRequest, error: Exception) -> JsonResponse:
        """The refusal as every other endpoint words it."""
        self.request = self.initialize_request(request)
        self.headers: dict[str, str] = {}
        response = self.handle_exception(error)
        headers = {name: value for name, value in response.headers.items() if name != "Content-Type"}
        return JsonResponse(response.data, status=response.status_code, headers=headers)


REFUSED = (errors.ExportError, APIException, DatabaseError, InterfaceError)


async def _answer(request: HttpRequest, admit: Callable[[HttpRequest], Any], job_id: UUID | None) -> HttpResponseBase:
    def open_door() -> tuple[Any, int | None] | JsonResponse:
        try:
            return admit(request), _last_event_id(request)
        except REFUSED as error:
            return _Door().refuse(request, error)

    opened = await hub.in_thread(open_door)
    if isinstance(opened, JsonResponse):
        return opened
    user, after = opened
    stream = _Stream(request, admit, user.pk, job_id, after)
    return StreamingHttpResponse(stream.run(), content_type="text/event-stream", headers=HEADERS)


def _last_event_id(request: HttpRequest) -> int | None:
    given = request.headers.get("Last-Event-ID", "")
    if not given:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= LONGEST_ID):
        message = "Send the id of the last event that you have seen, or leave it out."
        raise errors.Invalid("The request is not valid.", errors={"Last-Event-ID": [message]})
    return int(given)


class _Stream:
    """One client's stream."""

    def __init__(
        self,
        request: HttpRequest,
        admit: Callable[[HttpRequest], Any],
        user_id: int,
        job_id: UUID | None,
        after: int | None,
    ) -> None:
        self._request, self._admit, self._job_id, self._after = request, admit, job_id, after
        self._subscription = Subscription(user_id, follows_new=job_id is None)
        self._hub = hub.of_this_loop()

    async def run(self) -> AsyncIterator[bytes]:
        """The bytes of the stream."""
        subscription = self._subscription
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            await self._hub.join(subscription)
            try:
                await self._begin()
            except (DatabaseError, InterfaceError):
                return  # the client comes back, and is told then that the database is away
            clock = asyncio.get_running_loop().time
            comment_due, access_due = clock() + COMMENT_SECONDS, clock() + ACCESS_SECONDS
            while True:
                for message in await subscription.take(max(0.0, min(comment_due, access_due) - clock())):
                    yield (message if self._job_id else replace(message, id=None)).encode()
                if subscription.ended or (self._job_id and subscription.tracks[self._job_id].is_done):
                    return
                if clock() >= comment_due:
                    yield b": still here\n\n"
                    comment_due = clock() + COMMENT_SECONDS
                if clock() >= access_due:
                    if not await self._may_go_on():
                        return
                    access_due = clock() + ACCESS_SECONDS
        finally:
            self._hub.leave(subscription)

    async def _begin(self) -> None:
        """Read where the jobs stand, now that nothing behind it can be missed."""
        user_id, job_id = self._subscription.user_id, self._job_id

        def read() -> list[moments.Moment]:
            return moments.read([job_id] if job_id else moments.active_jobs([user_id]), since=0)

        for moment in await hub.in_thread(read):
            self._hub.follow(self._subscription, moment, after=self._after if job_id else None)
        self._subscription.began = True
        if job_id and job_id not in self._subscription.tracks:
            self._subscription.end()  # deleted since it was asked for

    async def _may_go_on(self) -> bool:
        """Ask again who this is and what they may see. A database that is away says nothing about that."""

        def look() -> bool:
            try:
                self._admit(_anew(self._request))
            except (DatabaseError, InterfaceError):
                return True
            except REFUSED:
                return False
            return True

        return await hub.in_thread(look)


def _anew(request: HttpRequest) -> HttpRequest:
    """The request as if it had just come: nothing of who sent it is remembered."""
    again = copy.copy(request)
    again.session = type(request.session)(request.session.session_key)
    again.__dict__.pop("_cached_user", None)
    again.user = get_user(again)
    return again
