"""What an answer that takes long must not keep: a thread, and a database connection with it.

Django runs the synchronous half of a request (middleware, most views) in a thread that it keeps until the answer is
sent, and the thread keeps its connection. For a download or an event stream that may be hours; a few hundred of them
would be all connections that PostgreSQL gives.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import ThreadSensitiveContext
from django.db import connections

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
P = ParamSpec("P")
T = TypeVar("T")


class RestingThread(Executor):
    """One thread for all calls, as Django's synchronous code needs it; there is none while it rests."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="request")
        return self._pool.submit(call, *args, **kwargs)

    def rest(self) -> None:
        """Close the thread's connections and end it; the next call gets a new one."""
        if self._pool is not None:
            self._pool.submit(connections.close_all)
            self._pool.shutdown(wait=False)  # once that is done
            self._pool = None


class StreamWithoutThread:
    """ASGI middleware: once an answer streams, its thread rests."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        thread = RestingThread()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.body" and message.get("more_body"):
                thread.rest()
            await send(message)

        try:
            async with ThreadSensitiveContext(executor=thread):
                await self._application(scope, receive, sending)
        finally:
            thread.rest()
