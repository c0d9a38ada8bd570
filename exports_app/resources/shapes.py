"""Whether the attributes of a resource are what they should be, each with its right spelling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.utils.functional import Promise
from django_filters.filterset import BaseFilterSet

from exports_app.pipeline.types import Kind
from exports_app.resources.base import Resource, Sheet
from exports_app.resources.columns import Column
from exports_app.resources.retry import RetryPolicy


@dataclass(frozen=True, slots=True)
class Misshapen:
    """An attribute that cannot be used."""

    what: str
    """Goes on behind the name of the class."""
    hint: str


def problems(declared: Any) -> Iterator[Misshapen]:
    """What is wrong with a class as it is written, without calling anything of it."""
    if not (isinstance(declared, type) and issubclass(declared, Resource)):
        yield Misshapen("is no Resource", "Write class …(Resource), from exports_app.resources.")
        return
    for name, (fits, spelling) in SHAPES.items():
        value = getattr(declared, name, None)
        if not fits(value):
            yield Misshapen(f"has {name} = {shown(value)}", f"Write {spelling}.")
    for name in METHODS:
        if not callable(getattr(declared, name, None)):
            yield Misshapen(f"has {name} = {shown(getattr(declared, name))}", f"Write def {name}(self, …).")
    if _is_list_of(Column, str)(declared.columns):
        for column in declared.columns:
            if isinstance(column, Column):
                yield from _namedproblems(column)


def _namedproblems(column: Any) -> Iterator[Misshapen]:
    named = f"has the column {shown(column.name)}"
    if not (isinstance(column.name, str) and column.name):
        yield Misshapen(f"has a column whose name is {shown(column.name)}", 'Write Column("name", …).')
    if column.label is not None and not isinstance(column.label, str | Promise):
        yield Misshapen(f"{named} with label={shown(column.label)}", 'Write label="Text".')
    if column.sensitive is not None and not isinstance(column.sensitive, str):
        yield Misshapen(f"{named} with sensitive={shown(column.sensitive)}", 'Write sensitive="app_label.codename".')
    if column.kind is not None and column.kind not in list(Kind):
        valid = ", ".join(kind.value for kind in Kind)
        yield Misshapen(f"{named} with kind={shown(column.kind)}", f"Valid: {valid}.")


def _is_list_of(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and all(isinstance(each, kinds) for each in value)


def _is_class_of(kind: type) -> Callable[[Any], bool]:
    return lambda value: value is None or (isinstance(value, type) and issubclass(value, kind))


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0)


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str | Promise)


def _is_serializer(value: Any) -> bool:
    return value is None or (isinstance(value, type) and hasattr(value, "is_valid"))


def _is_formats(value: Any) -> bool:
    return value is None or (
        isinstance(value, list | tuple | set | frozenset) and all(isinstance(each, str) for each in value)
    )


def _is_paths(value: Any) -> bool:
    is_paths = _is_list_of(str)
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and is_paths(paths) for name, paths in value.items()
    )


SHAPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "model": (_is_class_of(models.Model), "model = Order, the class itself"),
    "key": (_is_list_of(str), 'key = ("booked_at", "id"), or key = ("id",) with its comma'),
    "filterset_class": (_is_class_of(BaseFilterSet), "filterset_class = OrderFilter, the class without brackets"),
    "max_rows": (_is_number, "max_rows = 500_000, a whole number above 0, or None"),
    "parameters_class": (_is_serializer, "parameters_class = Parameters, a serializer's class without brackets"),
    "columns": (_is_list_of(Column, str), 'columns = ("id", Column("name", label="Name")), or columns = ("id",)'),
    "formats": (_is_formats, 'formats = ("csv", "xlsx"), or formats = ("csv",) with its comma'),
    "filter_reads": (_is_paths, 'filter_reads = {"name": ("path__of__a_field",)}'),
    "sheets": (_is_list_of(Sheet), 'sheets = (Sheet("lines", via="order"),)'),
    "file_ttl": (_is_number, "file_ttl = 3_600, seconds as a whole number above 0, or None"),
    "retry": (lambda value: isinstance(value, RetryPolicy), "retry = RetryPolicy(attempts=3)"),
    "permission": (_is_text, 'permission = "app_label.codename", one text, or None'),
    "title": (_is_text, 'title = "Text"'),
}
"""For each attribute whether a value fits, and how it is written."""
LONGEST_SHOWN = 60
"""Characters."""
METHODS = ("get_queryset", "get_columns", "get_title", "get_description", "iter_rows", "count_rows", "is_allowed")


def shown(value: Any) -> str:
    """The value as its declaration has it, in a few words; a queryset is not read for that."""
    if value is not None and not isinstance(value, str | int | float | list | tuple | type):
        return f"an instance of {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
