"""What the FilterSets of a resource see as ``self.request``, in a web process and in a worker alike."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.http import QueryDict


class FilterRequest:
    """Stands in for the HTTP request, which a worker does not have.

    It is the same wherever a filterset is asked (form, API, preview, worker, command line), so that a file holds the
    rows that the preview showed. It has ``user`` (whose export it is), ``GET`` and ``query_params`` (the filters),
    ``method`` (``"GET"``) and ``META`` (empty). Anything else raises ``AttributeError`` with a sentence that says so.
    """

    method = "GET"

    def __init__(self, user: AbstractBaseUser | AnonymousUser, data: QueryDict | None = None) -> None:
        self.user = user
        self.GET = self.query_params = QueryDict() if data is None else data
        self.META: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"The request of a filterset has no {name}: exports are made in workers, where there is no HTTP request. "
            "It has user, GET, query_params, method and META."
        )
