"""From a resource and a user's choice to one query without parameters, and the fields of its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import connections, models
from django.db.models.constants import LOOKUP_SEP
from django.db.models.expressions import Col, ExpressionWrapper
from django.db.models.functions import Cast

from exports_app import errors
from exports_app.connections import require_postgresql
from exports_app.pipeline.sources.sql import Query
from exports_app.pipeline.types import Field
from exports_app.resources import filtersets, keys, meaning, statements
from exports_app.resources.base import Resource, User
from exports_app.resources.columns import Column
from exports_app.resources.converters import Decoder, decoder, finished_sql, orm_decoder
from exports_app.resources.databases import beside
from exports_app.resources.filters import check, forbidden_filters
from exports_app.resources.keys import is_unique_key as is_unique_key
from exports_app.resources.literals import clock_stands
from exports_app.resources.requests import FilterRequest
from exports_app.resources.timeouts import short_question

Rows = models.QuerySet[Any, Any]

HAS_DIGITS = (Col, Cast, ExpressionWrapper)
"""Expressions whose values have the digits of their output field: kept by PostgreSQL, or declared for this very
expression. Others take the field of what they are made from: a sum of numeric(12, 2) has more than 12."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """A column and the header that the request wants for it."""

    column: Column
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A query, and what is known of its columns."""

    database: str
    query: Query
    fields: list[Field]
    expressions: list[Any]
    """The ORM's, one for each field."""

    @property
    def decoders(self) -> list[Decoder | None]:
        """What only Python can do to the values of each column; None: nothing."""
        return [decoder(expression, connections[self.database]) for expression in self.expressions]

    @property
    def orm_decoders(self) -> list[Decoder]:
        """All that the ORM does to the values of each column."""
        return [orm_decoder(expression, connections[self.database]) for expression in self.expressions]


def user_rows(resource: Resource, user: User) -> models.QuerySet[Any, Any]:
    """All rows that the user may export, the same ones each time: where the order decides, it is a total one.

    Raises ``ImproperlyConfigured`` where ``get_queryset`` returns what cannot be exported.
    """
    queryset = resource.get_queryset(user)
    if why := meaning.refusal(queryset):
        raise ImproperlyConfigured(f"{type(resource).__name__}.get_queryset {why}.")
    return meaning.steady(queryset, resource.key_paths())


def select_rows(
    resource: Resource, user: User, *, filters: Mapping[str, Any], ids: Sequence[Any] | None, shown: bool = False
) -> models.QuerySet[Any, Any]:
    """The user's rows, narrowed: filters and ids choose among the rows of ``get_queryset``, also of a slice.

    Raises ``errors.Invalid`` for filters and ids that do not fit. Filters on columns that the user may not see are
    unknown; where their names were ``shown`` to the user lawfully, ``errors.ColumnForbidden``.
    """
    hidden = forbidden_filters(resource, user) if filters else set()
    if shown and (forbidden := sorted(hidden & filters.keys())):
        raise errors.ColumnForbidden(f"You may not filter by {forbidden[0]}.", errors={"filters": forbidden})
    rows = user_rows(resource, user)
    with short_question(rows.db) if filters else nullcontext():
        data = check(resource, user, filters, rows, hidden=hidden)
        resource.request = FilterRequest(user, data)
        if data or ids is not None or filtersets.narrows_always(resource.filterset_class):
            rows = _narrowable(resource, rows, "ids" if ids is not None and not data else "filters")
        queryset = resource.filter_queryset(rows, data)
    if meaning.is_row_of_model(rows):
        queryset = meaning.narrowed_by_windows(rows, queryset)
    return queryset if ids is None else keys.with_ids(resource, queryset, ids)


def related_rows(
    resource: Resource, user: User, main: models.QuerySet[Any, Any], via: str | None
) -> models.QuerySet[Any, Any]:
    """The user's rows of another resource; with ``via``, a path to the main rows, those that belong to one of them."""
    rows = user_rows(resource, user)
    if via is None or resource.model is None:
        return rows
    rows = beside(rows, main)
    keys_of_main = meaning.primary_keys(main).using(main.db)
    belonging = resource.model._base_manager.using(main.db).filter(**{f"{via}__in": keys_of_main})
    return _narrowable(resource, rows, "sheets").using(main.db).filter(pk__in=belonging.order_by().values("pk"))


def first_rows(resource: Resource, queryset: models.QuerySet[Any, Any], limit: int) -> models.QuerySet[Any, Any]:
    """The first ``limit`` rows in the order of the key."""
    rows = _narrowable(resource, queryset, "limit")
    return rows.filter(pk__in=rows.order_by(*resource.key_paths()).values("pk")[:limit])


def compile_query(
    resource: Resource,
    queryset: models.QuerySet[Any, Any],
    selected: Sequence[Selected],
    *,
    whole: models.QuerySet[Any, Any] | None = None,
) -> tuple[Query, list[Field]]:
    """Query and fields of ``compile_columns``."""
    compiled = compile_columns(resource, queryset, selected, whole=whole)
    return compiled.query, compiled.fields


