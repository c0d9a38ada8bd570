"""FilterSets as django-filter makes them, with a request, and with values that only the user's rows have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import django_filters as df
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django_filters.utils import get_model_field

from exports_app.resources.requests import FilterRequest

Rows = QuerySet[Any, Any]


def bind(filterset_class: type[Any], *, queryset: Rows, request: FilterRequest, moment: datetime) -> df.FilterSet:
    """The filterset of one request, bound to ``request.GET``.

    ``moment``: what today means for it, so that a run which goes on tomorrow means the same rows.
    """
    # A copy of the data: an ``__init__`` that fills in defaults may change what it is given.
    filterset: df.FilterSet = filterset_class(data=request.GET.copy(), queryset=queryset, request=request)
    for filter_ in filterset.filters.values():
        if isinstance(filter_, df.AllValuesFilter | df.AllValuesMultipleFilter):
            _take_own_values(filter_, queryset)
        elif isinstance(filter_, df.ModelChoiceFilter | df.ModelMultipleChoiceFilter):
            _take_keys(filter_, queryset.model)
            _look_up_at_once(filter_.field)
        elif isinstance(filter_, df.DateRangeFilter) and filter_.filters is df.DateRangeFilter.filters:
            filter_.filters = _ranges(moment)  # type: ignore[assignment]  # the stubs are wrong
    return filterset


def takes_defaults(filterset_class: type[Any]) -> bool:
    """Whether the form of a request without filters may be wrong: something is required, or the class says more."""
    own = ("__init__", "get_form_class", "form", "is_valid", "errors")
    return (
        filterset_class._meta.form is not forms.Form
        or any(getattr(filterset_class, name) is not getattr(df.FilterSet, name) for name in own)
        or any(each.extra.get("required") for each in filterset_class.base_filters.values())
    )


def narrows_always(filterset_class: type[Any] | None) -> bool:
    """Whether it may narrow rows that no filter was given for."""
    own = ("qs", "filter_queryset", "__init__")
    return filterset_class is not None and (
        any(getattr(filterset_class, name) is not getattr(df.FilterSet, name) for name in own)
        or takes_defaults(filterset_class)
    )


# Values of a column


class OwnValues:
    """The values that a column has in the rows of the user; django-filter takes those of all rows, others' included."""

    def __init__(self, rows: Rows, name: str) -> None:
        self.rows, self._name = rows, name

    def __call__(self) -> list[tuple[Any, Any]]:
        """Nothing is offered by itself: ``choices`` reads some of them, within its bounds."""
        return []

    def some(self, most: int) -> list[Any]:
        """The lowest ``most`` values; none where the rows are groups, whose values cannot be told apart from theirs."""
        query = self.rows.query
        if query.combinator or query.group_by or query.distinct or query.is_sliced:
            return []
        values = self.rows.order_by(self._name).values_list(self._name, flat=True).distinct()
        return [value for value in values[: most + 1] if value is not None]

    def has(self, value: Any) -> bool:
        """Whether a row has it."""
        try:
            return self.rows.filter(**{self._name: value}).exists()
        except (ValueError, TypeError, ValidationError):
            return False


class _OwnValuesField:
    values: OwnValues
    null_label: Any
    null_value: Any

    def valid_value(self, value: Any) -> bool:
        return (self.null_label is not None and value == self.null_value) or self.values.has(value)


class _OwnValuesFilter:
    """``field`` without the query for every value that there is."""

    field = df.Filter.field


def _take_own_values(filter_: df.Filter, queryset: Rows) -> None:
    values = OwnValues(queryset, str(filter_.field_name))
    field_class = type("OwnValuesField", (_OwnValuesField, filter_.field_class), {"values": values})
    filter_.field_class, filter_.extra["choices"] = field_class, values
    filter_.__class__ = type(type(filter_).__name__, (_OwnValuesFilter, type(filter_)), {})


# Rows in place of values


def _look_up_at_once(field: forms.Field) -> None:
    """Django makes a query for each value, only to see whether the key's type takes it: 0.1 ms each."""
    own: Any = forms.ModelMultipleChoiceField
    if isinstance(field, own) and type(field)._check_values is own._check_values:
        field._check_values = partial(_rows_of, field)


def _rows_of(field: Any, values: Iterable[Any]) -> Rows:
    """The rows with these keys. Raises ``ValidationError`` as Django does, for a value that none has."""

    def no(code: str, **parameters: Any) -> ValidationError:
        return ValidationError(field.error_messages[code], code=code, params=parameters)

    try:
        given = frozenset(values)
    except TypeError:
        raise no("invalid_list") from None
    name = field.to_field_name or "pk"
    meta = field.queryset.model._meta
    key = meta.get_field(name) if field.to_field_name else meta.pk
    for value in given:
        try:
            key.get_prep_value(value)
        except (ValueError, TypeError, ValidationError):
            raise no("invalid_pk_value", pk=value) from None
    rows: Rows = field.queryset.filter(**{f"{name}__in": given})
    found = {str(getattr(row, name)) for row in rows}
    for value in given:
        if str(value) not in found:
            raise no("invalid_choice", value=value)
    return rows


class _KeysFilter:
    def filter(self, qs: Rows, value: Any) -> Rows:
        values = [_key(self, each) for each in value] if isinstance(value, list) else _key(self, value)
        found: Rows = super().filter(qs, values)  # type: ignore[misc]  # mixed into a filter
        return found


def _key(filter_: Any, value: Any) -> Any:
    return value.serializable_value(filter_.field.to_field_name or "pk") if isinstance(value, Model) else value


def _take_keys(filter_: df.Filter, model: Any) -> None:
    """Where rows are offered for a field that is no relation, such as an id, compare it with their keys."""
    field = get_model_field(model, str(filter_.field_name))
    if not getattr(field, "is_relation", False):
        filter_.__class__ = type(type(filter_).__name__, (_KeysFilter, type(filter_)), {})


# Days


def _ranges(moment: datetime) -> Mapping[str, Callable[[Rows, str], Rows]]:
    """``DateRangeFilter.filters``, which ask the clock."""
    yesterday = moment - timedelta(days=1)

    def day(rows: Rows, name: str, at: datetime) -> Rows:
        return rows.filter(**{f"{name}__year": at.year, f"{name}__month": at.month, f"{name}__day": at.day})

    def week(rows: Rows, name: str) -> Rows:
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        first, end = midnight - timedelta(days=7), midnight + timedelta(days=1)
        return rows.filter(**{f"{name}__gte": first, f"{name}__lt": end})

    return {
        "today": lambda rows, name: day(rows, name, moment),
        "yesterday": lambda rows, name: day(rows, name, yesterday),
        "week": week,
        "month": lambda rows, name: rows.filter(**{f"{name}__year": moment.year, f"{name}__month": moment.month}),
        "year": lambda rows, name: rows.filter(**{f"{name}__year": moment.year}),
    }
