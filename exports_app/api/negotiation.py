"""In which form an endpoint answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation, DefaultContentNegotiation
from rest_framework.request import Request


class ByAcceptAlone(DefaultContentNegotiation):
    """``?format=csv`` asks for exports of that format; DRF would take it for the form of the answer."""

    settings = SimpleNamespace(URL_FORMAT_OVERRIDE=None)  # type: ignore[assignment]  # all that DRF reads of it


class AnyAccept(BaseContentNegotiation):
    """One form of answer, whatever a client says that it accepts."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type
