"""What the ORM does to a value that the database gave: nothing, what SQL can do as well, or what only Python can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.expressions import BaseExpression, ColPairs
from django.db.models.functions.datetime import TruncBase

from exports_app.pipeline.formats import zones
from exports_app.pipeline.literals import quote

Converter = Callable[[Any, Any, Any], Any]

HARMLESS = frozenset({models.JSONField.from_db_value})
"""Methods after which a file has the same value as before. An override of one is another method."""

OF_ELEMENTS = ArrayField._from_db_value  # type: ignore[attr-defined]  # what Django's stubs leave out
"""Does to each element what the array's base field does to one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """How the ORM makes its value of what the database gave for one expression."""

    expression: Any
    converters: tuple[Converter, ...]

    def value(self, value: Any, connection: Any) -> Any:
        """The ORM's value of what psycopg loaded on Django's ``connection``."""
        for convert in self.converters:
            value = convert(value, self.expression, connection)
        return value


def orm_decoder(expression: Any, connection: Any) -> Decoder:
    """All that the ORM does, but what ``finished_sql`` has done already."""
    converters = [each for each in _converters(expression, connection) if not _is_local_time(each)]
    return Decoder(expression=expression, converters=tuple(converters))


def decoder(expression: Any, connection: Any) -> Decoder | None:
    """What only Python can do; None: a file has the very value that PostgreSQL prints."""
    found = orm_decoder(expression, connection)
    return None if all(_is_harmless(each) for each in found.converters) else found


def finished_sql(expression: Any, column: str, connection: Any) -> str:
    """``column``, which holds the values of ``expression``, as the ORM has them, as far as SQL can do it.

    ``Trunc*`` in a time zone gives what clocks there showed, and Django makes a moment of it: of two that a clock
    showed because it was put back, the first.
    """
    if not any(_is_local_time(each) for each in _converters(expression, connection)):
        return column
    zone = quote(connection.ops._prepare_tzname_delta(expression.get_tzname()))
    moment = f"({column} AT TIME ZONE {zone})"
    key = getattr(expression.tzinfo, "key", None) or expression.get_tzname()
    shifts = zones.setbacks(key) if zones.is_zone(key) else ()
    cases = [
        f"WHEN ({earlier} AT TIME ZONE {zone}) = {column} THEN {earlier}"
        for earlier in (f"({moment} - INTERVAL '{shift.total_seconds():.0f} s')" for shift in shifts)
    ]
    return f"CASE {' '.join(cases)} ELSE {moment} END" if cases else moment


def _converters(expression: Any, connection: Any) -> list[Converter]:
    if expression is None or isinstance(expression, ColPairs):
        return []
    return [*connection.ops.get_db_converters(expression), *expression.get_db_converters(connection)]


def _is_local_time(converter: Converter) -> bool:
    """Whether it is Django's own way from a local time to a moment."""
    expression = getattr(converter, "__self__", None)
    if not isinstance(expression, TruncBase) or _function(converter) is not TruncBase.convert_value:
        return False
    return bool(settings.USE_TZ) and isinstance(expression.output_field, models.DateTimeField)


def _is_harmless(converter: Converter) -> bool:
    function = _function(converter)
    if function in HARMLESS or function is TruncBase.convert_value:
        return True  # of dates and times, PostgreSQL's casts are what it does
    if function is OF_ELEMENTS:
        return _is_harmless(converter.__self__.base_field.from_db_value)  # type: ignore[attr-defined]  # an ArrayField
    # Numbers of the type that the output field says
    own = f"{BaseExpression.__qualname__}.convert_value.<locals>"
    return bool(function.__module__ == BaseExpression.__module__ and function.__qualname__.startswith(own))


def _function(converter: Converter) -> Any:
    return getattr(converter, "__func__", converter)
