"""Lists that are read page by page: what may stand in their query, and the pages themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import Model, QuerySet
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_aware
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from exports_app import errors
from exports_app.resources.values import value_problem

PAGE_PARAMETERS = [
    OpenApiParameter("cursor", str, description="From `next` or `previous` of a page."),
    OpenApiParameter(
        "page_size", {"type": "integer", "minimum": 1, "default": 50}, description="Entries on a page, 200 at most."
    ),
]

Row = TypeVar("Row", bound=Model)


class Pages(CursorPagination):
    """``{"next", "previous", "results"}``, newest first."""

    ordering = ("-created_at", "-id")
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200

    def get_page_size(self, request: Request) -> int | None:
        given = request.query_params.get(self.page_size_query_param)
        if given is not None and not (given.isascii() and given.isdigit() and int(given[:10]) > 0):
            raise errors.Invalid("The query is not valid.", errors={"page_size": ["Give a number from 1 to 200."]})
        return super().get_page_size(request)

    def decode_cursor(self, request: Request) -> Any:
        try:
            cursor = super().decode_cursor(request)
        except NotFound as error:
            raise _no_cursor() from error
        if cursor is not None and not self._could_be(cursor.position):
            raise _no_cursor()
        return cursor

    def _could_be(self, position: Any) -> bool:
        """Whether a page can have ended there."""
        if position is None or not self.ordering[0].endswith("created_at"):
            return "\0" not in str(position)
        try:
            moment = parse_datetime(position)
        except ValueError:
            return False
        return moment is not None and is_aware(moment) is settings.USE_TZ and value_problem(moment) is None

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        """Raises ``errors.Invalid`` for a cursor that no page gave out."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValidationError, DataError) as error:
            raise _no_cursor() from error


def _no_cursor() -> errors.Invalid:
    message = "Take it from next or previous of a page."
    return errors.Invalid("The query is not valid.", errors={"cursor": [message]})


def answer_page(
    view: APIView,
    request: Request,
    rows: QuerySet[Row],
    show: Callable[[Row], dict[str, Any]],
) -> Response:
    """The page of a list without filters, each row by itself. Raises what ``answer_rows`` does."""
    return answer_rows(view, request, rows, lambda page: [show(row) for row in page])


def answer_rows(
    view: APIView,
    request: Request,
    rows: QuerySet[Row],
    show: Callable[[Sequence[Row]], list[dict[str, Any]]],
    pages: type[Pages] = Pages,
) -> Response:
    """The page of a list without filters, its rows together.

    Raises ``errors.Invalid`` for any other parameter of the query.
    """
    if wrong := unknown_names(request, ()):
        raise errors.Invalid("The query is not valid.", errors=wrong)
    pager = pages()
    page = pager.paginate_queryset(rows, request, view=view) or []
    return pager.get_paginated_response(show(page))


def unknown_names(request: Request, names: Iterable[str]) -> dict[str, Any]:
    """What is wrong with which parameter of the query: those that are neither among ``names`` nor of a page."""
    known = [*names, "cursor", Pages.page_size_query_param]
    return dict(errors.unknown_names("filter", request.query_params, known))
