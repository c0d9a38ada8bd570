"""Choices: what kind of value is stored, and its label."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from exports_app.pipeline.literals import quote
from exports_app.pipeline.types import Field, Kind, Options

MAX_CASES = 8
"""Labels up to which asking one by one is quicker than a look into a jsonb object."""


def stored_kind(field: Field) -> Kind:
    """The kind; of a choice that of its stored value."""
    return (field.element or Kind.TEXT) if field.kind is Kind.CHOICE else field.kind


def shown_kind(field: Field, options: Options) -> Kind:
    """The kind as the file shows it: labels are text whatever is stored."""
    return Kind.TEXT if field.kind is Kind.CHOICE and options.choice_labels else stored_kind(field)


def sql_label(field: Field, column: str) -> str:
    """The label of a choice, the stored value as text where it has none."""
    stored = f"{column}::text"
    if not field.choices:
        return stored
    if len(field.choices) > MAX_CASES:
        labels = json.dumps(dict(field.choices), ensure_ascii=False)
        return f"coalesce({quote(labels)}::jsonb ->> {stored}, {stored})"
    cases = " ".join(f"WHEN {quote(value)} THEN {quote(label)}" for value, label in dict(field.choices).items())
    return f"CASE {stored} {cases} ELSE {stored} END"


def python_label(field: Field) -> Callable[[Any], str]:
    """What ``sql_label`` gives, of a value that is not None."""
    labels = dict(field.choices)

    def label(value: Any) -> str:
        stored = stored_text(value)
        return labels.get(stored, stored)

    return label


def stored_text(value: Any) -> str:
    """A choice's stored value as PostgreSQL prints it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
