"""A synchronous request is one piece of work for one thread; an asynchronous one keeps to the event loop."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from asgiref.sync import SyncToAsync, ThreadSensitiveContext
from django.db import connections
from django.http import FileResponse, HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path

from exportsite.handler import SiteHandler

SECONDS = 10.0
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


FILE = b"static " * 20_000


def file(request: HttpRequest) -> FileResponse:
    return FileResponse(BytesIO(FILE))


class Slow(HttpResponse):
    """An answer that is made only once its client has left."""

    began, left, was_closed = (threading.Event() for _ in range(3))

    def close(self) -> None:
        super().close()
        self.was_closed.set()


def slow(request: HttpRequest) -> HttpResponse:
    Slow.began.set()
    assert Slow.left.wait(SECONDS)
    return Slow()


urlpatterns = [
    path("sync", synchronous),
    path("async", asynchronous),
    path("fail", failing),
    path("file", file),
    path("slow", slow),
]


class Counting(ThreadPoolExecutor):
    """A request's one thread, and how many calls it was given."""

    calls = 0


@pytest.fixture
def thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counting]:
    """Counts by asgiref's own door: calls amid another one reach the thread past its queue."""
    thread = Counting(1)
    call = SyncToAsync.__call__

    async def counted(self: SyncToAsync[..., Any], *args: Any, **kwargs: Any) -> Any:
        thread.calls += 1
        return await call(self, *args, **kwargs)

    monkeypatch.setattr(SyncToAsync, "__call__", counted)
    yield thread
    thread.submit(connections.close_all).result()
    thread.shutdown()


async def stay() -> None:
    await asyncio.Event().wait()


async def leave_amid_the_answer() -> None:
    await asyncio.to_thread(Slow.began.wait, SECONDS)
    asyncio.get_running_loop().call_later(0.1, Slow.left.set)  # once the handler has heard of it


def request(where: str, thread: Counting, client: Callable[[], Awaitable[None]] = stay) -> list[Any]:
    """What is sent to a client that leaves when ``client`` returns."""
    sent: list[Any] = []
    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        if first := next(asked, None):
            return first
        await client()
        return {"type": "http.disconnect"}

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
    return sent


def ask(where: str, thread: Counting) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers."""
    head, *body = request(where, thread)
    headers = {name.decode().lower(): value.decode() for name, value in head["headers"]}
    return head["status"], b"".join(part.get("body", b"") for part in body).decode(), headers


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


@override_settings(ROOT_URLCONF=__name__)
def test_a_file_is_read_in_the_same_call(thread: Counting) -> None:
    assert ask("file", thread)[:2] == (200, FILE.decode())
    assert thread.calls == SYNCHRONOUS_CALLS


@override_settings(ROOT_URLCONF=__name__)
def test_an_answer_whose_client_left_meanwhile_is_closed(thread: Counting) -> None:
    assert request("slow", thread, leave_amid_the_answer) == []
    assert Slow.was_closed.is_set()


def test_the_site_starts_where_nothing_it_needs_is_there() -> None:
    """Neither keys of the storage nor a broker: what needs them says so when it is asked for."""
    nothing = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nothing |= {"DEBUG": "1", "DATABASE_URL": "postgres://127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
    subprocess.run([sys.executable, "-c", "import exportsite.asgi"], env=nothing, check=True, timeout=60)
