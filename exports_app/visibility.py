"""What somebody may see of a stored request and its file: no column that is hidden from them, no filter on one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exports_app.models import ExportJob
from exports_app.resources import faults, registry
from exports_app.resources.base import Resource, User
from exports_app.resources.filters import forbidden_filters


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What a user may see of a resource that they may export."""

    columns: frozenset[str]
    hidden_filters: frozenset[str]


class Sight:
    """What one user may see now, worked out once for each resource; made anew for each request, as rights change."""

    def __init__(self, user: User) -> None:
        self._user = user
        self._known: dict[str, Rights | None] = {}

    def rights(self, name: str) -> Rights | None:
        """None where they may not export it, or where it is gone: nobody can say any more who might see what."""
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def seen(
        self, name: str, columns: Sequence[Any] | None, filters: Mapping[str, Any]
    ) -> tuple[list[Any] | None, dict[str, Any]]:
        """Those of the columns (names, or mappings with one) and filters of the resource ``name`` that they may see."""
        rights = self.rights(name)
        if rights is None:
            return [], {}
        seen = None if columns is None else [each for each in columns if _name(each) in rights.columns]
        return seen, {each: value for each, value in filters.items() if each not in rights.hidden_filters}

    def may_read(self, job: ExportJob) -> bool:
        """Whether they have, today, the permissions for this export's rows and columns."""
        rights = self.rights(job.resource)
        return rights is not None and all(_name(column) in rights.columns for column in job.columns)

    def _find(self, name: str) -> Rights | None:
        """None also where the declaration is broken."""
        declared = registry.get(name)
        return next(faults.working([declared] if declared else [], self._of), None)

    def _of(self, resource: Resource) -> Rights | None:
        if not resource.is_allowed(self._user):
            return None
        return Rights(
            columns=frozenset(column.name for column in resource.visible_columns(self._user)),
            hidden_filters=frozenset(forbidden_filters(resource, self._user)),
        )


def _name(column: str | Mapping[str, str]) -> str:
    return column if isinstance(column, str) else column["name"]
