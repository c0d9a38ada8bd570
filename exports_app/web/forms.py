"""The form of a new export, made from what the resource declares. Whether values fit is the service's word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from django import forms

from exports_app import errors
from exports_app.models import ExportPreset
from exports_app.pipeline.formats import FORMATS, get_format
from exports_app.plan import Request
from exports_app.resources.base import Resource
from exports_app.resources.filters import FilterInput, allowed_filters
from exports_app.resources.queries import fields_of
from exports_app.validation import MAX_IDS
from exports_app.web import columns, controls, options, sheets, words
from exports_app.web.columns import ColumnRow

FEW_CHOICES = 8
FILTER = "filter-"
PARAMETER = "parameter-"
OPTION = "option-"
PRESET_NAME = "preset-name"
SHEETS = "sheets"
BIGGEST_LIMIT = 2**62


@dataclass(frozen=True, slots=True)
class FilterGroup:
    """One filter, or the two ends of a range under one legend."""

    legend: str
    fields: list[forms.BoundField]
    control: str
    """``boxes`` (few choices), ``list`` (many), ``range`` or ``plain``."""


class ExportForm(forms.Form):
    """Rows, columns, format and options for one resource and one user."""

    format = forms.ChoiceField(widget=forms.RadioSelect)
    compression = forms.ChoiceField(required=False, choices=[("", "None"), ("gzip", "gzip")], widget=forms.RadioSelect)
    limit = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=BIGGEST_LIMIT,
        label="Row limit",
        error_messages={"min_value": "Give a number of 1 or more.", "invalid": "Give a whole number."},
        widget=forms.NumberInput(attrs={"placeholder": "No limit", "data-testid": "limit"}),
    )
    ids = forms.CharField(
        required=False,
        label="Only these IDs",
        help_text="One in a line, or separated by commas.",
        widget=forms.Textarea(attrs={"rows": 2, "data-testid": "ids", "spellcheck": "false"}),
    )
    columns = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple, error_messages={"required": "Choose at least one column."}
    )
    sheets = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)
    email = forms.BooleanField(
        required=False,
        label="Mail me when it is ready",
        widget=forms.CheckboxInput(attrs={"data-testid": "notify-email"}),
    )

    def __init__(
        self, resource: Resource, user: Any, data: Mapping[str, Any] | None = None, start: Request | None = None
    ) -> None:
        """``start``: a request whose settings the form shows at first, without what is hidden from the user."""
        self.resource = resource
        self.formats = sorted(resource.formats or FORMATS, key=words.format_place)
        self.filters = {each.name: each for each in allowed_filters(resource, user)}
        visible = resource.visible_columns(user)
        self.fields_of_file = fields_of(resource, user, visible)
        super().__init__(data, initial=self._initial(start), label_suffix="")
        self._choices("format", [(name, words.format_name(name)) for name in self.formats])
        self._choices("columns", [(field.name, field.label) for field in self.fields_of_file])
        if resource.max_rows:
            self.fields["limit"].help_text = f"This data allows {resource.max_rows:,} rows at once."
        primary = resource.model._meta.pk_fields if resource.model else []
        if len(primary) != 1 or primary[0].attname not in resource.key_paths():
            del self.fields["ids"]
        if not getattr(user, "email", ""):
            del self.fields["email"]
        self.related = dict(sheets.offered(resource, user)) if self.formats_with_sheets() else {}
        self._choices(SHEETS, list(self.related.items()))
        self.initial.setdefault(SHEETS, list(self.related))
        declared = resource.get_parameters_class()
        parameters = controls.parameter_fields(declared) if declared else {}
        offered = options.option_fields(self.formats)
        self.parameters, self.options = list(parameters), list(offered)
        self.fields.update(columns.column_fields(self.fields_of_file))
        self.fields.update({FILTER + name: controls.filter_field(each) for name, each in self.filters.items()})
        self.fields.update({PARAMETER + name: field for name, field in parameters.items()})
        self.fields.update({OPTION + name: field for name, field in offered.items()})
        self.fields[PRESET_NAME] = _preset_name()

    def _choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        field.choices = choices

    def _initial(self, start: Request | None) -> dict[str, Any]:
        every = [field.name for field in self.fields_of_file]
        if start is None:
            return {"format": self.formats[0], "compression": ""} | columns.initial_columns(every)
        filters = {
            FILTER + name: controls.initial_of(self.filters[name], value)
            for name, value in start.filters.items()
            if name in self.filters
        }
        return {
            "format": start.format,
            "compression": start.compression or "",
            "limit": start.limit,
            "ids": "\n".join(map(str, start.ids or ())),
            **({SHEETS: list(start.sheets)} if start.sheets is not None else {}),
            **columns.initial_columns(start.columns or every),
            **filters,
            **{PARAMETER + name: value for name, value in start.parameters.items()},
            **{OPTION + name: options.initial_of(name, value) for name, value in start.options.items()},
        }

    # What the template shows

    def format_boxes(self) -> Iterator[tuple[forms.boundfield.BoundWidget, str, bool]]:
        """Each format's radio button, what the format is good for, and whether it can be compressed."""
        for box in self["format"]:
            name = box.data["value"]
            yield box, words.format_use(name), get_format(name).text

    def unlabelled_formats(self) -> list[str]:
        """Those that have no use for the headers."""
        return [name for name in self.formats if not get_format(name).labelled]

    def formats_with_sheets(self) -> list[str]:
        """Those that hold several tables."""
        return sheets.with_sheets(self.formats)

    def sheets_said(self) -> str:
        """The same in words, where other formats hold one table."""
        several = self.formats_with_sheets()
        return ", ".join(map(words.format_name, several)) if len(several) < len(self.formats) else ""

    def column_rows(self) -> list[ColumnRow]:
        return columns.column_rows(self, self.fields_of_file)

    def parameter_fields(self) -> list[forms.BoundField]:
        """What decides about rows that are not read from a table."""
        return [self[PARAMETER + name] for name in self.parameters]

    def option_fields(self) -> list[tuple[forms.BoundField, str, str]]:
        """Each option's control, the formats that heed it, and the same in words where not all do."""
        shown = []
        for name in self.options:
            heeding = options.heeding(name, self.formats)
            said = ", ".join(map(words.format_name, heeding)) if len(heeding) < len(self.formats) else ""
            shown.append((self[OPTION + name], " ".join(heeding), said))
        return shown

    def changed_options(self) -> bool:
        """Whether an option is set, so that the folded list should be open."""
        return any(self[OPTION + name].value() for name in self.options)

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

    def preset_name(self) -> forms.BoundField:
        """The name to save it all under."""
        return self[PRESET_NAME]

    # What it says

    def to_request(self) -> Request:
        """The cleaned form in the engine's words."""
        given = self.cleaned_data
        filters = {name: controls.value_of(each, given[FILTER + name]) for name, each in self.filters.items()}
        parameters = {name: given[PARAMETER + name] for name in self.parameters}
        format_ = get_format(given["format"])
        said = {name: options.value_of(name, given[OPTION + name]) for name in self.options if name in format_.options}
        return Request(
            resource=self.resource.name,
            format=given["format"],
            compression=(given["compression"] or None) if format_.text else None,
            columns=columns.chosen_columns(given, self.fields_of_file),
            filters={name: value for name, value in filters.items() if value is not None},
            ids=given.get("ids") or None,
            limit=given["limit"],
            sheets=self._chosen_sheets(),
            parameters={name: value for name, value in parameters.items() if value != ""},
            options={name: value for name, value in said.items() if value is not None},
        )

    def _chosen_sheets(self) -> list[str] | None:
        """None, all of them, where every box is ticked or the format holds one table."""
        chosen: list[str] = self.cleaned_data[SHEETS]
        several = get_format(self.cleaned_data["format"]).sheets
        return chosen if several and chosen != list(self.related) else None

    def clean_ids(self) -> list[str]:
        """One by one; refused where there are more than a request may name."""
        ids = [each for each in re.split(r"[\s,;]+", self.cleaned_data["ids"]) if each]
        if len(ids) > MAX_IDS:
            raise forms.ValidationError(f"{MAX_IDS:,} IDs are the most; narrow by filters instead.")
        return ids

    def add_refusal(self, error: errors.ExportError) -> None:
        """Show a service's refusal at the fields it names, or above all of them."""
        nested = dict(error.errors or {})
        for group, prefix in (("filters", FILTER), ("parameters", PARAMETER), ("options", OPTION)):
            if isinstance(nested.get(group), Mapping):
                nested |= {prefix + name: texts for name, texts in nested.pop(group).items()}
        if "name" in nested:
            nested[PRESET_NAME] = nested.pop("name")
        known = {name: texts for name, texts in nested.items() if name in self.fields}
        for name, texts in known.items():
            for text in texts if isinstance(error, errors.Invalid) else [str(error)]:
                self.add_error(name, text)
        if len(known) < len(nested) or not known:
            self.add_error(None, str(error))


def _preset_name() -> forms.Field:
    attributes = {
        "placeholder": "Name, for example Monthly revenue",
        "autocomplete": "off",
        "data-testid": "preset-name",
    }
    longest = ExportPreset._meta.get_field("name").max_length
    return forms.CharField(
        required=False, max_length=longest, label="Name of the preset", widget=forms.TextInput(attributes)
    )


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
