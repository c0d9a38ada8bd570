"""What of a stored request somebody may see: neither the columns that are hidden from them nor filters on those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from exports_app.resources import registry
from exports_app.resources.base import User
from exports_app.resources.filters import forbidden_filters


def seen_by(
    user: User, name: str, columns: Sequence[Any] | None, filters: Mapping[str, Any]
) -> tuple[list[Any] | None, dict[str, Any]]:
    """The columns (names, or mappings with one) and filters of the resource ``name`` that ``user`` may see.

    Nothing where they may not export it, or where it is gone, since nobody can say any more who might see what.
    """
    declared = registry.get(name)
    resource = declared() if declared else None
    if resource is None or not resource.is_allowed(user):
        return [], {}
    visible = {column.name for column in resource.visible_columns(user)}
    hidden = forbidden_filters(resource, user)
    seen = None if columns is None else [each for each in columns if _name(each) in visible]
    return seen, {each: value for each, value in filters.items() if each not in hidden}


def _name(column: str | Mapping[str, str]) -> str:
    return column if isinstance(column, str) else column["name"]
