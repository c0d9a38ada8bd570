"""What a resource may ever read of a database: SQL of its rows with all columns, and of what filters and ids ask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import models
from django.db.models import Prefetch
from django.db.models.constants import LOOKUP_SEP

from exports_app.resources import queries, registry
from exports_app.resources.base import Resource, User
from exports_app.resources.literals import literal
from exports_app.resources.meaning import compiler_of

Rows = models.QuerySet[Any, Any]


def of(resource: Resource, user: User) -> Iterator[tuple[str, str]]:
    """Statements as this user's exports make them, each with the alias of its database. Nothing is read.

    Their tables and columns are those that any export of the resource needs, whatever it asks for.
    """
    if resource.is_python():
        return
    rows = queries.select_rows(resource, user, filters={}, ids=None)
    yield from _of_rows(resource, rows)
    yield _text(resource.get_queryset(user).order_by().values_list("pk"))  # ids and filters choose by it
    yield from _of_filters(resource, resource.get_queryset(user))
    for sheet in resource.sheets:
        declared = registry.get(sheet.resource)
        if declared is not None and not declared.is_python():
            yield from _of_rows(related := declared(), queries.related_rows(related, user, rows, sheet.via))


def unknown(resource: Resource) -> list[str]:
    """Filters with a method that do not say what they read."""
    filters = getattr(resource.filterset_class, "base_filters", {})
    return [name for name, each in filters.items() if each.method is not None and name not in resource.filter_reads]


def _of_rows(resource: Resource, rows: Rows) -> Iterator[tuple[str, str]]:
    columns = resource.get_columns()
    selected = [queries.Selected(column=column) for column in columns if not column.reads_object]
    yield rows.db, queries.compile_query(resource, rows, selected)[0].text
    if len(selected) < len(columns):  # Python computes from whole objects, and what is fetched beside them
        yield _text(rows)
        for fetched in _fetched_beside(rows):
            yield rows.db, _text(fetched)[1]


def _of_filters(resource: Resource, rows: Rows) -> Iterator[tuple[str, str]]:
    for name, each in getattr(resource.filterset_class, "base_filters", {}).items():
        paths = {str(each.field_name), *resource.filter_reads.get(name, ())}
        if to_field := each.extra.get("to_field_name"):
            paths.add(f"{each.field_name}{LOOKUP_SEP}{to_field}")
        for path in sorted(paths):
            # Of a method it is a mere name; of grouped rows it may be one of the rows before they were grouped.
            for asked in (rows.order_by(), rows.model._base_manager.using(rows.db).order_by()):
                with suppress(FieldError, TypeError):
                    yield _text(asked.values_list(path))


def _fetched_beside(rows: Rows) -> Iterator[Rows]:
    found: Any = rows
    for lookup in found._prefetch_related_lookups:
        path = lookup.prefetch_through if isinstance(lookup, Prefetch) else str(lookup)
        model: Any = rows.model
        for part in path.split(LOOKUP_SEP):
            try:
                field = model._meta.get_field(part)
            except FieldDoesNotExist:
                break  # of a generic relation, or under another name: what it leads to is the project's to say
            relation = getattr(field, "remote_field", None)
            if through := getattr(relation, "through", None) or getattr(field, "through", None):
                yield through._base_manager.all()
            model = field.related_model
            yield model._base_manager.all()
        if isinstance(lookup, Prefetch) and lookup.queryset is not None:
            yield lookup.queryset


def _text(rows: Rows) -> tuple[str, str]:
    return rows.db, literal(rows.db, *compiler_of(rows.query, rows.db).as_sql())
