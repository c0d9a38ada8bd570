"""Which fields stand behind columns and filters: whoever filters by a field learns what a hidden column holds.

Columns of all resources count: what one of them hides, a filter of another, or of a related table, must not tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from django.core.exceptions import FieldError
from django.db import models
from django.db.models.expressions import Col
from django.db.models.sql import Query

from exports_app.resources import faults, registry
from exports_app.resources.base import Resource, User, has_permission
from exports_app.resources.columns import Column

FieldKey: TypeAlias = tuple[type[models.Model], str]
"""A model and the name of one of its columns' fields."""
Rows: TypeAlias = models.QuerySet[Any, Any]
_CACHE = "_exports_hidden_fields"


def behind(rows: Rows, expression: Any) -> set[FieldKey]:
    """Fields that an ORM path or expression reads, also in subqueries; empty where that cannot be told."""
    query: Any = rows.query.chain()
    try:
        if isinstance(expression, str):
            resolved = query.resolve_ref(expression)
        else:
            resolved = expression.resolve_expression(query, allow_joins=True)
    except (FieldError, AttributeError):
        return set()
    columns = [each.target for each in _parts(resolved) if isinstance(each, Col)]
    return {(each.model._meta.concrete_model or each.model, each.attname) for each in columns}


def hidden_fields(user: User) -> frozenset[FieldKey]:
    """Fields behind columns of any resource that are hidden from this user; worked out once, as permissions are."""
    known: frozenset[FieldKey] | None = getattr(user, _CACHE, None)
    if known is None:
        hiding = list(faults.working(registry.every(), lambda each: each if _hidden_columns(each, user) else None))
        found = faults.working(hiding, lambda each: _hidden_by(each, user), asks_database=True)
        known = frozenset(each for fields in found for each in fields)
        setattr(user, _CACHE, known)
    return known


def shown_fields(resource: Resource, user: User, rows: Rows) -> set[FieldKey]:
    """Fields behind the columns that the user sees in this resource: no filter on them tells anything new."""
    return _behind_all(rows, resource.visible_columns(user))


def _hidden_columns(resource: Resource, user: User) -> list[Column]:
    if resource.is_python():
        return []
    return [each for each in resource.get_columns() if each.sensitive and not has_permission(user, each.sensitive)]


def _hidden_by(resource: Resource, user: User) -> set[FieldKey]:
    return _behind_all(resource.get_queryset(user), _hidden_columns(resource, user))


def _behind_all(rows: Rows, columns: Iterable[Column]) -> set[FieldKey]:
    """Those that Python computes are left out: nobody can see what a function reads."""
    seen = (column for column in columns if not column.reads_object)
    return {each for column in seen for each in behind(rows, column.expression if column.is_computed else column.path)}


def _parts(node: Any) -> Iterator[Any]:
    yield node
    if isinstance(node, Query):
        children: Iterable[Any] = (*node.annotations.values(), *node.select)
    else:
        children = node.get_source_expressions() if hasattr(node, "get_source_expressions") else ()
    for child in children:
        if child is not None:
            yield from _parts(child)
