"""What an XLSX cell of each kind holds, once in SQL and once in Python, next to each other.

A row travels as the line that COPY's text format makes of it: first the row's *forms*, then the value of each cell.
The forms say per cell whether it is a value, NULL, or one of the two exceptions, so that whoever writes the XML
looks at no cell: a number in base 4 per ``GROUP`` columns, joined by commas, the first column in its lowest digit.
Text arrives as it is; numbers as PostgreSQL prints them; dates and times as serials, the days since 1899-12-30.

Serials are doubles: near today they keep microseconds (to 0.4 µs), which no spreadsheet shows. Excel and most
readers round to milliseconds, so a fraction past .999 s is cut to .999: no reader shows the next second, or day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum
from typing import Any
from zoneinfo import ZoneInfo

from exports_app.pipeline.formats import locale, zones
from exports_app.pipeline.formats.labels import shown_kind
from exports_app.pipeline.formats.scalars import float_text
from exports_app.pipeline.formats.text import python_cell as python_text_cell
from exports_app.pipeline.formats.text import python_text, sql_is_null, sql_text
from exports_app.pipeline.literals import quote
from exports_app.pipeline.types import Field, Kind, Options

GROUP = 31
"""Columns whose forms fit into one bigint, two bits each."""
MAX_DIGITS = 15
"""Digits that Excel keeps of a number ("Excel specifications and limits")."""
MAX_GENERAL = 99_999_999_999
"""The largest number that Excel shows with all its digits where a cell has no style; from there on 1E+11."""
MAX_SCALE = 40
"""Decimals up to which PostgreSQL counts digits by comparison; few numbers have more."""
FIRST_DAY, LAST_DAY = date(1900, 3, 1), date(9999, 12, 31)
"""Excel counts a 29th of February 1900 that never was: before the first of March its days are one off."""
EPOCH_SERIAL = 25_569
"""1970-01-01 in days since 1899-12-30."""
MAX_DURATION = timedelta(days=2_958_466)
"""Excel shows no time span from here on (it is the serial of 10000-01-01)."""
LAST_FRACTION = 999_000  # microseconds
DAY_SECONDS = 86_400.0
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local times are compared with local times
MICROSECOND = timedelta(microseconds=1)


class Form(IntEnum):
    """How a cell is to be written."""

    VALUE = 0
    NULL = 1
    TEXT = 2
    """What its kind cannot hold in Excel, in its text form."""
    DETAILED = 3
    """What the plain style would not show whole: a time that is not a whole second, a number with more than eleven
    digits before its point. Text that not all readers would see whole, or (empty) tell from NULL."""


@dataclass(frozen=True, slots=True)
class SqlCell:
    """Expression of the value, and the conditions that say its form; the first that is true counts."""

    value: str
    forms: tuple[tuple[str, Form], ...]


PythonCell = Callable[[Any], tuple[Form, str]]
"""Form and value of a cell."""


def sql_cell(field: Field, column: str, options: Options) -> SqlCell:
    """How PostgreSQL says the cell."""
    kind = shown_kind(field, options)
    make = _SQL_CELLS.get(kind)
    if make is None:
        null, empty = sql_is_null(field, column, options), _EMPTY.get(kind)
        forms = ((null, Form.NULL), (empty.format(column), Form.DETAILED)) if empty else ((null, Form.NULL),)
        return SqlCell(sql_text(field, column, options), forms)
    if field.naive:
        options = replace(options, timezone=None)  # the clock as it is, which UTC's is too
    typed = zones.sql_moment(column, naive=True) if field.naive else column
    return make(typed, sql_text(field, column, _plain(options)), options)


def sql_forms(cells: Sequence[SqlCell]) -> str:
    """Expression of the forms of a row: sums of integers, which cost far less than joining text."""
    groups = [cells[begin : begin + GROUP] for begin in range(0, len(cells), GROUP)]
    sums = [" + ".join([_digit(cell.forms, place) for place, cell in enumerate(group)]) for group in groups]
    return " || ',' || ".join([f"({each})::text" for each in sums]) if len(sums) > 1 else sums[0]


def python_cell(field: Field, options: Options) -> PythonCell:
    """What ``sql_cell`` does, in Python."""
    make = _PYTHON_CELLS.get(shown_kind(field, options))
    if make is not None:
        typed = make(python_text(field, _plain(options)), options)
        return lambda value: (Form.NULL, "") if value is None else typed(value)
    text, form = python_text_cell(field, options), _python_text(str)
    return lambda value: (Form.NULL, "") if (shown := text(value)) is None else form(shown)


def python_forms(forms: Sequence[Form]) -> str:
    """What ``sql_forms`` does, in Python."""
    groups = [forms[begin : begin + GROUP] for begin in range(0, len(forms), GROUP)]
    return ",".join([str(sum(form << 2 * place for place, form in enumerate(group))) for group in groups])


def forms_of(text: str, columns: int) -> list[int]:
    """The forms of a row of so many columns, read back; plain integers, for ``Form`` costs more than all else here."""
    numbers = [int(group) for group in text.split(",")]
    return [numbers[place // GROUP] >> 2 * (place % GROUP) & 3 for place in range(columns)]


def with_form(text: str, places: Iterable[int], form: Form) -> str:
    """The forms of a row, where those at ``places`` (from 0) were values and are ``form``."""
    numbers = [int(group) for group in text.split(",")]
    for place in places:
        numbers[place // GROUP] |= form << 2 * (place % GROUP)
    return ",".join(map(str, numbers))


def _digit(forms: Sequence[tuple[str, Form]], place: int) -> str:
    cases = " ".join([f"WHEN {condition} THEN {form << 2 * place}::bigint" for condition, form in forms])
    return f"CASE {cases} ELSE 0 END"


def _plain(options: Options) -> Options:
    """Numbers and serials look the same in every locale; so do days that Excel cannot hold, in ISO 8601."""
    return replace(options, locale=None, date_format=None, decimal_separator=None)


# In SQL: column, its text form, options

_EMPTY = {Kind.TEXT: "{}::text = ''", Kind.CHOICE: "{}::text = ''", Kind.BINARY: "octet_length({}) = 0"}
"""Whether the text is empty, of the kinds that can be."""


def _sql_integer(column: str, text: str, options: Options) -> SqlCell:
    largest = 10**MAX_DIGITS - 1
    return SqlCell(
        text,
        (
            (f"{column} BETWEEN {-MAX_GENERAL} AND {MAX_GENERAL}", Form.VALUE),
            (f"{column} IS NULL", Form.NULL),
            (f"{column} BETWEEN {-largest} AND {largest}", Form.DETAILED),
            ("true", Form.TEXT),
        ),
    )


def _sql_decimal(column: str, text: str, options: Options) -> SqlCell:
    number = f"{column}::numeric"
    decimals = f"min_scale({number})"
    # A number of so many decimals has at most fifteen digits below this: no text has to be made to count them.
    bounds = ", ".join([f"1e{MAX_DIGITS - scale}" for scale in range(MAX_SCALE + 1)])
    digits = f"ltrim(translate(trim_scale({number})::text, '-.', ''), '0')"
    fits = f"abs({number}) < ('{{{bounds}}}'::numeric[])[{decimals} + 1]"
    forms = (
        (f"{number} BETWEEN -999999999 AND 999999999 AND {decimals} <= 6", Form.VALUE),  # nearly all are
        (f"{column} IS NULL", Form.NULL),
        (f"{fits} AND abs({number}) <= {MAX_GENERAL}", Form.VALUE),
        (fits, Form.DETAILED),
        (f"{decimals} > {MAX_SCALE} AND octet_length({digits}) <= {MAX_DIGITS}", Form.VALUE),
        ("true", Form.TEXT),
    )
    shown = locale.sql_number(text, options)
    if shown == text:
        return SqlCell(text, forms)
    typed = " OR ".join([f"({condition})" for condition, form in forms if form in (Form.VALUE, Form.DETAILED)])
    return SqlCell(f"CASE WHEN {typed} THEN ({text})::text ELSE {shown} END", forms)


def _sql_float(column: str, text: str, options: Options) -> SqlCell:
    return SqlCell(
        text,
        (
            (f"abs({column}::float8) <= {MAX_GENERAL}", Form.VALUE),
            (f"{column} IS NULL", Form.NULL),
            (f"abs({column}::float8) < 1e{MAX_DIGITS} AND {column} = trunc({column}::float8)", Form.DETAILED),
            (f"abs({column}::float8) < 'Infinity'", Form.VALUE),  # NaN sorts above everything
            ("true", Form.TEXT),
        ),
    )


def _sql_boolean(column: str, text: str, options: Options) -> SqlCell:
    return SqlCell(f"{column}::boolean::int", ((f"{column} IS NULL", Form.NULL),))


def _sql_date(column: str, text: str, options: Options) -> SqlCell:
    known = f"{column}::date BETWEEN DATE '{FIRST_DAY}' AND DATE '{LAST_DAY}'"
    serial = f"({column}::date - DATE '1899-12-30')::text"
    return SqlCell(
        f"CASE WHEN {known} THEN {serial} ELSE ({text})::text END",
        ((known, Form.VALUE), (f"{column} IS NULL", Form.NULL), ("true", Form.TEXT)),
    )


def _sql_datetime(column: str, text: str, options: Options) -> SqlCell:
    zone, moment = quote(options.timezone or "UTC"), f"{column}::timestamptz"
    begin, end = (f"TIMESTAMP '{day} 00:00' AT TIME ZONE {zone}" for day in (FIRST_DAY, "10000-01-01"))
    known = f"{moment} >= {begin} AND {moment} < {end}"
    whole = f"{moment}::timestamptz(0) = {moment}"

    def serial(at: str) -> str:
        local = at if options.timezone is None else f"({at}) AT TIME ZONE {zone}"
        return f"(date_part('epoch', {local}) / {DAY_SECONDS} + {EPOCH_SERIAL}.0)::text"

    cut = f"least({moment}, date_trunc('second', {moment}) + interval '{LAST_FRACTION} us')"
    return SqlCell(
        f"CASE WHEN NOT ({known}) THEN ({text})::text WHEN {whole} THEN {serial(moment)} ELSE {serial(cut)} END",
        (
            (f"NOT ({known})", Form.TEXT),
            (whole, Form.VALUE),
            (f"{column} IS NULL", Form.NULL),
            ("true", Form.DETAILED),
        ),
    )


def _sql_time(column: str, text: str, options: Options) -> SqlCell:
    clock = f"{column}::time"
    cut = f"least({clock}, (date_trunc('second', {clock}) + interval '{LAST_FRACTION} us')::time)"
    serial = f"(date_part('epoch', {cut}) / {DAY_SECONDS})::text"
    midnight = f"{clock} = TIME '24:00'"  # PostgreSQL has it; a serial of 1 is the next day's first moment
    return SqlCell(
        f"CASE WHEN {midnight} THEN ({text})::text ELSE {serial} END",
        (
            (midnight, Form.TEXT),
            (f"{clock}::time(0) = {clock}", Form.VALUE),
            (f"{column} IS NULL", Form.NULL),
            ("true", Form.DETAILED),
        ),
    )


def _sql_duration(column: str, text: str, options: Options) -> SqlCell:
    limit = f"interval '{MAX_DURATION.days} days'"
    known = f"{column} > -{limit} AND {column} < {limit}"
    # numeric, not date_part's double, which depends on how an interval is split into days and seconds
    seconds = f"extract(epoch FROM {column})"
    return SqlCell(
        f"CASE WHEN {known} THEN ({seconds}::float8 / {DAY_SECONDS})::text ELSE ({text})::text END",
        (
            (f"NOT ({known})", Form.TEXT),
            (f"{column} IS NULL", Form.NULL),
            (f"{seconds} = trunc({seconds})", Form.VALUE),
            ("true", Form.DETAILED),
        ),
    )


_SQL_CELLS: dict[Kind, Callable[[str, str, Options], SqlCell]] = {
    Kind.INTEGER: _sql_integer,
    Kind.DECIMAL: _sql_decimal,
    Kind.FLOAT: _sql_float,
    Kind.BOOLEAN: _sql_boolean,
    Kind.DATE: _sql_date,
    Kind.DATETIME: _sql_datetime,
    Kind.TIME: _sql_time,
    Kind.DURATION: _sql_duration,
}


# In Python: the text form, options

TextForm = Callable[[Any], str]


def _python_text(text: TextForm) -> PythonCell:
    def cell(value: Any) -> tuple[Form, str]:
        shown = text(value)
        return (Form.VALUE if shown else Form.DETAILED), shown

    return cell


def _python_integer(text: TextForm, options: Options) -> PythonCell:
    def cell(value: Any) -> tuple[Form, str]:
        fits = abs(int(value)) < 10**MAX_DIGITS
        return _number_form(value) if fits else Form.TEXT, text(value)

    return cell


def _python_decimal(text: TextForm, options: Options) -> PythonCell:
    shown = locale.python_number(text, options)

    def cell(value: Any) -> tuple[Form, str]:
        number = value if isinstance(value, Decimal) else Decimal(str(value))
        plain = text(number)
        digits = plain.rstrip("0") if "." in plain else plain
        fits = number.is_finite() and len(digits.replace("-", "").replace(".", "").lstrip("0")) <= MAX_DIGITS
        return (_number_form(number), plain) if fits else (Form.TEXT, shown(number))

    return cell


def _python_float(text: TextForm, options: Options) -> PythonCell:
    def cell(value: float) -> tuple[Form, str]:
        if not abs(value) < float("inf"):
            return Form.TEXT, text(value)
        long = abs(value) < 10**MAX_DIGITS and float(value).is_integer()
        return _number_form(value) if long else Form.VALUE, text(value)

    return cell


def _python_boolean(text: TextForm, options: Options) -> PythonCell:
    return lambda value: (Form.VALUE, "1" if value else "0")


def _python_date(text: TextForm, options: Options) -> PythonCell:
    zero = date(1899, 12, 30)

    def cell(value: date) -> tuple[Form, str]:
        return (Form.VALUE, str((value - zero).days)) if value >= FIRST_DAY else (Form.TEXT, text(value))

    return cell


def _python_datetime(text: TextForm, options: Options) -> PythonCell:
    zone = ZoneInfo(options.timezone) if options.timezone else UTC

    def cell(value: datetime) -> tuple[Form, str]:
        try:
            local = value.astimezone(zone).replace(tzinfo=None) if value.tzinfo else value
        except OverflowError:  # the first and the last day of Python's calendar, in a zone that has left it
            return Form.TEXT, text(value)
        if local.date() < FIRST_DAY:
            return Form.TEXT, text(value)
        # A double before the division, as PostgreSQL does it: past the year 2255 they are not all whole.
        seconds = float((_cut(local) - EPOCH) // MICROSECOND) / 1_000_000.0
        return _seconds_form(local), float_text(seconds / DAY_SECONDS + EPOCH_SERIAL)

    return cell


def _python_time(text: TextForm, options: Options) -> PythonCell:
    def cell(value: time) -> tuple[Form, str]:
        at = _cut(datetime.combine(EPOCH, value.replace(tzinfo=None)))
        return _seconds_form(value), float_text((at - EPOCH) // MICROSECOND / 1_000_000.0 / DAY_SECONDS)

    return cell


def _python_duration(text: TextForm, options: Options) -> PythonCell:
    def cell(value: timedelta) -> tuple[Form, str]:
        if not -MAX_DURATION < value < MAX_DURATION:
            return Form.TEXT, text(value)
        form = Form.DETAILED if value.microseconds else Form.VALUE
        return form, float_text(value // MICROSECOND / 1_000_000 / DAY_SECONDS)

    return cell


def _cut(at: datetime) -> datetime:
    return at.replace(microsecond=min(at.microsecond, LAST_FRACTION))


def _number_form(value: Any) -> Form:
    return Form.VALUE if abs(value) <= MAX_GENERAL else Form.DETAILED


def _seconds_form(value: datetime | time) -> Form:
    return Form.DETAILED if value.microsecond else Form.VALUE


_PYTHON_CELLS: dict[Kind, Callable[[TextForm, Options], PythonCell]] = {
    Kind.INTEGER: _python_integer,
    Kind.DECIMAL: _python_decimal,
    Kind.FLOAT: _python_float,
    Kind.BOOLEAN: _python_boolean,
    Kind.DATE: _python_date,
    Kind.DATETIME: _python_datetime,
    Kind.TIME: _python_time,
    Kind.DURATION: _python_duration,
}
