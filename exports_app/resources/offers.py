"""What a filter offers to choose from, and which of that a value means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, OperationalError
from django.forms.widgets import ChoiceWidget

from exports_app.resources.filtersets import OwnValues
from exports_app.resources.spelling import spelled
from exports_app.resources.timeouts import short_question

MAX_CHOICES = 1_000
"""A filter with more is described without any; its values are checked all the same."""
SHOWN_CHOICES = 20
"""What a refusal lists where no choice is near."""
SHOWN_CHARACTERS = 100
"""What a refusal repeats of a value."""

Choice = tuple[str, str]
"""Value and label."""


def is_choice(field: forms.Field) -> bool:
    """Whether its values are some out of a list."""
    return isinstance(field, forms.ChoiceField)  # a ModelChoiceField is one


def listed(field: forms.Field) -> tuple[Choice, ...]:
    """What a form shows; nothing where the widget has people type, or where there is too much of it."""
    return (choices(field) or ()) if isinstance(field.widget, ChoiceWidget) else ()


def choices(field: forms.Field) -> tuple[Choice, ...] | None:
    """All that can be chosen; None: more than ``MAX_CHOICES``, or the database could not say so within its time-out.

    The one place where the choices of filters are read.
    """
    if not isinstance(field, forms.ChoiceField):
        return ()
    try:
        with short_question(_alias(field)):
            found = list(islice(_pairs(field), MAX_CHOICES + 1))
    except OperationalError:
        return None
    if len(found) > MAX_CHOICES:
        return None
    return tuple((str(value), str(label)) for value, label in found if value not in (None, ""))


def meant(field: forms.Field, value: str, offered: Sequence[Choice] | None) -> str | None:
    """The choice that a value stands for which is not among them as it is written; None: none that is sure."""
    values = [each for each, _ in offered or ()]
    near = spelled(value, values)
    if near in values:
        return near
    return _of_row(field, value)


def no_such(value: str, offered: Sequence[Choice] | None) -> str:
    """The sentence for a value that no choice has, with the nearest one that is."""
    shown = value if len(value) <= SHOWN_CHARACTERS else f"{value[:SHOWN_CHARACTERS]}…"
    sentence = f"Select a valid choice. {shown} is not one of the available choices."  # Django's
    if not offered:
        return sentence
    by_word = {word.casefold(): each for each in reversed(offered) for word in reversed(each)}
    if near := get_close_matches(value[:SHOWN_CHARACTERS].casefold(), by_word, n=1):
        return f"{sentence} Did you mean {_said(by_word[near[0]])}?"
    if len(offered) <= SHOWN_CHOICES:
        return f"{sentence} Valid: {', '.join(each for each, _ in offered)}."
    return sentence


def _said(choice: Choice) -> str:
    value, label = choice
    return value if value.casefold() == label.casefold() else f"{value} ({label})"


def _alias(field: forms.ChoiceField) -> str:
    rows = own.rows if (own := _own(field)) else getattr(field, "queryset", None)
    return DEFAULT_DB_ALIAS if rows is None else str(rows.db)


def _own(field: forms.Field) -> OwnValues | None:
    found = getattr(field, "values", None)
    return found if isinstance(found, OwnValues) else None


def _pairs(field: forms.ChoiceField) -> Iterator[tuple[Any, Any]]:
    """As many as are taken; those of a table are read with a LIMIT, not all of them with a cursor."""
    null_label = getattr(field, "null_label", None)
    if null_label is not None and (isinstance(field, forms.ModelChoiceField) or _own(field)):
        yield field.null_value, null_label  # type: ignore[attr-defined]  # django-filter's
    if own := _own(field):
        yield from ((value, value) for value in own.some(MAX_CHOICES))
    elif isinstance(field, forms.ModelChoiceField):
        rows = field.queryset
        if rows is not None:
            rows = rows if rows.query.is_sliced else rows[: MAX_CHOICES + 1]
            yield from ((field.prepare_value(row), field.label_from_instance(row)) for row in rows)
    else:
        yield from _flat(field.choices)


def _flat(given: Any) -> Iterator[tuple[Any, Any]]:
    """Without the groups that choices may stand in."""
    for value, label in given:
        if isinstance(label, list | tuple):
            yield from _flat(label)
        else:
            yield value, label


def _of_row(field: forms.Field, value: str) -> str | None:
    """The name of the row whose id was given, where rows are chosen by a name of theirs."""
    name = getattr(field, "to_field_name", None)
    rows = getattr(field, "queryset", None)
    if name is None or rows is None:
        return None
    try:
        with short_question(rows.db):
            found = rows.filter(pk=value).values_list(name, flat=True).first()
    except (ValueError, TypeError, ValidationError, OverflowError):
        return None
    return None if found is None else str(found)
