"""What the admin's pages have in common: rows to look at, narrowed by what the page itself offers alone."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_permission_codename
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from exports_app import access
from exports_app.models import ExportJob

NOTHING = "-"


class Unchangeable:
    """To look at and to delete. Who may is Django's ``view`` and ``delete`` permission."""

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """By the filters of the page alone; by any other field, the query of a list would tell what is hidden."""
        options: Any = self
        named = [each[0] if isinstance(each, tuple) else each for each in options.list_filter]
        return lookup.partition("__")[0] in named and bool(super().lookup_allowed(lookup, value, request))  # type: ignore[misc]

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """By that permission alone: where nothing can be changed, ``change`` opens nothing."""
        options: Any = self.opts  # type: ignore[attr-defined]  # of the admin class beside this one
        codename = get_permission_codename("view", options)
        return bool(request.user.has_perm(f"{options.app_label}.{codename}"))


class ReadOnly(Unchangeable):
    """To look at alone, for operators."""

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return access.of(request.user).is_operator

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Not by themselves; but with their user, where that page asks."""
        match = request.resolver_match
        return match is not None and not str(match.url_name).startswith(ExportJob._meta.app_label)


def plain(rows: QuerySet[Any]) -> QuerySet[Any]:
    """The same rows as a query that others combine with, however a project's ``Access`` finds them."""
    found: QuerySet[Any] = rows
    if rows.query.distinct or rows.query.combinator:
        found = rows.model._default_manager.filter(pk__in=rows.values("pk"))
    return found


def rounded(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f}"
