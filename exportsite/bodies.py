"""How much of a body the site reads, whoever sends it and wherever to: Django keeps it before any view runs."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

from exports_app.bodies import MOST_BYTES, refusal
from exportsite.streams import Application, Message, Receive, Scope, Send

LINGER_SECONDS = 2.0
"""A client that sends on reads the answer only once it has sent; longer it is not listened to."""


class BoundedBodies:
    """ASGI middleware: a body of more than ``MOST_BYTES``, announced or counted, gets 413, and no more is read."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
        elif _announced(scope) > MOST_BYTES:
            await _refuse(scope, receive, send)
        else:
            await self._counted(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        read, is_over = 0, False

        async def receiving() -> Message:
            nonlocal read, is_over
            message = await receive()
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                if read > MOST_BYTES:
                    is_over = True
                    return {"type": "http.disconnect"}  # whereupon Django gives up and answers nothing
            return message

        await self._application(scope, receiving, send)
        if is_over:
            await _refuse(scope, receive, send)


def _announced(scope: Scope) -> int:
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(lengths[0]) if lengths and lengths[0].isdigit() else 0


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer, hear the client out for a moment so that it comes to read, and end the connection."""
    error = refusal()
    body = json.dumps({"code": error.code, "detail": str(error)}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                pass
    await send({"type": "http.response.body", "body": b""})
