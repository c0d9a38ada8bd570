"""Dates, datetimes and decimals as people of a country write them, from Babel's CLDR data.

Gregorian calendar, Latin digits, 24 hours; values alone change, never what a delimiter or a boolean is. A locale's
own date is its medium form if that is all numbers, else its short one, always with the year in full: what
spreadsheets take for a date. Datetimes are what clocks of the zone showed, ``31.12.2024 13:00:00``, with the offset
behind them only in the hour that comes twice when clocks are put back, where the text alone would not be true.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from exports_app.pipeline.formats import zones
from exports_app.pipeline.literals import quote
from exports_app.pipeline.types import Options

if TYPE_CHECKING:
    from babel import Locale

NAMED_DATES = ("iso", "short", "medium", "long", "full")
ISO_DATE = "yyyy-MM-dd"
NAMES_FROM = "en"
"""Where month names come from if no locale is asked for."""
DECIMAL_SEPARATORS = (".", ",")
MAX_PATTERN = 40  # characters

_TOKEN = re.compile(r"([a-zA-Z])\1*|'((?:[^']|'')*)'|[^a-zA-Z']+")
_INVISIBLE = dict.fromkeys(map(ord, "\u200e\u200f"))
_SAFE_TEXT = re.compile(r"[\w\s./,:'-]*")
"""What may stand between the parts of a date: nothing that a spreadsheet or a terminal would act on."""

_NUMERIC = {"y": "FMYYYY", "yyyy": "YYYY", "yy": "YY", "M": "FMMM", "MM": "MM", "d": "FMDD", "dd": "DD"}
"""CLDR's letters and those of ``to_char``."""
_NAMES = {"MMM": "abbreviated", "MMMM": "wide", "EEE": "abbreviated", "E": "abbreviated", "EEEE": "wide"}


@dataclass(frozen=True, slots=True)
class Conventions:
    """What the options come to. ``pattern``: a date in CLDR's letters."""

    pattern: str
    decimal: str
    names: str
    """The locale of month and day names."""

    def tokens(self) -> list[tuple[str, str]]:
        """The pattern as (letters, "") and ("", literal text)."""
        return _tokens(self.pattern)


def conventions(options: Options) -> Conventions | None:
    """The conventions asked for; None where values keep their plain form."""
    if options.locale is None and options.date_format is None and options.decimal_separator is None:
        return None
    locale = _locale(options.locale) if options.locale else None
    decimal = options.decimal_separator or (_decimal(locale) if locale else ".")
    return Conventions(_pattern(options.date_format, locale), decimal, str(locale or NAMES_FROM))


def has_own_dates(options: Options) -> bool:
    """Whether dates differ from ISO 8601."""
    return options.date_format != "iso" and (options.locale is not None or options.date_format is not None)


def locale_problem(value: str) -> str | None:
    """Why this is no locale; None if it is one."""
    from babel import UnknownLocaleError

    try:
        _locale(value)
    except (ValueError, UnknownLocaleError, TypeError):
        return f"{value!r} is no locale that CLDR knows. Give one such as de, de_AT or en_US."
    return None


def date_format_problem(value: str) -> str | None:
    """Why dates cannot be written so; None if they can."""
    if value in NAMED_DATES:
        return None
    way_out = f"Give one of {', '.join(NAMED_DATES)}, or a pattern such as dd.MM.yyyy, d/M/yy or d MMM y."
    if len(value) > MAX_PATTERN:
        return f"The date format is longer than {MAX_PATTERN} characters. {way_out}"
    if "'" in _TOKEN.sub("", value):
        return f"The date format has a quote without its other half. {way_out}"
    tokens = _tokens(value)
    unknown = [letters for letters, _ in tokens if letters and letters not in _NUMERIC and letters not in _NAMES]
    if unknown:
        return f"The date format has {unknown[0]}, which has no meaning here. {way_out}"
    if not {"y", "M", "d"} <= {letters[:1] for letters, _ in tokens}:
        return f"The date format leaves out the year, the month or the day. {way_out}"
    if not tokens[0][0] or not all(_SAFE_TEXT.fullmatch(text) for _, text in tokens):
        return f"The date format has other characters than letters, blanks and . / , : - between its parts. {way_out}"
    return None


# Dates


def sql_date(column: str, options: Options) -> str:
    """A date in the asked form; in ISO where none is asked or a date has no such form (infinity, BC)."""
    shown = conventions(options)
    if shown is None or not has_own_dates(options):
        return f"{column}::date"
    known = f"{column}::date BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'"
    return f"CASE WHEN {known} THEN {_sql_pattern(shown, f'{column}::date::timestamp')} ELSE {column}::date::text END"


def sql_datetime(column: str, options: Options, *, naive: bool = False) -> str:
    """A datetime in the asked form: the date's, and the clock of the zone; ``naive`` ones have none."""
    shown = conventions(options)
    zone = None if naive else options.timezone
    iso = zones.sql_naive if naive else partial(zones.sql_iso, zone=zone)
    if shown is None or not has_own_dates(options):
        return iso(column)
    moment = zones.sql_moment(column, naive=naive)
    utc = f"({moment} AT TIME ZONE 'UTC')"  # has the same fraction as any zone's clock, and costs least
    fraction = f"{quote(shown.decimal)} || rtrim(to_char({utc}, 'US'), '0')"
    fraction = f"CASE WHEN {utc} = date_trunc('second', {utc}) THEN '' ELSE {fraction} END"
    return zones.sql_clock(
        moment,
        zone,
        lambda local: f"{_sql_pattern(shown, local, clock=' HH24:MI:SS')} || {fraction}",
        otherwise=iso(column),
    )


