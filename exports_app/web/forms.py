"""The form of a new export, made from what the resource declares. Whether values fit is the service's word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from django import forms

from exports_app import errors
from exports_app.pipeline.formats import FORMATS
from exports_app.plan import Request
from exports_app.resources.base import Resource
from exports_app.resources.filters import FilterInput, describe
from exports_app.resources.queries import fields_of
from exports_app.web import words
from exports_app.web.controls import filter_field, parameter_fields, value_of

FEW_CHOICES = 8
FILTER = "filter-"
PARAMETER = "parameter-"
BIGGEST_LIMIT = 2**62


@dataclass(frozen=True, slots=True)
class FilterGroup:
    """One filter, or the two ends of a range under one legend."""

    legend: str
    fields: list[forms.BoundField]
    control: str
    """``boxes`` (few choices), ``list`` (many), ``range`` or ``plain``."""


class ExportForm(forms.Form):
    """Format, filters, columns and limit for one resource and one user."""

    format = forms.ChoiceField(widget=forms.RadioSelect)
    compression = forms.ChoiceField(required=False, choices=[("", "None"), ("gzip", "gzip")], widget=forms.RadioSelect)
    limit = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=BIGGEST_LIMIT,
        label="Row limit",
        widget=forms.NumberInput(attrs={"placeholder": "No limit", "data-testid": "limit"}),
    )
    columns = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple, error_messages={"required": "Choose at least one column."}
    )

    def __init__(self, resource: Resource, user: Any, data: Mapping[str, Any] | None = None) -> None:
        names = list(resource.formats or FORMATS)
        columns = resource.visible_columns(user)
        initial = {"format": names[0], "compression": "", "columns": [column.name for column in columns]}
        super().__init__(data, initial=initial, label_suffix="")
        self.resource = resource
        self.filters = {each.name: each for each in describe(resource)}
        self._field("format").choices = [(name, words.format_name(name)) for name in names]
        if resource.max_rows:
            self.fields["limit"].help_text = f"This data allows {resource.max_rows:,} rows at once."
        self._field("columns").choices = [(field.name, field.label) for field in fields_of(resource, user, columns)]
        self.fields.update({FILTER + name: filter_field(each) for name, each in self.filters.items()})
        parameters = parameter_fields(resource.parameters_class) if resource.parameters_class else {}
        self.parameters = list(parameters)
        self.fields.update({PARAMETER + name: field for name, field in parameters.items()})

    def _field(self, name: str) -> forms.ChoiceField:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        return field

    def formats(self) -> Iterator[tuple[forms.boundfield.BoundWidget, str, bool]]:
        """Each format's radio button, what the format is good for, and whether it can be compressed."""
        for box in self["format"]:
            name = box.data["value"]
            yield box, words.format_use(name), name in words.TEXT_FORMATS

    def parameter_fields(self) -> list[forms.BoundField]:
        """What decides about rows that are not read from a table."""
        return [self[PARAMETER + name] for name in self.parameters]

    def filter_groups(self) -> Iterator[FilterGroup]:
        """The filters in the order of the filterset, neighbours that are one range together."""
        waiting = [(each, self[FILTER + name]) for name, each in self.filters.items()]
        while waiting:
            each, field = waiting.pop(0)
            shared = _shared_words(each, waiting[0][0]) if waiting else ""
            if not shared:
                yield FilterGroup(each.label, [field], _control(each))
                continue
            ends = [(each, field), waiting.pop(0)]
            for end, bound in ends:
                bound.label = end.label[len(shared) :].strip().capitalize()
            yield FilterGroup(shared, [bound for _, bound in ends], "range")

    def to_request(self) -> Request:
        """The cleaned form in the engine's words."""
        given = self.cleaned_data
        filters = {name: value_of(each, given[FILTER + name]) for name, each in self.filters.items()}
        parameters = {name: given[PARAMETER + name] for name in self.parameters}
        return Request(
            resource=self.resource.name,
            format=given["format"],
            compression=(given["compression"] or None) if given["format"] in words.TEXT_FORMATS else None,
            columns=given["columns"],
            filters={name: value for name, value in filters.items() if value is not None},
            limit=given["limit"],
            parameters={name: value for name, value in parameters.items() if value != ""},
            options={},
        )

    def add_refusal(self, error: errors.ExportError) -> None:
        """Show a service's refusal at the fields it names, or above all of them."""
        nested = dict(error.errors or {})
        for group, prefix in (("filters", FILTER), ("parameters", PARAMETER)):
            if isinstance(nested.get(group), Mapping):
                nested |= {prefix + name: texts for name, texts in nested.pop(group).items()}
        known = {name: texts for name, texts in nested.items() if name in self.fields}
        for name, texts in known.items():
            for text in texts if isinstance(error, errors.Invalid) else [str(error)]:
                self.add_error(name, text)
        if len(known) < len(nested) or not known:
            self.add_error(None, str(error))


def _control(filter_input: FilterInput) -> str:
    if not (filter_input.choices and filter_input.multiple):
        return "plain"
    return "boxes" if len(filter_input.choices) <= FEW_CHOICES else "list"


def _shared_words(first: FilterInput, second: FilterInput) -> str:
    """``Booked`` for ``Booked from`` and ``Booked until``; empty where they are no range."""
    pairs = [("_after", "_before"), ("_min", "_max")]
    if not any(
        first.name.endswith(start) and second.name == first.name.removesuffix(start) + end for start, end in pairs
    ):
        return ""
    both = zip(first.label.split(), second.label.split(), strict=False)
    return " ".join(word for word, _ in takewhile(lambda pair: pair[0] == pair[1], both))
