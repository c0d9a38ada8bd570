"""The filters of a resource: which there are, and whether a request's values fit them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import django_filters as df
from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.db.models import QuerySet
from django.http import QueryDict
from django_filters.constants import EMPTY_VALUES
from django_filters.fields import BaseCSVField
from django_filters.widgets import BaseCSVWidget, QueryArrayWidget, SuffixedMultiWidget

from exports_app import errors
from exports_app.resources import filtersets, offers, sensitive
from exports_app.resources.base import Resource, User
from exports_app.resources.requests import FilterRequest
from exports_app.resources.values import is_storable, value_problem

MAX_VALUES = 10_000
"""Of one filter."""
MEANT_VALUES = 100
"""Of one filter, of which each is looked for among choices that are written otherwise."""
TRUE, FALSE = ("true", "1"), ("false", "0")
KINDS: tuple[tuple[tuple[type[forms.Field], ...], str], ...] = (
    ((forms.ChoiceField,), "choice"),
    ((forms.NullBooleanField, forms.BooleanField), "boolean"),
    ((forms.DateTimeField,), "datetime"),
    ((forms.DateField,), "date"),
    ((forms.IntegerField,), "number"),  # also floats and decimals
)


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
    """Of a kind ``choice`` without any: there are too many to list, or they could not be read in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Input:
    """A name, and the field of the form that reads it."""

    name: str
    label: str
    of: str
    """The filter's own name; a range has two inputs."""
    field: forms.Field
    multiple: bool
    as_list: bool
    """Whether the widget reads several values one by one; otherwise they are one text with commas."""


def describe(resource: Resource, user: User, only: Collection[str] | None = None) -> list[FilterInput]:
    """The names a request may filter by, in the order of the filterset; ``only``: those of them."""
    return [
        FilterInput(
            name=each.name,
            label=each.label,
            kind=_kind(each.field),
            multiple=each.multiple,
            choices=offers.listed(each.field),
        )
        for each in _inputs(resource, user)
        if only is None or each.name in only
    ]


def filter_names(resource: Resource, user: User) -> list[str]:
    """The same names alone, without a look at their choices."""
    return [each.name for each in _inputs(resource, user)]


def allowed_filters(resource: Resource, user: User) -> list[FilterInput]:
    """Those that narrow by what this user may see."""
    forbidden = forbidden_filters(resource, user)
    return [each for each in describe(resource, user) if each.name not in forbidden]


def forbidden_filters(resource: Resource, user: User) -> set[str]:
    """Names that narrow by what this user may not see, in this resource or in another: filtering by it tells it."""
    if resource.filterset_class is None or resource.is_python():
        return set()
    visible = resource.visible_columns(user)
    names = {each for column in resource.get_columns() if column not in visible for each in (column.name, column.path)}
    hidden = sensitive.hidden_fields(user)
    if not names and not hidden:
        return set()
    filterset = _filterset(resource, user, QueryDict())
    rows = resource.get_queryset(user)
    hidden -= sensitive.shown_fields(resource, user, rows)
    filters = {
        name
        for name, each in filterset.filters.items()
        if name in names
        or any(
            path in names or sensitive.behind(rows, path) & hidden
            for path in (str(each.field_name), *resource.filter_reads.get(name, ()))
        )
    }
    return {each.name for each in _inputs_of(filterset) if each.of in filters}


def check(
    resource: Resource,
    user: User,
    given: Mapping[str, Any],
    rows: QuerySet[Any, Any] | None = None,
    *,
    hidden: Collection[str] = (),
) -> QueryDict:
    """The given values in the form a filterset reads. Raises ``errors.Invalid`` with the names that are wrong.

    ``rows``: the user's; None: not known yet. ``hidden``: names that do not exist for them.
    """
    if not given and (resource.filterset_class is None or not filtersets.takes_defaults(resource.filterset_class)):
        return QueryDict()
    inputs = {each.name: each for each in _inputs(resource, user, rows) if each.name not in hidden}
    wrong = _unknown(resource, [name for name in given if name not in inputs], sorted(inputs))
    data = QueryDict(mutable=True)
    for name, value in given.items():
        if name not in inputs or value is None:
            continue
        if problem := _shape_problem(inputs[name], value):
            wrong[name] = [problem]
        else:
            texts = [_text(each) for each in (value if isinstance(value, list) else [value])]
            _put(data, inputs[name], list(dict.fromkeys(texts)))
    if not wrong and resource.filterset_class is not None and not resource.is_python():
        rows = resource.get_queryset(user) if rows is None else rows
        wrong = _form_problems(resource, user, data, inputs, rows)
    if wrong:
        said = " ".join(wrong[NON_FIELD_ERRORS]) if NON_FIELD_ERRORS in wrong else "The filters are not valid."
        raise errors.Invalid(said, errors={"filters": wrong})
    return data


