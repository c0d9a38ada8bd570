"""An answer that streams for long keeps neither a thread nor a database connection."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from exportsite.streams import StreamWithoutThread

SECONDS = 10.0
PART = {"type": "http.response.body", "body": b"part", "more_body": True}
END = {"type": "http.response.body", "body": b"end"}


def run(application: Any) -> list[Any]:
    """What the application sends for one request."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(StreamWithoutThread(application)({"type": "http"}, receive, send))
    return sent


def test_the_thread_of_a_request_ends_when_its_answer_streams() -> None:
    threads: list[threading.Thread] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(2):
            threads.append(await sync_to_async(threading.current_thread)())
        await send(PART)
        await asyncio.to_thread(threads[0].join, SECONDS)
        assert not threads[0].is_alive()
        threads.append(await sync_to_async(threading.current_thread)())
        await send(END)

    assert run(application) == [PART, END]
    assert threads[0] is threads[1]
    assert threads[1] is not threads[2]
    threads[2].join(SECONDS)
    assert not threads[2].is_alive()


def test_a_request_that_fails_leaves_no_thread() -> None:
    threads: list[threading.Thread] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        threads.append(await sync_to_async(threading.current_thread)())
        raise LookupError

    with pytest.raises(LookupError):
        run(application)
    threads[0].join(SECONDS)
    assert not threads[0].is_alive()


@pytest.mark.django_db(transaction=True)
def test_its_database_connection_is_closed() -> None:
    def backend() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])

    def is_there(pid: int) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid])
            return cursor.fetchone() is not None

    def wait_for_its_end(pid: int) -> None:
        try:
            over = time.monotonic() + SECONDS
            while is_there(pid):
                assert time.monotonic() < over
                time.sleep(0.02)
        finally:
            connection.close()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        pid = await sync_to_async(backend)()
        await send(PART)
        await asyncio.to_thread(wait_for_its_end, pid)
        await send(END)

    assert run(application) == [PART, END]
