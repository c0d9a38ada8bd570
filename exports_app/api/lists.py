"""Lists that are read page by page and take no filters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from exports_app.api.views import Pages, check_query

Row = TypeVar("Row", bound=Model)


def answer_page(
    view: APIView,
    request: Request,
    rows: QuerySet[Row],
    show: Callable[[Row], dict[str, Any]],
    pages: type[Pages] = Pages,
) -> Response:
    """The page that is asked for. Raises ``errors.Invalid`` for any other parameter of the query."""
    check_query(request)
    pager = pages()
    page = pager.paginate_queryset(rows, request, view=view) or []
    return pager.get_paginated_response([show(row) for row in page])