def compile_columns(
    resource: Resource, queryset: Rows, selected: Sequence[Selected], *, whole: Rows | None = None
) -> Compiled:
    """SQL with literals in place, its columns first the selected ones, then the key's.

    ``whole``: the rows before filters chose among them, which is what window functions see; None: ``queryset``.
    Raises ``ImproperlyConfigured`` for columns that would change which rows there are.
    """
    require_postgresql(queryset.db)
    with clock_stands(resource.moment):
        return _compile(resource, queryset, selected, whole)


def _compile(resource: Resource, queryset: Rows, selected: Sequence[Selected], whole: Rows | None) -> Compiled:
    computed = {_name(each.column): each.column.expression for each in selected if each.column.is_computed}
    paths = [_name(each.column) for each in selected]
    key = resource.key_paths()
    wanted = [*paths, *key]
    names = list(dict.fromkeys(wanted))
    statement = statements.select(queryset, computed, names)
    text, outputs = statement.text, statement.outputs
    rows, read = statement.rows, statement.read
    proven = rows is not None and keys.is_proven(resource, rows)
    if whole is not None and any(_has_window(output) for output in outputs.values()):
        every = statements.select(whole, computed, names).text
        if every != text:
            text = statements.chosen(every, names, _chosen_keys(resource, queryset), key, proven=proven)
    if names != wanted:
        text = statements.pick(text, [names.index(name) for name in wanted], len(names))
    expressions = [outputs[path] for path in paths]
    text = _finished(text, expressions, len(key), connections[queryset.db])
    count = statements.rows_text(queryset)
    query = Query(
        text=text,
        columns=len(paths),
        keys=len(key),
        proven_key=proven,
        names=tuple(each.column.name for each in selected),
        unique=keys.uniques(resource, rows, read) if rows is not None and read is not None else (),
        bare=count,
        count=count,
        keys_text=statements.keys_text(queryset, key),
    )
    fields = [_field(each, output) for each, output in zip(selected, expressions, strict=True)]
    return Compiled(database=queryset.db, query=query, fields=fields, expressions=expressions)


def fields_of(resource: Resource, user: User, columns: Sequence[Column]) -> list[Field]:
    """Name, label and kind of columns, without reading a row."""
    if resource.is_python():
        return [column.field(None) for column in columns]
    selected = [Selected(column=column) for column in columns if not column.reads_object]
    found = iter(compile_query(resource, user_rows(resource, user), selected)[1] if selected else ())
    return [column.field(None) if column.reads_object else next(found) for column in columns]


def multivalued_hop(model: type[models.Model], path: str) -> str | None:
    """The part of an ORM path that can lead to several rows, or None."""
    current: type[models.Model] | None = model
    for part in path.split(LOOKUP_SEP):
        if current is None:
            return None
        try:
            field = current._meta.get_field(part)
        except FieldDoesNotExist:
            return None
        if field.many_to_many or field.one_to_many:
            return part
        current = field.related_model
    return None


def _narrowable(resource: Resource, rows: models.QuerySet[Any, Any], field: str) -> models.QuerySet[Any, Any]:
    narrowable = meaning.narrowable(rows, resource.key_paths())
    if narrowable is None:
        raise errors.Invalid.of(
            field, "This data cannot be narrowed: it is a choice of groups, joined rows or unions. Ask for all of it."
        )
    return narrowable


def _name(column: Column) -> str:
    """What tells a column from the others: no path begins like the name of a computed one."""
    return f"{statements.COMPUTED}{column.name}" if column.is_computed else column.path


def _finished(text: str, expressions: Sequence[Any], keys: int, connection: Any) -> str:
    """The same rows, with the values as the ORM has them where PostgreSQL can make them so."""
    inner = [f"u{n}" for n in range(1, len(expressions) + keys + 1)]
    outer = [finished_sql(expression, column, connection) for expression, column in zip(expressions, inner)]  # noqa: B905
    outer += inner[len(expressions) :]
    return text if outer == inner else f"SELECT {', '.join(outer)} FROM ({text}) AS u({', '.join(inner)})"  # noqa: S608


def _field(selected: Selected, output: Any) -> Field:
    return selected.column.field(
        getattr(output, "output_field", None),
        label=selected.label,
        has_digits=isinstance(output, HAS_DIGITS),
        expression=output,
    )


def _has_window(expression: Any) -> bool:
    return bool(getattr(expression, "contains_over_clause", False))


def _chosen_keys(resource: Resource, queryset: models.QuerySet[Any, Any]) -> str:
    """SQL of the keys alone, which no window function computes."""
    statement = statements.select(queryset, {}, list(dict.fromkeys(resource.key_paths())))
    if any(_has_window(output) for output in statement.outputs.values()):
        raise ImproperlyConfigured(
            f"The key of {type(resource).__name__} is a window function, so that filters would change it. "
            "Take fields that are unique and stay the same."
        )
    return statement.text
