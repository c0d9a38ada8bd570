"""Controls for the options of the formats. A control left alone says nothing, and the format's default stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from exports_app.pipeline.formats import FORMATS, get_format
from exports_app.pipeline.formats.csv import DELIMITERS, LINE_ENDINGS
from exports_app.pipeline.formats.locale import DECIMAL_SEPARATORS, NAMED_DATES

SEPARATORS = {",": "Comma", ";": "Semicolon", "\t": "Tab", "|": "Vertical bar", ".": "Point"}
LINES = {"lf": "Unix (LF)", "crlf": "Windows (CR LF)"}
DATES = {"iso": "2024-01-31", "short": "Short", "medium": "Medium", "long": "Long", "full": "Full"}
LOCALES = ("de", "de_AT", "de_CH", "en_GB", "en_US", "es", "fr", "it", "ja", "nl", "pl", "pt_BR", "sv", "tr")
"""What the control suggests; every locale of CLDR is accepted."""
REVERSED = frozenset({"header", "escape_formulas"})
"""On by default, so their boxes say what leaving them out does."""


def _select(label: str, choices: Mapping[str, str], usual: str) -> forms.Field:
    return forms.ChoiceField(required=False, label=label, choices=[("", usual), *choices.items()], widget=forms.Select)


def _suggested(label: str, placeholder: str, values: str, help_text: str = "") -> forms.Field:
    """A text with suggestions; ``values`` names what they are, for the page to fill."""
    attributes = {"placeholder": placeholder, "list": f"known-{values}", "autocomplete": "off"}
    return forms.CharField(
        required=False, label=label, max_length=60, help_text=help_text, widget=forms.TextInput(attributes)
    )


def _box(label: str, help_text: str = "") -> forms.Field:
    return forms.BooleanField(required=False, label=label, help_text=help_text)


def option_fields(formats: list[str]) -> dict[str, forms.Field]:
    """A control for each option that one of these formats heeds, by the option's name."""
    fields: dict[str, forms.Field] = {
        "locale": _suggested("Language and region", "None: as stored", "locales", "Decides dates and decimal points."),
        "timezone": _suggested("Time zone", "UTC", "timezones"),
        "date_format": _select("Dates", {name: DATES[name] for name in NAMED_DATES}, "As the language has them"),
        "decimal_separator": _select(
            "Decimal separator", {each: SEPARATORS[each] for each in DECIMAL_SEPARATORS}, "As the language has it"
        ),
        "delimiter": _select("Delimiter", {each: SEPARATORS[each] for each in DELIMITERS if each != ","}, "Comma"),
        "line_ending": _select("Line ends", {each: LINES[each] for each in LINE_ENDINGS if each != "lf"}, "Unix (LF)"),
        "bom": _box("Byte order mark", "Makes older Excel read accents right."),
        "header": _box("No header line"),
        "row_count_footer": _box("Row count as last line"),
        "escape_formulas": _box("Leave formulas as they are", "Only where no spreadsheet will open the file."),
        "choice_labels": _box("Labels instead of stored values"),
        "decimal_strings": _box("Decimals as text"),
        "truncate_cells": _box("Shorten texts that a cell cannot hold"),
    }
    for name, field in fields.items():
        field.widget.attrs |= {"data-testid": f"option-{name}"}
    return {name: field for name, field in fields.items() if heeding(name, formats)}


def heeding(name: str, formats: list[str]) -> list[str]:
    """The formats, of these, that heed an option."""
    return [each for each in formats if name in get_format(each).options]


def said(name: str, value: Any) -> tuple[str, str]:
    """An option of a finished export as a name and a value: ``Delimiter``, ``Semicolon``."""
    if name == "escape_formulas":
        return "Formulas", "shown as text" if value else "left as they are"
    if name == "header":
        return "Header line", "yes" if value else "no"
    field = option_fields(list(FORMATS)).get(name)
    label = str(field.label) if field else name.replace("_", " ").capitalize()
    if isinstance(value, bool):
        return label, "yes" if value else "no"
    choices = list(field.widget.choices) if isinstance(field, forms.ChoiceField) else []
    return label, str(dict(choices).get(value, value))


def value_of(name: str, cleaned: Any) -> Any:
    """What a request says for it; None where the control was left alone."""
    if cleaned in ("", None, False):
        return None
    return False if name in REVERSED else cleaned


def initial_of(name: str, value: Any) -> Any:
    """The control that says this value."""
    return value is False if name in REVERSED else value
