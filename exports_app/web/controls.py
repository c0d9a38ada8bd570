"""Controls of a form for what a resource declares: its filters and its parameters."""

from __future__ import annotations

from typing import Any

from django import forms
from rest_framework import serializers

from exports_app.resources.filters import FilterInput

END_OF_DAY = "T23:59:59.999999"
"""A day that a range of moments ends with belongs to it whole."""
ENDS = ("_before", "_until", "_to", "_max", "_lte")


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


def initial_of(filter_input: FilterInput, value: Any) -> Any:
    """The control's value that says this; what ``value_of`` made of it is undone."""
    if isinstance(value, list) and not filter_input.choices:
        return ", ".join(str(each) for each in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.removesuffix(END_OF_DAY) if isinstance(value, str) else value


def parameter_fields(declared: type[serializers.Serializer[Any]]) -> dict[str, forms.Field]:
    """Controls for the parameters that are plain values; the others keep their defaults here."""
    controls = {name: _parameter_field(name, field) for name, field in declared().fields.items()}
    return {name: control for name, control in controls.items() if control is not None}


def _parameter_field(name: str, field: serializers.Field[Any, Any, Any, Any]) -> forms.Field | None:
    attributes = {"data-testid": f"parameter-{name}"}
    common: dict[str, Any] = {
        "required": field.required,
        "label": str(field.label or name.replace("_", " ").capitalize()),
        "help_text": str(field.help_text or ""),
        "initial": None if field.default is serializers.empty else field.get_default(),
    }
    if isinstance(field, serializers.ChoiceField):
        return forms.ChoiceField(**common, choices=list(field.choices.items()), widget=forms.Select(attributes))
    if isinstance(field, serializers.IntegerField | serializers.FloatField | serializers.DecimalField):
        return forms.CharField(**common, widget=forms.NumberInput(attributes | {"step": "any"}))
    if isinstance(field, serializers.CharField):
        return forms.CharField(**common, widget=forms.TextInput(attributes))
    return None
