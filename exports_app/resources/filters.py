"""The filters of a resource: which there are, and whether a request's values fit them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import django_filters as df
from django.db.models import QuerySet
from django.http import QueryDict
from django_filters.widgets import SuffixedMultiWidget

from exports_app import errors
from exports_app.resources.base import Resource, User


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterInput:
    """One name that a request may give under ``filters``."""

    name: str
    label: str
    kind: str
    """choice, text, number, date, datetime, boolean: what a form shows."""
    multiple: bool
    """A list means any of."""
    choices: tuple[tuple[str, str], ...] = ()


def describe(resource: Resource) -> list[FilterInput]:
    """The names a request may filter by, in the order of the filterset."""
    if resource.filterset_class is None:
        return []
    inputs: list[FilterInput] = []
    for name, filter_ in resource.filterset_class.base_filters.items():
        inputs += _inputs(resource, name, filter_)
    return inputs


def allowed_filters(resource: Resource, user: User) -> list[FilterInput]:
    """Those of them that narrow by what this user may see."""
    forbidden = forbidden_filters(resource, user)
    return [each for each in describe(resource) if each.name not in forbidden]


def forbidden_filters(resource: Resource, user: User) -> set[str]:
    """Names that narrow by a column which this user may not see: whoever filters by a value learns it."""
    visible = resource.visible_columns(user)
    hidden = {each for column in resource.get_columns() if column not in visible for each in (column.name, column.path)}
    filters = resource.filterset_class.base_filters if resource.filterset_class and hidden else {}
    return {
        each.name
        for name, filter_ in filters.items()
        if name in hidden or filter_.field_name in hidden
        for each in _inputs(resource, name, filter_)
    }


def check(resource: Resource, given: Mapping[str, Any]) -> QueryDict:
    """The given values in the form a filterset reads. Raises ``errors.Invalid`` with the names that are wrong."""
    known = {each.name: each for each in describe(resource)} if given else {}
    wrong: dict[str, list[str]] = {
        name: [errors.unknown("filter", name, sorted(known))] for name in given if name not in known
    }
    data = QueryDict(mutable=True)
    for name, value in given.items():
        if name not in known or value is None:
            continue
        values = value if isinstance(value, list) else [value]
        problem = _shape_problem(known[name], value, values)
        if problem:
            wrong[name] = [problem]
        elif known[name].multiple and _is_csv(resource, name):
            data[name] = ",".join(_text(each) for each in values)
        else:
            data.setlist(name, [_text(each) for each in values])
    if not wrong and resource.filterset_class is not None:
        wrong = _form_errors(resource, data, given)
    if wrong:
        raise errors.Invalid("The filters are not valid.", errors={"filters": wrong})
    return data


def _inputs(resource: Resource, name: str, filter_: df.Filter) -> list[FilterInput]:
    widget = filter_.field.widget
    label = str(filter_.label or name.replace("_", " ")).capitalize()
    kind = _kind(filter_)
    if isinstance(widget, SuffixedMultiWidget):
        return [
            FilterInput(name=f"{name}_{suffix}", label=f"{label} {suffix}", kind=kind, multiple=False)
            for suffix in widget.suffixes
        ]
    choices = tuple(
        (str(value), str(text)) for value, text in getattr(filter_.field, "choices", ()) if value not in (None, "")
    )
    multiple = isinstance(filter_, df.MultipleChoiceFilter | df.BaseInFilter)
    return [FilterInput(name=name, label=label, kind=kind, multiple=multiple, choices=choices)]


def _kind(filter_: df.Filter) -> str:
    kinds: tuple[tuple[tuple[type, ...], str], ...] = (
        ((df.ChoiceFilter, df.MultipleChoiceFilter, df.ModelChoiceFilter), "choice"),
        ((df.BooleanFilter,), "boolean"),
        ((df.NumberFilter, df.RangeFilter), "number"),
        ((df.IsoDateTimeFilter, df.DateTimeFilter), "datetime"),
        ((df.DateFilter, df.DateFromToRangeFilter), "date"),
        ((df.DateTimeFromToRangeFilter, df.IsoDateTimeFromToRangeFilter), "datetime"),
    )
    return next((kind for classes, kind in kinds if isinstance(filter_, classes)), "text")


def _is_csv(resource: Resource, name: str) -> bool:
    filters = resource.filterset_class.base_filters if resource.filterset_class else {}
    return isinstance(filters.get(name), df.BaseInFilter)


def _shape_problem(known: FilterInput, value: Any, values: list[Any]) -> str | None:
    if isinstance(value, list) and not known.multiple:
        return "Give one value, not a list."
    if any(isinstance(each, dict | list) or each is None for each in values):
        return "Give a text, a number, true or false, or a list of them."
    return None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _form_errors(resource: Resource, data: QueryDict, given: Mapping[str, Any]) -> dict[str, list[str]]:
    assert resource.filterset_class is not None  # noqa: S101 - the caller looked
    model = resource.model
    queryset = model._default_manager.none() if model else QuerySet()  # a filterset need not name a model either
    form = resource.filterset_class(data=data, queryset=queryset).form
    found: dict[str, list[str]] = {}
    for name, messages in form.errors.items():
        names = [each for each in given if each == name or each.startswith(f"{name}_")] or [name]
        found.update({each: [str(message) for message in messages] for each in names})
    return found
