"""Local files over HTTP as an object store serves them: whole or in part, streamed without holding a thread."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from datetime import UTC
from typing import BinaryIO
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import http_date, parse_http_date_safe
from django.views.decorators.http import require_safe

from exports_app import downloads, errors
from exports_app.models import ExportJob
from exports_app.web.pages import refusal

READ_SIZE = 262_144  # bytes that one read takes from the disk; a slow client makes the next one wait
ONE_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.ASCII | re.IGNORECASE)


class Unsatisfiable(Exception):
    """No byte of the file is in the range."""


class FileBody:
    """Some bytes of an open file, for a streaming response. A thread is busy for one read at a time."""

    def __init__(self, file: BinaryIO, span: range) -> None:
        self._file, self._span = file, span

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = len(self._span)
        await asyncio.to_thread(self._file.seek, self._span.start)
        while left:
            data = await asyncio.to_thread(self._file.read, min(left, READ_SIZE))
            if not data:  # the connection breaks: a file cut short must not look whole
                raise EOFError("The file is shorter than it was.")
            left -= len(data)
            yield data

    def close(self) -> None:
        """Django calls it when the response is over, however it ended."""
        self._file.close()


@require_safe
def file(request: HttpRequest, id: UUID, name: str) -> HttpResponseBase:
    """A local file by its signed link; ``name`` is only for those who save it."""
    try:
        job, opened = downloads.open_file(id, request.GET.get("signature", ""))
    except errors.ExportError as error:
        return _secret(refusal(error))
    response = _answer(request, job, opened)
    if not response.streaming:
        opened.close()
    return _secret(response)


def _answer(request: HttpRequest, job: ExportJob, opened: BinaryIO) -> HttpResponseBase:
    size = os.fstat(opened.fileno()).st_size
    # A file never changes under its export: a new upload has another number, a new run other bytes.
    etag = f'"{job.upload_number}-{job.crc32}-{size}"'
    changed = int(job.completed_at.astimezone(UTC).timestamp()) if job.completed_at else None
    headers = downloads.file_headers(job) | {"ETag": etag, "X-Content-Type-Options": "nosniff"}
    if changed is not None:
        headers["Last-Modified"] = http_date(changed)
    settled = get_conditional_response(request, etag=etag, last_modified=changed)
    if settled is not None:
        settled["ETag"] = etag
        return settled
    headers["Content-Length"] = str(size)
    if request.method == "HEAD":
        return HttpResponse(headers=headers)
    try:
        span = _span(request, size, etag, changed)
    except Unsatisfiable:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"})
    if span is None:
        return StreamingHttpResponse(FileBody(opened, range(size)), headers=headers)
    headers |= {"Content-Length": str(len(span)), "Content-Range": f"bytes {span.start}-{span.stop - 1}/{size}"}
    return StreamingHttpResponse(FileBody(opened, span), status=206, headers=headers)


def _span(request: HttpRequest, size: int, etag: str, changed: int | None) -> range | None:
    """The one range that is asked for; None for the whole file. Several ranges get the whole, as RFC 9110 allows."""
    found = ONE_RANGE.fullmatch(request.headers.get("Range", "").strip())
    condition = request.headers.get("If-Range", "").strip()
    if condition and condition != etag and (changed is None or parse_http_date_safe(condition) != changed):
        return None
    if found is None or found[0].endswith("=-"):
        return None
    first, last = (int(number) if number else None for number in found.groups())
    if first is None:
        span = range(max(0, size - (last or 0)), size)
    elif last is not None and last < first:
        return None
    else:
        span = range(first, size if last is None else min(last + 1, size))
    if not span:
        raise Unsatisfiable
    return span


def _secret(response: HttpResponseBase) -> HttpResponseBase:
    response["Cache-Control"] = "private, no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response