# The filterset and its inputs


def _filterset(resource: Resource, user: User, data: QueryDict, rows: QuerySet[Any, Any] | None = None) -> df.FilterSet:
    assert resource.filterset_class is not None  # noqa: S101 - the callers looked
    return filtersets.bind(
        resource.filterset_class,
        queryset=resource.get_queryset(user) if rows is None else rows,
        request=FilterRequest(user, data),
        moment=resource.moment,
    )


def _inputs(resource: Resource, user: User, rows: QuerySet[Any, Any] | None = None) -> list[_Input]:
    """None for rows that Python makes: they are chosen by parameters."""
    if resource.filterset_class is None or resource.is_python():
        return []
    return list(_inputs_of(_filterset(resource, user, QueryDict(), rows)))


def _inputs_of(filterset: df.FilterSet) -> Iterator[_Input]:
    for name, field in filterset.form.fields.items():
        filter_ = filterset.filters.get(name)
        if filter_ is None or isinstance(filter_, df.OrderingFilter):
            continue
        declared = type(filterset).base_filters.get(name, filter_)  # whose label is what was written, not made up
        label = str(declared.label or name.replace("_", " ")).capitalize()
        yield from _inputs_of_field(name, label, field)


def _inputs_of_field(name: str, label: str, field: forms.Field) -> Iterator[_Input]:
    widget = field.widget
    if isinstance(widget, forms.MultiWidget) and isinstance(field, forms.MultiValueField):
        ends: list[str] = widget.widgets_names  # type: ignore[attr-defined]  # which the stubs leave out
        if isinstance(widget, SuffixedMultiWidget):
            ends = [f"_{end}" if end else "" for end in widget.suffixes]
        for end, part in zip(ends, field.fields, strict=True):
            words = f"{label} {end.strip('_')}".strip()
            yield _Input(name=f"{name}{end}", label=words, of=name, field=part, multiple=False, as_list=True)
        return
    several = isinstance(field, forms.MultipleChoiceField | forms.ModelMultipleChoiceField | BaseCSVField)
    as_list = not isinstance(widget, BaseCSVWidget) or isinstance(widget, QueryArrayWidget)
    yield _Input(name=name, label=label, of=name, field=field, multiple=several, as_list=as_list)


def _kind(field: forms.Field) -> str:
    if offers.is_choice(field) and not isinstance(field.widget, forms.widgets.ChoiceWidget):
        return "text"  # which a person types
    return next((kind for classes, kind in KINDS if isinstance(field, classes)), "text")


# The values


def _unknown(resource: Resource, names: list[str], known: list[str]) -> dict[str, list[str]]:
    wrong = errors.unknown_names("filter", names, known)
    declared = resource.filterset_class.base_filters if resource.filterset_class else {}
    for name in wrong:
        if isinstance(declared.get(name), df.OrderingFilter):
            why = "is no filter: the rows of a file stand in the order of its key. Leave it out."
            wrong[name] = [f"{name} sorts, and {why}"]
        elif resource.is_python():
            wrong[name] = [f"Unknown filter {errors.cut(name)}. This data is chosen by parameters."]
    return wrong


