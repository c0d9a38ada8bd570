"""Server-sent events: what happens to one export, or to all of mine that are on their way.

Plain views, since DRF answers 406 to ``text/event-stream``; who may see what, and how refusals look, is DRF's.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import APIException, MethodNotAllowed, NotAcceptable
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from exports_app import access, errors, keys, services
from exports_app.api import hub, moments
from exports_app.api.answers import STATUS
from exports_app.api.hub import Subscription
from exports_app.api.schema import refusals
from exports_app.visibility import View

COMMENT_SECONDS = 15.0
"""Proxies end connections that say nothing for long."""
ACCESS_SECONDS = 30.0
"""Between two looks at whether the client may still see what it is told."""
RETRY_MS = 2_000
"""What clients wait before they come back."""
LONGEST_ID = 18
"""Digits that fit the database's numbers."""
HEADERS = {"X-Accel-Buffering": "no"}
LAST_EVENT_ID = OpenApiParameter(
    "Last-Event-ID",
    {"type": "integer", "minimum": 0},
    OpenApiParameter.HEADER,
    description="The `id` of the last event that was seen; what was stored since comes behind the snapshot.",
)
FIRST = {"type": "progress", "at": "2026-02-26T12:00:01.500000+00:00", **STATUS}
EXAMPLE = moments.Message(type="progress", id=1_207, data=FIRST).encode().decode()
STREAM: dict[Any, OpenApiResponse] = {
    (200, "text/event-stream"): OpenApiResponse(
        OpenApiTypes.STR,
        description="Server-sent events. Each `data` is `type`, `at` and the fields of the status object.",
        examples=[OpenApiExample("progress", value=EXAMPLE, response_only=True)],
    ),
    **refusals(400, 429),
}


class EventsView(APIView):
    """The part of a stream that is DRF's: authentication, permissions, refusals, and its place in the schema."""

    def admit(self, request: HttpRequest, **_: Any) -> Any:
        """Who asks. Raises what DRF and the services raise."""
        services.require_enabled()
        if request.method != "GET":
            raise MethodNotAllowed(str(request.method))
        self.request = self.initialize_request(request)
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

    @classmethod
    def as_plain_view(cls) -> Callable[..., Coroutine[Any, Any, HttpResponseBase]]:
        """The view to put into the URLs; the schema finds this class by it."""

        @csrf_exempt  # a wrong method is refused as elsewhere, and nothing here changes anything
        async def view(request: HttpRequest, **found: UUID) -> HttpResponseBase:
            return await _answer(request, cls(), found)

        view.cls, view.initkwargs = cls, {}  # type: ignore[attr-defined]  # as DRF's own as_view() does
        return view


class ExportEventsView(EventsView):
    """What happens to one export, as it happens."""

    def admit(self, request: HttpRequest, **found: Any) -> Any:
        user = super().admit(request)
        services.get_export(user, found["id"])
        return user

    @extend_schema(operation_id="exports_events", parameters=[LAST_EVENT_ID], responses=STREAM)
    def get(self, request: Request, id: UUID) -> Response:
        """A `snapshot` first, then `progress`, `status` and `retry`; at `done` the stream ends."""
        raise NotAcceptable  # as_plain_view() answers


class ListEventsView(EventsView):
    """What happens to all active exports that are mine or shared with me."""

    @extend_schema(operation_id="exports_list_events", responses=STREAM)
    def get(self, request: Request) -> Response:
        """A `snapshot` of each first; `done` of one does not end the stream."""
        raise NotAcceptable  # as above


REFUSED = (errors.ExportError, APIException, DatabaseError, InterfaceError)


async def _answer(request: HttpRequest, view: EventsView, found: Mapping[str, UUID]) -> HttpResponseBase:
    def open_door() -> tuple[Any, int | None] | JsonResponse:
        try:
            return view.admit(request, **found), _last_event_id(request)
        except Exception as error:
            return view.refuse(request, error)

    opened = await hub.in_thread(open_door)
    if isinstance(opened, JsonResponse):
        return opened
    user, after = opened
    subscription = Subscription(user.pk, follows_new="id" not in found, permit=keys.permit_of(user))
    try:
        hub.of_this_loop().open(subscription)
    except errors.Throttled as error:
        refusal = error
        return await hub.in_thread(lambda: view.refuse(request, refusal))
    stream = _Stream(request, view, user, subscription, found.get("id"), after)
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
        view: EventsView,
        user: Any,
        subscription: Subscription,
        job_id: UUID | None,
        after: int | None,
    ) -> None:
        self._request, self._view, self._job_id, self._after = request, view, job_id, after
        self._user, self._subscription = user, subscription
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
        job_id = self._job_id

        def read() -> list[tuple[moments.Moment, View]]:
            seen = self._views(self._user)
            return [(each, seen[each.job.pk]) for each in moments.read(seen, since=0)]

        for moment, view in await hub.in_thread(read):
            after = self._after if job_id else None
            self._hub.follow(self._subscription, moment, after=after, view=view)
        self._subscription.began = True
        if job_id and job_id not in self._subscription.tracks:
            self._subscription.end()  # deleted since it was asked for

    def _views(self, user: Any, others: Iterable[UUID] = ()) -> dict[UUID, View]:
        """How much this user sees now of what the stream tells; ``others``: of these too, if they still exist."""
        if self._job_id:
            try:
                job = services.get_export(user, self._job_id)
            except errors.NotFound:
                return {}  # deleted since it was asked for
            return {job.pk: access.of(user).view(job)}
        permit, found = keys.permit_of(user), moments.active_jobs([user.pk], others)
        return {id: each.view_for(user.pk, permit) for id, each in found.items() if each.exists_for(user.pk, permit)}

    async def _may_go_on(self) -> bool:
        """Ask again who this is and whether they still see what they are told. A database that is away says nothing."""
        told = {id: track.view for id, track in self._subscription.tracks.items()}

        def look() -> bool:
            try:
                found = {"id": self._job_id} if self._job_id else {}
                seen = self._views(self._view.admit(_anew(self._request), **found), told)
                return all(seen.get(id) == view for id, view in told.items())
            except (DatabaseError, InterfaceError):
                return True
            except REFUSED:
                return False

        return await hub.in_thread(look)


def _anew(request: HttpRequest) -> HttpRequest:
    """The request as if it had just come: nothing of who sent it is remembered."""
    again = copy.copy(request)
    again.session = type(request.session)(request.session.session_key)
    again.__dict__.pop("_cached_user", None)
    again.user = get_user(again)
    return again
