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

END_OF_DAY = "T23:59:59.999999"
"""A day that a range of moments ends with belongs to it whole."""
ENDS = ("_before", "_until", "_to", "_max", "_lte")
FEW_CHOICES = 8
PREFIX = "filter-"
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
        self.sensitive = {column.name for column in columns if column.sensitive}
        self.filters = {each.name: each for each in describe(resource)}
        self._field("format").choices = [(name, words.format_name(name)) for name in names]
        if resource.max_rows:
            self.fields["limit"].help_text = f"This data allows {resource.max_rows:,} rows at once."
        self._field("columns").choices = [(field.name, field.label) for field in fields_of(resource, user, columns)]
        self.fields.update({PREFIX + name: filter_field(each) for name, each in self.filters.items()})

    def _field(self, name: str) -> forms.ChoiceField:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        return field

    def formats(self) -> Iterator[tuple[forms.boundfield.BoundWidget, str, bool]]:
        """Each format's radio button, what the format is good for, and whether it can be compressed."""
        for box in self["format"]:
            name = box.data["value"]
            yield box, words.format_use(name), name in words.TEXT_FORMATS

    def filter_groups(self) -> Iterator[FilterGroup]:
        """The filters in the order of the filterset, neighbours that are one range together."""
        waiting = [(each, self[PREFIX + name]) for name, each in self.filters.items()]
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
        filters = {name: value_of(each, given[PREFIX + name]) for name, each in self.filters.items()}
        return Request(
            resource=self.resource.name,
            format=given["format"],
            compression=(given["compression"] or None) if given["format"] in words.TEXT_FORMATS else None,
            columns=given["columns"],
            filters={name: value for name, value in filters.items() if value is not None},
            limit=given["limit"],
            parameters={},
            options={},
        )

    def add_refusal(self, error: errors.ExportError) -> None:
        """Show a service's refusal at the fields it names, or above all of them."""
        nested = dict(error.errors or {})
        at_filters = nested.pop("filters", {})
        by_field = nested | {PREFIX + name: texts for name, texts in at_filters.items()}
        known = {name: texts for name, texts in by_field.items() if name in self.fields}
        for name, texts in known.items():
            for text in texts if isinstance(error, errors.Invalid) else [str(error)]:
                self.add_error(name, text)
        if len(known) < len(by_field) or not known:
            self.add_error(None, str(error))


def filter_field(filter_input: FilterInput) -> forms.Field:
    """A control for one filter."""
    common: dict[str, Any] = {"required": False, "label": filter_input.label}
    attributes = {"data-testid": f"filter-{filter_input.name}"}
    if filter_input.choices and filter_input.multiple:
        return forms.MultipleChoiceField(
            **common, choices=filter_input.choices, widget=forms.CheckboxSelectMultiple(attributes)
        )
    if filter_input.choices or filter_input.kind == "boolean":
        choices = filter_input.choices or (("true", "Yes"), ("false", "No"))
        return forms.ChoiceField(**common, choices=[("", "Any"), *choices], widget=forms.Select(attributes))
    if filter_input.multiple:
        return forms.CharField(
            **common, help_text="Several: separate them by commas.", widget=forms.TextInput(attributes)
        )
    widgets: dict[str, forms.Widget] = {
        "number": forms.NumberInput(attributes | {"step": "any"}),
        "date": forms.DateInput(attributes | {"type": "date"}),
        "datetime": forms.DateInput(attributes | {"type": "date"}),
    }
    return forms.CharField(**common, widget=widgets.get(filter_input.kind, forms.TextInput(attributes)))


def value_of(filter_input: FilterInput, cleaned: Any) -> Any:
    """What a request says for it; None where the control was left alone."""
    if cleaned in ("", None, []):
        return None
    if isinstance(cleaned, list):
        return cleaned
    if filter_input.multiple and not filter_input.choices:
        return [word.strip() for word in cleaned.split(",") if word.strip()] or None
    if filter_input.kind == "datetime" and filter_input.name.endswith(ENDS) and "T" not in cleaned:
        return cleaned + END_OF_DAY
    return cleaned


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
