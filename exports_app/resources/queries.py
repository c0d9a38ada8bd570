"""From a resource and a user's choice to one query without parameters, and the fields of its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connection, models
from django.db.models.constants import LOOKUP_SEP
from django.db.models.expressions import Col, ExpressionWrapper
from django.db.models.functions import Cast
from django.db.models.sql.datastructures import Join

from exports_app import errors
from exports_app.pipeline.sources.sql import Query
from exports_app.pipeline.types import Field
from exports_app.resources.base import Resource, User
from exports_app.resources.columns import Column
from exports_app.resources.filters import check, forbidden_filters

HAS_DIGITS = (Col, Cast, ExpressionWrapper)
"""Expressions whose values have the digits of their output field: kept by PostgreSQL, or declared for this very
expression. Others take the field of what they are made from: a sum of numeric(12, 2) has more than 12."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """A column and the header that the request wants for it."""

    column: Column
    label: str | None = None


def select_rows(
    resource: Resource, user: User, *, filters: Mapping[str, Any], ids: Sequence[Any] | None
) -> models.QuerySet[Any, Any]:
    """The user's rows, narrowed.

    Raises ``errors.Invalid`` for filters and ids that do not fit, ``errors.ColumnForbidden`` for filters on columns
    that the user may not see.
    """
    if forbidden := sorted(forbidden_filters(resource, user) & filters.keys()):
        raise errors.ColumnForbidden(f"You may not filter by {forbidden[0]}.", errors={"filters": forbidden})
    queryset = resource.filter_queryset(resource.get_queryset(user), check(resource, filters))
    if ids is not None:
        queryset = queryset.filter(pk__in=_primary_keys(resource, queryset, ids))
    return queryset


def compile_query(
    resource: Resource,
    queryset: models.QuerySet[Any, Any],
    selected: Sequence[Selected],
    *,
    whole: models.QuerySet[Any, Any] | None = None,
) -> tuple[Query, list[Field]]:
    """SQL with literals in place, its columns first the selected ones, then the key's.

    ``whole``: the rows before filters chose among them, which is what window functions see; None: ``queryset``.
    """
    computed = {each.column.path: each.column.expression for each in selected if each.column.is_computed}
    paths = [each.column.path for each in selected]
    keys = resource.key_paths()
    wanted = [*paths, *keys]
    names = list(dict.fromkeys(wanted))
    text, outputs = _compile(queryset, computed, names)
    proven = has_proven_key(resource, queryset)
    windowed = any(_has_window(output) for output in outputs.values())
    if whole is not None and windowed:
        every, _ = _compile(whole, computed, names)
        if every != text:
            text = _chosen(every, names, _keys_text(resource, queryset), keys, proven=proven)
    if names != wanted:
        text = _rearrange(text, [names.index(name) for name in wanted], len(names))
    # Without columns only where a row of the query is one of the model: a grouped one is grouped by its columns.
    bare = _keys_text(resource, queryset) if resource._is_plain(queryset) and not windowed else ""
    titles = tuple(each.column.name for each in selected)
    query = Query(text=text, columns=len(paths), keys=len(keys), proven_key=proven, bare=bare, names=titles)
    return query, [_field(each, outputs[path]) for each, path in zip(selected, paths, strict=True)]


def fields_of(resource: Resource, user: User, columns: Sequence[Column]) -> list[Field]:
    """Name, label and kind of columns, without reading a row."""
    if resource.is_python():
        return [column.field(None) for column in columns]
    selected = [Selected(column=column) for column in columns]
    return compile_query(resource, resource.get_queryset(user), selected)[1]


def has_proven_key(resource: Resource, queryset: models.QuerySet[Any, Any]) -> bool:
    """Whether constraints of the database say that the key is unique and not NULL in these rows."""
    if resource.model is None or not resource._is_plain(queryset) or _multiplies(queryset):
        return False
    return is_unique_key(resource.model, resource.key_paths())


def is_unique_key(model: type[models.Model], key: Sequence[str]) -> bool:
    """Whether a constraint makes ``key`` unique and each of its fields NOT NULL."""
    by_name = {name: field for field in model._meta.concrete_fields for name in (field.name, field.attname)}
    fields = [by_name.get(path) for path in key]
    if any(field is None or field.null for field in fields):
        return False
    names = {field.name for field in fields if field is not None}
    uniques: list[set[str]] = [{field.name} for field in model._meta.concrete_fields if field.unique]
    uniques += [set(group) for group in model._meta.unique_together]
    uniques += [
        set(constraint.fields)
        for constraint in model._meta.total_unique_constraints
        if constraint.fields and constraint.nulls_distinct is None
    ]
    return any(unique <= names for unique in uniques)


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


def _multiplies(queryset: models.QuerySet[Any, Any]) -> bool:
    joins = [join for join in queryset.query.alias_map.values() if isinstance(join, Join)]
    return any(
        isinstance(join.join_field, models.ForeignObjectRel) and not join.join_field.field.unique for join in joins
    )


def _primary_keys(resource: Resource, queryset: models.QuerySet[Any, Any], ids: Sequence[Any]) -> list[Any]:
    query = queryset.query
    if resource.model is None or query.group_by or query.combinator:
        raise errors.Invalid("This data has no ids.", errors={"ids": ["This data cannot be chosen by id."]})
    primary = resource.model._meta.pk
    try:
        return [primary.to_python(each) for each in ids]
    except Exception as error:  # ValidationError of any field class, TypeError of unhashable JSON
        raise errors.Invalid(
            "The ids are not valid.", errors={"ids": [f"Each id must be a {primary.get_internal_type()}."]}
        ) from error


def _compile(
    queryset: models.QuerySet[Any, Any], computed: Mapping[str, Any], names: Sequence[str]
) -> tuple[str, dict[str, Any]]:
    """SQL that selects ``names``, and the expression of each."""
    rows = queryset.order_by()
    if computed:
        rows = rows.annotate(**computed)
    # elide_empty=False: a queryset that can match nothing is still a query, with columns and no rows.
    compiler = rows.values_list(*names).query.get_compiler(DEFAULT_DB_ALIAS, elide_empty=False)
    statement, parameters = compiler.as_sql()
    text = connection.ops.compose_sql(statement, parameters)  # type: ignore[attr-defined]  # PostgreSQL's
    return text, dict(zip(names, [expression for expression, *_ in compiler.select], strict=True))


def _field(selected: Selected, output: Any) -> Field:
    return selected.column.field(
        getattr(output, "output_field", None),
        label=selected.label,
        has_digits=isinstance(output, HAS_DIGITS),
        expression=output,
    )


def _has_window(expression: Any) -> bool:
    return bool(getattr(expression, "contains_over_clause", False))


def _keys_text(resource: Resource, queryset: models.QuerySet[Any, Any]) -> str:
    """SQL of the keys alone, which no window function computes."""
    text, outputs = _compile(queryset, {}, list(dict.fromkeys(resource.key_paths())))
    if any(_has_window(output) for output in outputs.values()):
        raise ImproperlyConfigured(
            f"The key of {type(resource).__name__} is a window function, so that filters would change it. "
            "Take fields that are unique and stay the same."
        )
    return text


def _chosen(every: str, names: Sequence[str], keys_text: str, keys: Sequence[str], *, proven: bool) -> str:
    """The rows of ``every`` whose key is among those of ``keys_text``.

    ``IN`` would drop a NULL in silence: where the key is not proven, such a row stays, for the probe to find.
    """
    columns = [f"u{n}" for n in range(1, len(names) + 1)]
    at = {name: column for name, column in zip(names, columns, strict=True) if name in keys}
    chosen = ", ".join(at[key] for key in dict.fromkeys(keys))
    text = (
        f"SELECT * FROM ({every}) AS u({', '.join(columns)}) "  # noqa: S608 - compiled by Django
        f"WHERE ({chosen}) IN (SELECT * FROM ({keys_text}) AS n)"
    )
    if proven:
        return text
    blank = ", ".join(column if column in at.values() else "NULL" for column in columns)
    nulls = " OR ".join(f"{column} IS NULL" for column in at.values())
    return f"{text} UNION ALL SELECT {blank} FROM ({keys_text}) AS n({chosen}) WHERE {nulls}"  # noqa: S608


def _rearrange(text: str, positions: Sequence[int], width: int) -> str:
    """The same rows with columns repeated or moved: a key that is also a column is selected once inside."""
    inner = ", ".join(f"u{n}" for n in range(1, width + 1))
    outer = ", ".join(f"u{position + 1}" for position in positions)
    return f"SELECT {outer} FROM ({text}) AS u({inner})"  # noqa: S608 - compiled by Django
