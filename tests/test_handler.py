"""A synchronous request is one piece of work for one thread; an asynchronous one keeps to the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path

from exportsite.handler import SiteHandler

SYNCHRONOUS_CALLS = 3
"""Receivers of ``request_started``, the request itself, and the closing of its answer."""


def synchronous(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_in_event_loop())


async def asynchronous(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_in_event_loop())


def failing(request: HttpRequest) -> HttpResponse:
    raise LookupError("nobody knows why")


def _in_event_loop() -> str:
    return "loop" if threading.current_thread() is threading.main_thread() else "thread"


urlpatterns = [path("sync", synchronous), path("async", asynchronous), path("fail", failing)]


class Counting(Executor):
    """One thread, and how many calls it was given."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(1)
        self.calls = 0

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.calls += 1
        return self.pool.submit(call, *args, **kwargs)


@pytest.fixture
def thread() -> Iterator[Counting]:
    thread = Counting()
    yield thread
    thread.pool.submit(connections.close_all).result()
    thread.pool.shutdown()


def ask(where: str, thread: Counting) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers."""
    sent: list[Any] = []
    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        return next(asked, None) or await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> None:
        scope = {
            "type": "http",
            "method": "GET",
            "path": f"/{where}",
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
        }
        async with ThreadSensitiveContext(executor=thread):
            await SiteHandler()(scope, receive, send)

    asyncio.run(run())
    headers = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], sent[1]["body"].decode(), headers


@override_settings(ROOT_URLCONF=__name__)
def test_a_synchronous_request_is_one_call_of_its_thread(thread: Counting) -> None:
    status, body, headers = ask("sync", thread)
    assert (status, body) == (200, "thread")
    assert "x-request-id" in headers  # of the first middleware
    assert "content-security-policy" in headers  # of a late one
    assert thread.calls == SYNCHRONOUS_CALLS


@override_settings(ROOT_URLCONF=__name__)
def test_an_asynchronous_view_runs_in_the_event_loop(thread: Counting) -> None:
    status, body, headers = ask("async", thread)
    assert (status, body) == (200, "loop")
    assert "content-security-policy" in headers


@override_settings(ROOT_URLCONF=__name__)
@pytest.mark.parametrize(("where", "status"), [("fail", 500), ("nowhere", 404)])
def test_errors_are_answered_in_the_same_call(where: str, status: int, thread: Counting) -> None:
    assert ask(where, thread)[0] == status
    assert thread.calls == SYNCHRONOUS_CALLS