def _shape_problem(known: _Input, value: Any) -> str | None:
    if isinstance(value, list) and not known.multiple:
        return "Give one value, not a list."
    if isinstance(value, list) and len(value) > MAX_VALUES:
        return f"Give {MAX_VALUES:,} values at most; these are {len(value):,}."
    values = value if isinstance(value, list) else [value]
    if any(isinstance(each, dict | list) or each is None for each in values):
        return "Give a text, a number, true or false, or a list of them."
    if any(not is_storable(each) for each in values if isinstance(each, str)):
        return "The text holds a NUL character or half a surrogate pair, which no database stores."
    return None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _put(data: QueryDict, known: _Input, texts: list[str]) -> None:
    """As the widget reads it back: a comma within one of several values does not part it."""
    if isinstance(known.field, forms.NullBooleanField):
        texts = ["true" if each.lower() in TRUE else "false" if each.lower() in FALSE else each for each in texts]
    if known.as_list:
        data.setlist(known.name, texts)
    elif len(texts) > 1 and any("," in each for each in texts):
        data.setlist(known.name, [texts])  # type: ignore[list-item]  # BaseCSVWidget takes a list for what it is
    else:
        data[known.name] = ",".join(texts)


def _form_problems(
    resource: Resource, user: User, data: QueryDict, inputs: Mapping[str, _Input], rows: QuerySet[Any, Any]
) -> dict[str, list[str]]:
    """What is wrong by name; ``data`` is changed where a value means a choice that is written in another way."""
    found = _problems_of(_filterset(resource, user, data, rows).form, data, inputs)
    unmeant: dict[str, list[str]] = {}
    mended = False
    for name, known in inputs.items():
        if name not in found or not offers.is_choice(known.field):
            continue
        before = _texts(data, known)
        if len(before) > MEANT_VALUES:
            continue
        texts, problem = _meant(known, before)
        if problem is not None:
            unmeant[name] = [problem]
        elif texts != before:
            mended = True
            _put(data, known, texts)
    if mended:
        found = _problems_of(_filterset(resource, user, data, rows).form, data, inputs)
    return found | unmeant


def _meant(known: _Input, given: list[str]) -> tuple[list[str], str | None]:
    """The values as the choices are written, or the sentence for the first that is none of them."""
    offered = offers.choices(known.field)
    values = {value for value, _ in offered or ()}
    texts: list[str] = []
    for text in given:
        if text in values or (not offered and _is_valid(known, text)):
            texts.append(text)
        elif (choice := offers.meant(known.field, text, offered)) is not None:
            texts.append(choice)
        else:
            return given, offers.no_such(text, offered)
    return texts, None


def _is_valid(known: _Input, text: str) -> bool:
    try:
        known.field.clean([text] if known.multiple else text)
    except forms.ValidationError:
        return False
    return True


def _texts(data: QueryDict, known: _Input) -> list[str]:
    """The values one by one."""
    values: list[Any] = data.getlist(known.name)
    if known.as_list:
        return values
    return [each for value in values for each in (value if isinstance(value, list) else value.split(","))]


def _problems_of(form: forms.Form, data: QueryDict, inputs: Mapping[str, _Input]) -> dict[str, list[str]]:
    """Of the form, of values that no database takes, and of such as would narrow nothing without a word."""
    found: dict[str, list[str]] = {}
    problems = {name: [str(message) for message in messages] for name, messages in form.errors.items()}
    for name in form.fields:
        given = [each for each in inputs.values() if each.of == name and each.name in data]
        value = form.cleaned_data.get(name)
        if name not in problems and (problem := value_problem(value) or _lost(form, name, data, given)):
            problems[name] = [problem]
    for name, messages in problems.items():
        given = [each for each in inputs.values() if each.of == name and each.name in data]
        guilty = [each for each in given if len(given) > 1 and not _is_valid(each, str(data[each.name]))]
        names = [each.name for each in guilty or given] or [name]
        found.update(dict.fromkeys(names, messages))
    return found


def _lost(form: forms.BaseForm, name: str, data: QueryDict, given: list[_Input]) -> str | None:
    """The sentence where something was given that the field itself makes nothing of."""
    field = form.fields[name]
    if form.cleaned_data.get(name) not in EMPTY_VALUES or not any(
        text.strip() for each in given for text in _texts(data, each)
    ):
        return None
    raw = field.widget.value_from_datadict(form.data, form.files, form.add_prefix(name))
    try:
        if field.clean(raw) not in EMPTY_VALUES:
            return None  # the form decided so
    except forms.ValidationError:
        return None
    return "Give true or false." if _kind(field) == "boolean" else "This value would narrow nothing. Leave it out."
