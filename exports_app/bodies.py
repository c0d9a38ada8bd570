"""How large a body our own views take, in a project of any kind: looked at before anything reads it.

Other views of the project are none of ours: their uploads stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from inspect import iscoroutinefunction
from io import SEEK_END
from typing import Any

from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from exports_app import errors

BODY_BYTES = 1_048_576
"""What a body may say."""
MOST_BYTES = BODY_BYTES + 65_536
"""What is read of one: a form's encoding takes some."""

View = Callable[..., HttpResponseBase]
Answer = Callable[[errors.ExportError], HttpResponseBase]


def refusal() -> errors.TooLarge:
    """What a larger body is refused with."""
    return errors.TooLarge.of(BODY_BYTES)


def bounded(patterns: Sequence[URLPattern], answer: Answer) -> list[URLPattern]:
    """The patterns, with views that ``answer`` a body of more than ``MOST_BYTES`` with an error, unread."""
    for each in patterns:
        if not iscoroutinefunction(each.callback):  # event streams, which read no body
            each.callback = _bounded(each.callback, answer)
    return list(patterns)


def _bounded(view: View, answer: Answer) -> View:
    # Django looks for a form's token in the body before it calls the view; here it does so behind the bound.
    guarded = view if getattr(view, "csrf_exempt", False) else csrf_protect(view)

    @csrf_exempt
    @wraps(view)
    def guard(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if _size(request) > MOST_BYTES:
            return answer(refusal())
        if not hasattr(request, "_files"):  # and no middleware of the project has read it
            request.upload_handlers = [_NoFiles(request)]
        return guarded(request, *args, **kwargs)

    return guard


def _size(request: HttpRequest) -> int:
    """Bytes: those announced, which WSGI reads at most, or those that ASGI's handler has kept."""
    if hasattr(request, "_body"):
        return len(request.body)
    if isinstance(request, ASGIRequest) and not request._read_started:  # type: ignore[attr-defined]
        kept = request._stream
        if not kept.seekable():  # a test client's
            return _announced(request)
        size = int(kept.seek(0, SEEK_END))
        kept.seek(0)
        return size
    return _announced(request)


def _announced(request: HttpRequest) -> int:
    length = str(request.META.get("CONTENT_LENGTH") or "")
    return int(length) if length.isdigit() else 0


class _NoFiles(FileUploadHandler):
    """None of our forms has a file: nothing of one is kept."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        raise StopUpload(connection_reset=True)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        return None

    def file_complete(self, file_size: int) -> None:
        return None
