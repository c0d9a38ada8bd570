"""What the database's own types say of columns, which the models may not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from exports_app.pipeline.types import Field, Kind

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
