"""Compiled statements with their parameters in place."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import psycopg
from django.db import connections

CLOCK = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|(\b(?:STATEMENT_TIMESTAMP\(\)|CURRENT_TIMESTAMP\b))""")
"""What Django's ``Now()`` and ``TransactionNow()`` are in SQL; what is quoted is told apart from them."""
_moment: ContextVar[datetime | None] = ContextVar("exports_clock", default=None)
Octets = bytes | bytearray | memoryview | psycopg.Binary


@contextmanager
def clock_stands(moment: datetime) -> Iterator[None]:
    """Within, ``Now()`` means this moment: a statement is asked several times, by several connections.

    Otherwise rows that a filter lets go of meanwhile would be in some answers, and not in others.
    """
    token = _moment.set(moment)
    try:
        yield
    finally:
        _moment.reset(token)


def literal(alias: str, statement: str, parameters: Sequence[Any]) -> str:
    """A statement for this database, right in any of its sessions.

    psycopg escapes bytes as the session wants that composes, whose ``standard_conforming_strings`` may be another than
    that of the session which reads; bytes of an array it escapes wrongly where that is off. So it gets names of them,
    which stand for expressions that no setting changes.
    """
    if (moment := _moment.get()) is not None:
        stands = f"'{moment.astimezone(UTC).isoformat()}'::timestamptz"
        statement = CLOCK.sub(lambda found: stands if found[1] else found[0], statement)
    name, expressions = secrets.token_hex(16), list[str]()
    given: list[Any] = []
    for parameter in parameters:
        if _has_octets(parameter):
            given.append(f"{name}_{len(expressions)}")
            expressions.append(_expression(parameter))
        else:
            given.append(parameter)
    composed = str(connections[alias].ops.compose_sql(statement, given))  # type: ignore[attr-defined]  # PostgreSQL's
    return re.sub(rf"'{name}_(\d+)'", lambda match: expressions[int(match[1])], composed) if expressions else composed


def _has_octets(value: Any) -> bool:
    return isinstance(value, Octets) or (isinstance(value, list) and any(map(_has_octets, value)))


def _expression(value: Any) -> str:
    return f"{_array(value)}::bytea[]" if isinstance(value, list) else _decoded(value)


def _array(values: Sequence[Any]) -> str:
    return f"ARRAY[{', '.join(_array(each) if isinstance(each, list) else _decoded(each) for each in values)}]"


def _decoded(value: Octets | None) -> str:
    if value is None:
        return "NULL"
    octets = value.obj if isinstance(value, psycopg.Binary) else value
    return f"decode('{bytes(octets).hex()}', 'hex')"
