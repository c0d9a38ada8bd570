"""The file of a download as the answer to its request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import BinaryIO

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from exports_app import direct, storage
from exports_app.pipeline.sinks.pipe import PipeSink

BLOCK_BYTES = 65_536


def attachment(request: HttpRequest, made: direct.Download) -> HttpResponseBase:
    """The file with its name, and where the job that tells of it is found."""
    response = _response(request, made)
    response["Content-Disposition"] = storage.content_disposition(made.job.file_name)
    response["X-Export-Strategy"] = made.job.strategy
    response["X-Export-Id"] = str(made.job.pk)
    response["Cache-Control"] = "no-store"
    return response


def _response(request: HttpRequest, made: direct.Download) -> HttpResponseBase:
    kind = {"content_type": made.content_type}
    if made.size is not None and made.size <= direct.SPOOL_BYTES:
        assert not isinstance(made.content, PipeSink)  # noqa: S101 - whose size is not known
        with made.content as file:
            return HttpResponse(file.read(), headers={"Content-Length": str(made.size)}, **kind)
    body = AsyncBody(made.content) if isinstance(request, ASGIRequest) else Body(made.content)
    response = StreamingHttpResponse(body, **kind)
    if made.size is not None:
        response["Content-Length"] = str(made.size)
    return response


class Body:
    """What is sent. Django closes it with the response, also where it was never begun."""

    def __init__(self, content: BinaryIO | PipeSink) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        return self._content.read() if isinstance(self._content, PipeSink) else _blocks(self._content)

    def close(self) -> None:
        """Nobody reads any more."""
        if isinstance(self._content, PipeSink):
            self._content.leave()
        else:
            self._content.close()


class AsyncBody:
    """The same for a server with an event loop, for which a synchronous iterator would be read whole first."""

    def __init__(self, content: BinaryIO | PipeSink) -> None:
        self._content = content
        self.close = Body(content).close

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._content.read_async() if isinstance(self._content, PipeSink) else _blocks_async(self._content)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield block


async def _blocks_async(file: BinaryIO) -> AsyncIterator[bytes]:
    while block := await asyncio.to_thread(file.read, BLOCK_BYTES):
        yield block