def python_date(options: Options) -> Callable[[date], str]:
    """What ``sql_date`` gives."""
    shown = conventions(options)
    if shown is None or not has_own_dates(options):
        return date.isoformat
    parts = [_python_part(letters, text, shown.names) for letters, text in shown.tokens()]
    return lambda value: "".join([part(value) for part in parts])


def python_datetime(options: Options) -> Callable[[datetime], str]:
    """What ``sql_datetime`` gives."""
    shown = conventions(options)
    if shown is None or not has_own_dates(options):
        return zones.python_iso(options.timezone)
    day, local = python_date(options), zones.python_local(options.timezone)
    repeated, decimal = zones.python_repeated(options.timezone), shown.decimal

    def text(value: datetime) -> str:
        at = local(value)
        fraction = f"{decimal}{at.microsecond:06d}".rstrip("0") if at.microsecond else ""
        return f"{day(at)} {at:%H:%M:%S}{fraction}{repeated(value)}"

    return text


# Numbers


def sql_number(text: str, options: Options) -> str:
    """The text of a number with the asked decimal separator."""
    shown = conventions(options)
    if shown is None or shown.decimal == ".":
        return text
    return f"replace(({text})::text, '.', {quote(shown.decimal)})"


def python_number(form: Callable[..., str], options: Options) -> Callable[..., str]:
    """What ``sql_number`` gives."""
    shown = conventions(options)
    if shown is None or shown.decimal == ".":
        return form
    decimal = shown.decimal
    return lambda value: form(value).replace(".", decimal)


# From CLDR


def _locale(name: str) -> Locale:
    from babel import Locale  # only who asks for a locale needs it

    return Locale.parse(name.replace("-", "_"))


def _decimal(locale: Locale) -> str:
    symbols = locale.number_symbols.get("latn") or {}
    decimal = str(symbols.get("decimal", "."))
    return decimal if decimal in DECIMAL_SEPARATORS else "."


def _pattern(asked: str | None, locale: Locale | None) -> str:
    if asked == "iso" or (asked is None and locale is None):
        return ISO_DATE
    if asked is not None and asked not in NAMED_DATES:
        return asked
    locale = locale or _locale(NAMES_FROM)
    if asked is not None:
        return _written_out(locale, asked)
    forms = (_written_out(locale, "medium"), re.sub("y+", "y", _written_out(locale, "short")))
    return next((form for form in forms if all(not each or each in _NUMERIC for each, _ in _tokens(form))), ISO_DATE)


def _written_out(locale: Locale, form: str) -> str:
    """A date form of the locale, its blanks plain and without marks that nobody sees."""
    pattern = locale.date_formats[form].pattern.translate(_INVISIBLE)
    pattern = re.sub(r"\bG+\b ?", "", pattern).replace("L", "M").replace("cccc", "EEEE")
    return re.sub(r"\s", " ", pattern)


@lru_cache(maxsize=64)
def _names(locale: str, letters: str) -> Sequence[str]:
    """Names of the months from January, or of the days from Monday."""
    known, width = _locale(locale), _NAMES[letters]
    if letters.startswith("M"):
        return [str(known.months["format"][width][number]) for number in range(1, 13)]
    return [str(known.days["format"][width][number]) for number in range(7)]


def _tokens(pattern: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    for match in _TOKEN.finditer(pattern):
        if match[1]:
            tokens.append((match[0], ""))
        elif match[2] is not None:
            tokens.append(("", match[2].replace("''", "'") or "'"))
        else:
            tokens.append(("", match[0]))
    return tokens


def _sql_pattern(shown: Conventions, local: str, clock: str = "") -> str:
    """``to_char`` for runs of numbers and text, arrays for names; ``clock``: a template of its own behind the date."""
    pieces, template = [], ""
    for letters, text in shown.tokens():
        if letters in _NAMES:
            pieces += [f"to_char({local}, {quote(template)})"] if template else []
            names = ", ".join(map(quote, _names(shown.names, letters)))
            part = "month" if letters.startswith("M") else "isodow"
            pieces.append(f"(ARRAY[{names}])[extract({part} FROM {local})::int]")
            template = ""
        else:
            template += _NUMERIC[letters] if letters else '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
    template += clock
    pieces += [f"to_char({local}, {quote(template)})"] if template else []
    return " || ".join(pieces)


def _python_part(letters: str, text: str, names: str) -> Callable[[date], str]:
    if not letters:
        return lambda value: text
    if letters in _NAMES:
        known = _names(names, letters)
        return lambda value: known[value.month - 1 if letters.startswith("M") else value.weekday()]
    return _PYTHON_NUMERIC[letters]


_PYTHON_NUMERIC: dict[str, Callable[[date], str]] = {
    "y": lambda value: str(value.year),
    "yyyy": lambda value: f"{value.year:04d}",
    "yy": lambda value: f"{value.year % 100:02d}",
    "M": lambda value: str(value.month),
    "MM": lambda value: f"{value.month:02d}",
    "d": lambda value: str(value.day),
    "dd": lambda value: f"{value.day:02d}",
}
