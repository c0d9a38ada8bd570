"""Choices: what kind of value is stored, and its label.

A label is found as Django's ``get_FOO_display`` finds it: by the value, not by how it is printed. Stored 0.20 is the
choice ``Decimal("0.2")``, and neither is the text ``"0.2"``. Both sides turn a value into one text, its *key*.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from exports_app.pipeline.formats import scalars, zones
from exports_app.pipeline.literals import quote
from exports_app.pipeline.types import Field, Kind, Options

MAX_CASES = 8
"""Labels up to which asking one by one is quicker than a look into a jsonb object."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stored_kind(field: Field) -> Kind:
    """The kind; of a choice that of its stored value."""
    return (field.element or Kind.TEXT) if field.kind is Kind.CHOICE else field.kind


def shown_kind(field: Field, options: Options) -> Kind:
    """The kind as the file shows it: labels are text whatever is stored."""
    return Kind.TEXT if field.kind is Kind.CHOICE and options.choice_labels else stored_kind(field)


def element_kind(field: Field, options: Options) -> Kind | None:
    """What ``shown_kind`` is, of an array's elements; None: not known."""
    return Kind.TEXT if field.choices and options.choice_labels else field.element


def null_label(field: Field, options: Options) -> str | None:
    """What stands in place of NULL; None: nothing does."""
    return field.null_label if field.kind is Kind.CHOICE and options.choice_labels else None


def sql_label(field: Field, column: str, stored: str) -> str:
    """The label of a choice; ``stored``, an expression of its value as text, where it has none."""
    known = dict(field.choices)
    key = sql_key(stored_kind(field), column)
    if len(known) > MAX_CASES:
        labelled = f"coalesce({quote(json.dumps(known, ensure_ascii=False))}::jsonb ->> {key}, {stored})"
    elif known:
        cases = " ".join(f"WHEN {quote(value)} THEN {quote(label)}" for value, label in known.items())
        labelled = f"CASE {key} {cases} ELSE {stored} END"
    else:
        labelled = stored
    if field.null_label is None:
        return labelled
    return f"CASE WHEN {column} IS NULL THEN {quote(field.null_label)} ELSE {labelled} END"


def python_label(field: Field, stored: Callable[[Any], str]) -> Callable[[Any], str]:
    """What ``sql_label`` gives, of a value that is not None."""
    known, kind = dict(field.choices), stored_kind(field)

    def label(value: Any) -> str:
        key = choice_key(kind, value)
        text = known.get(key) if key is not None else None
        return stored(value) if text is None else text

    return label


def sql_stored(kind: Kind, column: str, options: Options) -> str:
    """A stored value as text, in no locale's form."""
    form = _SQL_STORED.get(kind)
    return zones.sql_iso(column, options.timezone) if kind is Kind.DATETIME else (form or "({})::text".format)(column)


def python_stored(kind: Kind, options: Options) -> Callable[[Any], str]:
    """What ``sql_stored`` gives."""
    return zones.python_iso(options.timezone) if kind is Kind.DATETIME else _PYTHON_STORED.get(kind, _plain_text)


def sql_key(kind: Kind, column: str) -> str:
    """The key of a stored value: equal for equal values of the kind, and for no others."""
    return _SQL_KEYS.get(kind, '({}::text COLLATE "C")').format(column)


def choice_key(kind: Kind, value: Any) -> str | None:
    """What ``sql_key`` gives, of a declared choice or of a value; None: it equals nothing of this kind."""
    form = _KEYS.get(kind)
    if form is None:
        return str.__str__(value) if isinstance(value, str) else None
    types, key = form
    return key(value) if isinstance(value, types) else None


def _number_key(value: Any) -> Decimal | None:
    number = Decimal(value) if isinstance(value, int | float | Decimal) else Decimal(str(value))
    return number if number.is_finite() else None


def _integer_key(value: Any) -> str | None:
    number = _number_key(value)
    return str(int(number)) if number is not None and number == int(number) else None


def _decimal_key(value: Any) -> str | None:
    number = _number_key(value)
    if number is None:
        return None
    text = f"{number:f}" if number else "0"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _float_key(value: Any) -> str | None:
    number = _number_key(value)
    if number is None or not math.isfinite(float(value)) or Decimal(float(value)) != number:
        return None
    return scalars.float_text(float(value) or 0.0)


def _boolean_key(value: Any) -> str | None:
    return scalars.boolean_text(value) if value in (0, 1) else None


def _datetime_key(value: datetime) -> str:
    at = value if value.tzinfo else value.replace(tzinfo=UTC)
    return scalars.seconds_text(at - EPOCH)


def _date_key(value: date) -> str | None:
    return None if isinstance(value, datetime) else value.isoformat()


def _plain_text(value: Any) -> str:
    return str.__str__(value) if isinstance(value, str) else str(value)


_NUMBERS = (int, float, Decimal)
_SQL_KEYS: dict[Kind, str] = {
    Kind.INTEGER: "{}::text",
    Kind.DECIMAL: "trim_scale({}::numeric)::text",
    Kind.FLOAT: "({} + '0'::float4)::text",  # so that -0 is 0, and a float4 keeps its own digits
    Kind.BOOLEAN: "{}::boolean::text",
    Kind.DATE: "{}::date::text",
    Kind.DATETIME: "trim_scale(extract(epoch FROM {}))::text",
    Kind.TIME: "{}::text",
    Kind.DURATION: "trim_scale(extract(epoch FROM {}))::text",
    Kind.UUID: "{}::text",
}
_KEYS: dict[Kind, tuple[tuple[type, ...], Callable[[Any], str | None]]] = {
    Kind.INTEGER: (_NUMBERS, _integer_key),
    Kind.DECIMAL: (_NUMBERS, _decimal_key),
    Kind.FLOAT: (_NUMBERS, _float_key),
    Kind.BOOLEAN: (_NUMBERS, _boolean_key),
    Kind.DATE: ((date,), _date_key),
    Kind.DATETIME: ((datetime,), _datetime_key),
    Kind.TIME: ((time,), scalars.time_text),
    Kind.DURATION: ((timedelta,), scalars.seconds_text),
    Kind.UUID: ((uuid.UUID,), str),
}
"""Types whose values may equal one of the kind, and the key."""
_SQL_STORED: dict[Kind, Callable[[str], str]] = {
    Kind.BOOLEAN: scalars.sql_boolean,
    Kind.DURATION: lambda column: f"{scalars.sql_seconds(column)}::text",
}
_PYTHON_STORED: dict[Kind, Callable[[Any], str]] = {
    Kind.BOOLEAN: scalars.boolean_text,
    Kind.INTEGER: scalars.integer_text,
    Kind.FLOAT: scalars.float_text,
    Kind.DECIMAL: scalars.decimal_text,
    Kind.TIME: scalars.time_text,
    Kind.DURATION: scalars.seconds_text,
}
