"""What somebody may see of a stored request and its file: no table, column or filter that is hidden from them."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from exports_app.models import ExportJob
from exports_app.resources import faults, registry
from exports_app.resources.base import Resource, User, may_export
from exports_app.resources.filters import forbidden_filters


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What a user may see of a resource that they may export."""

    columns: frozenset[str]
    hidden_filters: frozenset[str]


class Sight:
    """What one user may see now, worked out once for each resource; made anew for each request, as rights change."""

    def __init__(self, user: User) -> None:
        self.user = user
        self._known: dict[str, Rights | None] = {}
        self._row_rights: dict[str, dict[str, Any] | None] = {}

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

    def knows(self, job: ExportJob) -> bool:
        """Whether they may export something of every table of this export."""
        return all(self.rights(resource) is not None for resource, _ in job.contents())

    def seen_tables(self, names: Sequence[str] | None) -> list[str] | None:
        """Those of the resources that they may export; None: no choice was made."""
        return None if names is None else [each for each in names if self.rights(each) is not None]

    def may_read(self, job: ExportJob) -> bool:
        """Whether they have, today, the permissions for the rows and columns of every table of this export."""
        return all(self._may_read(resource, columns) for resource, columns in job.contents())

    def row_rights(self, name: str) -> dict[str, Any] | None:
        """What the resource says today that their rows depend on; worked out once."""
        if name not in self._row_rights:
            declared = registry.get(name)
            found = faults.working([declared] if declared else [], lambda made: (stored_rights(made, self.user),))
            self._row_rights[name] = next(found, (None,))[0]
        return self._row_rights[name]

    def _may_read(self, resource: str, columns: Sequence[str]) -> bool:
        rights = self.rights(resource)
        return rights is not None and all(name in rights.columns for name in columns)

    def _find(self, name: str) -> Rights | None:
        """None also where the declaration is broken."""
        declared = registry.get(name)
        return next(faults.working([declared] if declared else [], self._of), None)

    def _of(self, resource: Resource) -> Rights | None:
        if not may_export(resource, self.user):
            return None
        return Rights(
            columns=frozenset(column.name for column in resource.visible_columns(self.user)),
            hidden_filters=frozenset(forbidden_filters(resource, self.user)),
        )


def stored_rights(resource: Resource, user: User) -> dict[str, Any] | None:
    """``Resource.get_rights`` as the row of a job has it: no tuples, and texts for the keys of a mapping."""
    rights: dict[str, Any] | None = json.loads(json.dumps(resource.get_rights(user)))
    return rights


def _name(column: str | Mapping[str, str]) -> str:
    return column if isinstance(column, str) else column["name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How much of an export somebody is shown, whatever state it is in."""

    contents: bool = True
    """Otherwise its state alone."""
    details: bool = True
    """Also what may name any column, value or key of its file, or is of all its bytes: why it failed, where its reading
    began anew, size and checksum."""
    values: bool = True
    """Also what the request or the file says of single rows: ids, parameters, keys, and what proves a guess right."""
    hidden: frozenset[str] = frozenset()
    """Related tables of its file that do not exist for them."""

    def of(self, job: ExportJob) -> ExportJob:
        """The export as it is shown: itself, or a copy that is not for saving."""
        if not self.contents:
            return state_alone(job)
        if self == WHOLE:
            return job
        shown = copy.copy(job)
        if not self.details:
            shown.error_detail, shown.error_trace, shown.snapshots = "", "", []
            shown.file_size, shown.crc32, shown.etag, shown.bytes_done = None, "", "", 0
        if not self.values:
            _take_values(shown)
        if self.hidden:
            _take_tables(shown, self.hidden)
        return shown

    def without(self, tables: frozenset[str]) -> View:
        """The same, where these do not exist either."""
        return replace(self, details=False, hidden=self.hidden | tables) if tables else self


WHOLE: Final = View()
STATE: Final = View(contents=False, details=False, values=False)


def _take_values(shown: ExportJob) -> None:
    shown.ids, shown.last_key, shown.idempotency_key = None, None, None
    shown.parameters, shown.context = {}, {}
    unread = shown.get_deferred_fields()
    if "snapshots" not in unread:
        shown.snapshots = [{**each, "after_key": None} for each in shown.snapshots]
    if "tables" not in unread:
        shown.tables = shown.tables and [{"resource": each["resource"], "columns": []} for each in shown.tables]
    for name in ("idempotency_hash", "write_token", "upload_id", "crc32", "etag"):
        setattr(shown, name, "")


def _take_tables(shown: ExportJob, hidden: frozenset[str]) -> None:
    sheets = [each for each in shown.sheet_rows or () if each["resource"] not in hidden]
    own = shown.row_count if shown.row_count is not None else shown.estimated_rows
    shown.sheet_rows = sheets or None
    shown.rows_done = min(shown.rows_done, (own or 0) + sum(each["rows"] for each in sheets))
    shown.rows_per_second = None


def state_alone(job: ExportJob) -> ExportJob:
    """A copy that tells how the export stands, and nothing of what it holds: not for saving."""
    shown = copy.copy(job)
    for name in ("resource", "file_name", "error_detail", "error_trace", "request_id", "crc32", "etag"):
        setattr(shown, name, "")
    for name in ("ids", "sheets", "row_limit", "estimated_rows", "row_count", "file_size", "rows_per_second"):
        setattr(shown, name, None)
    shown.columns, shown.warnings, shown.snapshots = [], [], []
    shown.filters, shown.parameters, shown.options = {}, {}, {}
    shown.rows_done = shown.bytes_done = 0
    shown.estimate_exact, shown.rows_verified, shown.sheet_rows = False, None, None
    return shown
