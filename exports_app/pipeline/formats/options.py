"""What each option of a format may be, said in a sentence where a value is none of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from exports_app.pipeline.formats import csv, locale, zones

Check = Callable[[Any], str | None]
"""Gives what is wrong with a value and what would be right; None: nothing is."""


def problem(name: str, value: Any) -> str | None:
    """What is wrong with this value of the option; None: nothing. Raises ``KeyError`` for an unknown option."""
    return CHECKS[name](value)


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "Give true or false."


def _one_of(values: Sequence[str]) -> Check:
    message = f"Give one of: {', '.join(map(repr, values))}."
    return lambda value: None if isinstance(value, str) and value in values else message


def _text(check: Callable[[str], str | None]) -> Check:
    return lambda value: check(value) if isinstance(value, str) else "Give a text."


def _zone(value: str) -> str | None:
    return None if zones.is_zone(value) else f"{value!r} is no time zone. Give an IANA name such as Europe/Berlin."


CHECKS: Mapping[str, Check] = {
    "delimiter": _one_of(csv.DELIMITERS),
    "bom": _flag,
    "header": _flag,
    "line_ending": _one_of(tuple(csv.LINE_ENDINGS)),
    "row_count_footer": _flag,
    "escape_formulas": _flag,
    "choice_labels": _flag,
    "decimal_strings": _flag,
    "truncate_cells": _flag,
    "locale": _text(locale.locale_problem),
    "timezone": _text(_zone),
    "date_format": _text(locale.date_format_problem),
    "decimal_separator": _one_of(locale.DECIMAL_SEPARATORS),
}
