"""Columns that Python computes: how a value is got of an object, and what it must be for a column of its kind."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from numbers import Integral
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.db.models.fields.related_descriptors import ManyToManyDescriptor, ReverseManyToOneDescriptor
from django.db.models.query import ModelIterable

from exports_app.pipeline.formats.labels import stored_kind
from exports_app.pipeline.types import Field, Kind
from exports_app.resources.columns import Column

if TYPE_CHECKING:
    from exports_app.resources.base import Resource

MICROSECOND = timedelta(microseconds=1)


class Misfit(TypeError):
    """A value that no column of this kind can have; the message says what is needed, and may be shown to anybody."""


def getter(column: Column) -> Callable[[Any], Any]:
    """Function that gives the column's value of an object."""
    python = column.python
    if callable(python):
        return python
    names = str(python).split(".")

    def value(instance: Any) -> Any:
        found = instance
        for name in names:
            try:
                found = getattr(found, name)
            except ObjectDoesNotExist:  # nothing at the other end of a relation
                return None
            if isinstance(found, models.Manager):
                raise Misfit(f"{name!r} leads to several rows. Give a function that makes one value of them")
            if callable(found):
                if getattr(found, "alters_data", False):
                    raise Misfit(f"{name!r} changes data")
                found = found()
            if found is None:
                return None
        return found

    return value


# Values of each kind


def as_kind(field: Field) -> Callable[[Any], Any]:
    """Function that gives a value, which is not None, as the formats take it.

    It raises ``Misfit``, saying what is needed, for a value that is no such one: nothing is cut or guessed.
    """
    kind = stored_kind(field)
    if kind is Kind.ARRAY:
        each = as_kind(Field(name=field.name, label=field.label, kind=field.element)) if field.element else None
        return lambda value: _elements(value, each)
    return _AS_KIND.get(kind, _json)


def from_text(field: Field) -> Callable[[str], Any]:
    """Function that reads the text form of a value, that of datetimes excepted: theirs is PostgreSQL's own.

    It raises ``ValueError`` for what Python has no value for: infinity, a year before 1.
    """
    kind = stored_kind(field)
    if kind is Kind.ARRAY:
        if field.element is None:
            return _exact_json
        each = from_text(Field(name=field.name, label=field.label, kind=field.element))
        return lambda text: _each(_exact_json(text), lambda value: each(_as_text(value)))
    return _FROM_TEXT.get(kind, str)


def _elements(value: Any, form: Callable[[Any], Any] | None) -> Any:
    if not isinstance(value, list | tuple):
        raise Misfit("a list is needed")
    return _each(value, form) if form else list(value)


def _each(value: Any, form: Callable[[Any], Any]) -> Any:
    if isinstance(value, list | tuple):
        return [_each(each, form) for each in value]
    return None if value is None else form(value)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, bool) else str(value)


def _text(value: Any) -> str:
    text = str(value.value if isinstance(value, Enum) else value)
    text.encode()  # half of a surrogate pair is no text; raises UnicodeEncodeError
    return text


def _integer(value: Any) -> int:
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Decimal | float) and value == int(value):
        return int(value)
    raise Misfit("an integer is needed")


def _float(value: Any) -> float:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return float(value)
    raise Misfit("a number is needed")


def _decimal(value: Any) -> Decimal:
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    raise Misfit("a Decimal is needed")


def _date(value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise Misfit("a date is needed")


def _datetime(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    raise Misfit("a datetime is needed")


def _instance_of(wanted: type, name: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if isinstance(value, wanted):
            return value
        raise Misfit(f"{name} is needed")

    return check


def _uuid(value: Any) -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (ValueError, TypeError, AttributeError) as error:
        raise Misfit("a UUID is needed") from error


def _binary(value: Any) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise Misfit("bytes are needed")


def _json(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _exact_json(text: str) -> Any:
    """Numbers with all their digits."""
    return json.loads(text, parse_float=Decimal)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return _integer(Decimal(text))


def _seconds(text: str) -> timedelta:
    return int(Decimal(text) * 1_000_000) * MICROSECOND


def _moment(text: str) -> datetime:
    """As PostgreSQL prints it under ISO, with an offset; a date is its first moment in UTC."""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if len(text) == len("2024-01-31") else at


_AS_KIND: Mapping[Kind, Callable[[Any], Any]] = {
    Kind.TEXT: _text,
    Kind.INTEGER: _integer,
    Kind.FLOAT: _float,
    Kind.DECIMAL: _decimal,
    Kind.BOOLEAN: _instance_of(bool, "True or False"),
    Kind.DATE: _date,
    Kind.DATETIME: _datetime,
    Kind.TIME: _instance_of(time, "a time"),
    Kind.DURATION: _instance_of(timedelta, "a timedelta"),
    Kind.UUID: _uuid,
    Kind.BINARY: _binary,
}
_FROM_TEXT: Mapping[Kind, Callable[[str], Any]] = {
    Kind.INTEGER: _whole,
    Kind.FLOAT: float,
    Kind.DECIMAL: Decimal,
    Kind.BOOLEAN: lambda text: text == "true",
    Kind.DATE: date.fromisoformat,
    Kind.DATETIME: _moment,
    Kind.TIME: time.fromisoformat,
    Kind.DURATION: _seconds,
    Kind.UUID: UUID,
    Kind.JSON: _exact_json,
    Kind.BINARY: base64.b64decode,
}
MISFITS = (TypeError, ValueError, OverflowError, InvalidOperation)
"""What the functions above raise."""


# System checks


def problems(
    resource: Resource, rows: models.QuerySet[Any, Any] | None, *, is_plain: bool
) -> Iterator[tuple[str, str, str]]:
    """What is wrong with the declared columns: a sentence's end, the way out, and the number of the check.

    ``rows``: what ``get_queryset`` returns, where that is known. ``is_plain``: it is surely the model's, nothing added.
    """
    for column in resource.get_columns():
        if not column.reads_object:
            continue
        named = f"has the column {column.name!r}, which Python computes"
        if resource.is_python():
            yield f"{named}, but its rows have no objects", "Compute it in iter_rows.", "E031"
        elif rows is not None and (why := has_no_objects(rows)):
            yield f"{named} of a row's object, and {why}", "Give an expression, or return rows of a model.", "E031"
        elif column.expression is not None:
            yield f"{named}, and an expression too", "Give one of them.", "E030"
        elif is_plain and (why := _unreadable(resource.model, column.python)):
            yield f"{named}, {why}", "Name a field, property or method of the model, or give a function.", "E030"


def has_no_objects(rows: models.QuerySet[Any, Any]) -> str | None:
    """Why the rows of a queryset have no objects; None: they have."""
    if rows.query.combinator:
        return "rows of a union have none"
    if not issubclass(rows._iterable_class, ModelIterable):
        return "these rows are groups or single values, which have none"
    return None


def _unreadable(model: type[models.Model] | None, python: Any) -> str | None:
    """Why objects of the model cannot give the value; None: they may."""
    if model is None or callable(python):
        return None
    name = str(python).split(".")[0]
    attribute = getattr(model, name, None)
    if attribute is None and not hasattr(model, name):
        return f"but {model.__name__} has no attribute {name!r}"
    if isinstance(attribute, ReverseManyToOneDescriptor | ManyToManyDescriptor):
        return f"but {name!r} leads to several rows"
    return None
