"""Keys: what makes one unique, and which rows primary keys name."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, models
from django.utils import timezone

from exports_app import errors
from exports_app.pipeline.sources.keys import Unique
from exports_app.resources.base import Resource
from exports_app.resources.meaning import can_repeat, is_repeated, is_row_of_model, joins

Rows = models.QuerySet[Any, Any]


def is_proven(resource: Resource, rows: Rows) -> bool:
    """Whether declared constraints say that the key is unique and not NULL in these rows.

    An unmanaged model proves nothing: what it declares is nobody's constraint.
    """
    model = resource.model
    if model is None or rows.model is not model or not model._meta.managed or rows.query.group_by is not None:
        return False
    key = resource.key_paths()
    return is_row_of_model(rows) and not is_repeated(rows) and is_unique_key(model, key) and _is_stored(model, key)


def is_unproven(resource: Resource, queryset: Rows) -> bool:
    """Whether a key of a managed model's own fields is none by its constraints, in rows that are the model's.

    Groups, ``distinct("x")`` and joins have keys of their own, of which constraints say nothing.
    """
    model, query = resource.model, queryset.query
    if model is None or queryset.model is not model or not model._meta.managed:
        return False
    if query.group_by is not None or query.distinct or query.combinator or not is_row_of_model(queryset):
        return False
    key = resource.key_paths()
    return not is_repeated(queryset) and bool(_fields(model, key)) and not is_unique_key(model, key)


def is_unique_key(model: type[models.Model], key: Sequence[str]) -> bool:
    """Whether a model declares a constraint that makes ``key`` unique, and each of its fields NOT NULL."""
    fields = _fields(model, key)
    if not fields or any(field.null for field in fields):
        return False
    names = {field.name for field in fields}
    uniques: list[set[str]] = [{field.name} for field in model._meta.concrete_fields if field.unique]
    uniques += [{field.name for field in model._meta.pk_fields}]
    uniques += [set(group) for group in model._meta.unique_together]
    uniques += [
        set(constraint.fields)
        for constraint in model._meta.total_unique_constraints
        if constraint.fields and constraint.nulls_distinct is None
    ]
    return any(unique <= names for unique in uniques)


def uniques(resource: Resource, rows: Rows, read: Rows) -> tuple[Unique, ...]:
    """What the database must make unique so that no key of ``rows`` can be doubled; empty: no index can tell.

    ``read`` are the same rows with the columns of an export, and so with the joins to these.
    """
    model, query = resource.model, read.query
    fields = _fields(model, resource.key_paths()) if model is not None and rows.model is model else []
    tables = {field.model._meta.db_table for field in fields}
    # Columns of a parent's table and of its child's have no index in common.
    if len(tables) != 1 or not is_row_of_model(rows) or is_repeated(rows) or not all(map(_is_selected, fields)):
        return ()
    found = [Unique(table=_quoted(tables.pop()), columns=tuple(str(field.column) for field in fields), filled=True)]
    for join in joins(query):
        if not can_repeat(join):
            columns = tuple(column for _, column in join.join_cols)
            found.append(Unique(table=_quoted(join.table_name), columns=columns))
        elif query.group_by is None:
            return ()
    return tuple(found)


def with_ids(resource: Resource, queryset: Rows, ids: Sequence[Any]) -> Rows:
    """The rows whose primary keys are among ``ids``: of a composite key, a list each.

    Raises ``errors.Invalid`` with the first one that cannot be a primary key.
    """
    query = queryset.query
    if resource.model is None or query.group_by or query.combinator:
        raise errors.Invalid("This data has no ids.", errors={"ids": ["This data cannot be chosen by id."]})
    fields = resource.model._meta.pk_fields
    primary_keys = [_primary_key(fields, each) for each in ids]
    return queryset.filter(pk__in=primary_keys)


def _fields(model: type[models.Model], key: Sequence[str]) -> list[models.Field[Any, Any]]:
    """The fields of a key; none where one of its names is no field."""
    by_name = {name: field for field in model._meta.concrete_fields for name in (field.name, field.attname)}
    primary = [field.name for field in model._meta.pk_fields]
    found = [by_name.get(path) for name in key for path in (primary if name == "pk" else [name])]
    return [field for field in found if field is not None] if None not in found else []


def _is_stored(model: type[models.Model], key: Sequence[str]) -> bool:
    """Whether the values that are read are those that constraints speak of."""
    return all(map(_is_selected, _fields(model, key)))


def _is_selected(field: models.Field[Any, Any]) -> bool:
    """Whether queries select the field's column itself, and no expression of it."""
    return type(_target(field)).select_format is models.Field.select_format


def _target(field: Any) -> Any:
    """The field whose values it has."""
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    return field


def _quoted(table: str) -> str:
    return str(connection.ops.quote_name(table))


def _primary_key(fields: Sequence[models.Field[Any, Any]], given: Any) -> Any:
    if len(fields) == 1:
        return _value(fields[0], given, given)
    if not isinstance(given, list | tuple) or len(given) != len(fields):
        names = ", ".join(field.name for field in fields)
        raise _wrong(given, f"a list [{names}]")
    return tuple(_value(field, each, given) for field, each in zip(fields, given, strict=True))


def _value(field: models.Field[Any, Any], given: Any, whole: Any) -> Any:
    target = _target(field)
    kind = target.get_internal_type()
    try:
        if isinstance(given, str):
            given.encode()  # half a surrogate pair is no text
        value = target.to_python(given)
        if value is None or not _is_plain_value(target, given):
            raise ValueError(given)
        if isinstance(value, int):
            _check_range(kind, value)
        if isinstance(value, datetime) and settings.USE_TZ and timezone.is_naive(value):
            value = timezone.make_aware(value)
        target.get_db_prep_value(value, connection)
    except Exception as error:  # ValidationError of any field class, TypeError of unhashable JSON
        raise _wrong(whole, f"a {kind}") from error
    return value


def _is_plain_value(field: Any, given: Any) -> bool:
    """Whether ``to_python`` takes it for what it is: not 1.5 for 1, true for 1, or a list for its text."""
    if isinstance(given, dict | list):
        return not isinstance(field, models.CharField | models.TextField)
    if isinstance(given, bool):
        return isinstance(field, models.BooleanField)
    if isinstance(given, float):
        return not isinstance(field, models.IntegerField) or given.is_integer()
    if isinstance(given, str) and isinstance(field, models.BinaryField):
        base64.b64decode(given, validate=True)  # to_python passes over what is no base64
    return not isinstance(given, str) or "\0" not in given


def _check_range(kind: str, value: int) -> None:
    lowest, highest = connection.ops.integer_field_ranges.get(kind, (value, value))
    if not lowest <= value <= highest:
        raise ValueError(value)


def _wrong(given: Any, kind: str) -> errors.Invalid:
    shown = repr(given) if len(repr(given)) <= 60 else f"{repr(given)[:57]}..."
    return errors.Invalid("The ids are not valid.", errors={"ids": [f"Each id must be {kind}, not {shown}."]})
