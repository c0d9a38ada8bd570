"""What only the database says: the types of its columns, which models may not know, and its session's time zone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from exports_app.pipeline.formats.zones import UTC_NAME
from exports_app.pipeline.types import Field, Kind, Options

NAIVE = frozenset({1114, 1115})
"""OIDs of ``timestamp without time zone`` and its array."""


def as_stored(fields: Sequence[Field], types: Sequence[int]) -> list[Field]:
    """The fields, with moments marked whose type in the database has no time zone. ``types``: OIDs in their order."""
    return [
        replace(field, naive=True) if oid in NAIVE and _holds_moments(field) else field
        for field, oid in zip(fields, types, strict=False)
    ]


def _holds_moments(field: Field) -> bool:
    return Kind.DATETIME in (field.kind, field.element)


def in_session(options: Options, zone: str) -> Options:
    """Options for SQL in a session of this zone: UTC is said where PostgreSQL would print moments in another one."""
    return replace(options, timezone=UTC_NAME) if options.timezone is None and zone != UTC_NAME else options
