"""The columns of a form: which, in which order, under which header."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from django import forms

from exports_app.pipeline.types import Field
from exports_app.validation import MAX_LABEL

LABEL = "label-"
POSITION = "position-"


@dataclass(frozen=True, slots=True)
class ColumnRow:
    """One line of the list."""

    name: str
    title: str
    """The header where no other is given."""
    kind: str
    checked: bool
    label: forms.BoundField
    position: forms.BoundField
    place: int


def column_fields(columns: Sequence[Field]) -> dict[str, forms.Field]:
    """A header and a place for each column. The place is for browsers without scripts; others send the order."""
    fields: dict[str, forms.Field] = {}
    for column in columns:
        header = forms.TextInput(
            {
                "placeholder": column.label,
                "aria-label": f"Header of {column.label}",
                "data-testid": f"label-{column.name}",
                "autocomplete": "off",
            }
        )
        fields[LABEL + column.name] = forms.CharField(required=False, max_length=MAX_LABEL, widget=header)
        place = forms.NumberInput({"aria-label": f"Place of {column.label}", "data-testid": f"position-{column.name}"})
        fields[POSITION + column.name] = forms.IntegerField(required=False, widget=place)
    return fields


def column_rows(form: forms.Form, columns: Sequence[Field]) -> list[ColumnRow]:
    """The chosen columns in their order, then the others."""
    chosen = _in_places(
        [str(name) for name in form["columns"].value() or []],
        lambda name: form[name].value() if name in form.fields else None,
    )
    known = {column.name: column for column in columns}
    order = [*dict.fromkeys(name for name in chosen if name in known)]
    order += [name for name in known if name not in order]
    return [
        ColumnRow(
            name=name,
            title=known[name].label,
            kind=known[name].kind.value,
            checked=name in chosen,
            label=form[LABEL + name],
            position=form[POSITION + name],
            place=place,
        )
        for place, name in enumerate(order, start=1)
    ]


def chosen_columns(cleaned: Mapping[str, Any], columns: Sequence[Field]) -> list[str | dict[str, str]]:
    """What a request says: names in order, with a header where it is another than the usual."""
    titles = {column.name: column.label for column in columns}
    names: list[str] = cleaned["columns"]
    ordered = _in_places(names, cleaned.get)
    chosen: list[str | dict[str, str]] = []
    for name in ordered:
        label = cleaned.get(LABEL + name) or ""
        chosen.append({"name": name, "label": label} if label and label != titles[name] else name)
    return chosen


def _in_places(names: list[str], value: Callable[[str], Any]) -> list[str]:
    """The names by the places given for them; without any, as they came."""

    def place(name: str) -> float:
        given = str(value(POSITION + name) or "")
        return int(given) if given.isdecimal() else inf

    return sorted(names, key=place)


def initial_columns(wanted: Sequence[str | Mapping[str, str]]) -> dict[str, Any]:
    """The controls' values that say these columns."""
    named = [(each, "") if isinstance(each, str) else (each["name"], each.get("label") or "") for each in wanted]
    return {"columns": [name for name, _ in named]} | {LABEL + name: label for name, label in named if label}
