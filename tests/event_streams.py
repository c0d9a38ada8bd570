"""A client of event streams for tests: the whole site as an ASGI application, without a socket between."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db import connections

from exports_app.api import hub
from exportsite.handler import SiteHandler

T = TypeVar("T")
PATIENCE = 20.0
"""Seconds after which a test that waits for an event has failed."""


@dataclass
class Event:
    type: str
    data: dict[str, Any]
    id: str | None

    @property
    def status(self) -> str:
        return str(self.data["status"])


@dataclass
class Stream:
    """What one client receives."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False
    _read: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")
            self.ended = not message.get("more_body", False)
        self._news.set()

    async def until(self, condition: Callable[[Stream], bool]) -> None:
        """Wait until the condition holds of what was received."""
        async with asyncio.timeout(PATIENCE):
            while not condition(self):
                self._news.clear()
                if not condition(self):
                    await self._news.wait()

    async def next(self) -> Event:
        """The next event, comments and hints left out. Raises ``EOFError`` where the stream has ended."""
        async with asyncio.timeout(PATIENCE):
            return await self._next()

    async def _next(self) -> Event:
        while True:
            await self.until(lambda each: b"\n\n" in each.body[each._read :] or each.ended)
            end = self.body.find(b"\n\n", self._read)
            if end < 0:
                raise EOFError
            block = self.body[self._read : end].decode()
            self._read = end + 2
            fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
            if "data" in fields:
                return Event(type=fields["event"], data=json.loads(fields["data"]), id=fields.get("id"))

    async def rest(self) -> list[Event]:
        """All events up to the end of the stream."""
        found = []
        while True:
            try:
                found.append(await self.next())
            except EOFError:
                return found

    async def past(self, type: str) -> Event:
        """The next event of this type."""
        while (event := await self.next()).type != type:
            pass
        return event


@asynccontextmanager
async def open_stream(path: str, headers: Mapping[str, str], method: str = "GET") -> AsyncIterator[Stream]:
    """Ask for a stream; leaving the block is the client going away."""
    stream, gone = Stream(), asyncio.Event()
    asked = False

    async def receive() -> Any:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"localhost"), *((name.lower().encode(), v.encode()) for name, v in headers.items())],
        "server": ("localhost", 80),
        "client": ("127.0.0.1", 1),
    }
    application: Any = SiteHandler()
    task = asyncio.create_task(application(scope, receive, stream.send))
    try:
        await stream.until(lambda each: bool(each.status) or task.done())
        yield stream
    finally:
        gone.set()
        await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), PATIENCE)


async def in_thread(work: Callable[[], T]) -> T:
    """Do something with the database, and leave no connection behind."""

    def run() -> T:
        try:
            return work()
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The test's own loop; what its streams still read is read to the end."""

    async def to_the_end() -> T:
        try:
            return await main()
        finally:  # the hub closes its connection once its last stream has left
            if rest := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(rest, timeout=PATIENCE)

    try:
        return asyncio.run(to_the_end())
    finally:
        idle = threading.Barrier(hub.THREADS)
        for waiting in [hub._pool.submit(idle.wait) for _ in range(hub.THREADS)]:
            waiting.result(PATIENCE)
