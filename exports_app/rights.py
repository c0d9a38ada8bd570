"""What a file was made with, and whether those rights still hold: asked at each download and link, of everybody.

A job records every table of its file: its resource and columns, the permissions that they took, and what the resource
says its rows depend on. The owner must still have all that, whoever fetches: a file is no way round a right that was
withdrawn. Who fetches must besides be allowed the same tables and columns themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exports_app import errors
from exports_app.access import Access
from exports_app.models import ExportJob
from exports_app.pipeline.formats import get_format
from exports_app.plan import Plan, Table
from exports_app.resources import faults, registry
from exports_app.resources.base import User, has_permission
from exports_app.visibility import Sight, stored_rights

OWN = "You can see this export, but its data needs permissions that you do not have."
OWNERS = "Its owner may not read this data any more, so nobody can fetch the file."
OTHERS = "Only its owner, and those it is shared with, may fetch this file."
MAKE_AGAIN = "This file was made by an earlier version, which did not record all its tables. Make it again."


def record(plan: Plan, user: User) -> list[dict[str, Any]]:
    """Every table of the file, for ``ExportJob.tables``."""
    return [_table(table, user) for table in plan.tables]


def _table(table: Table, user: User) -> dict[str, Any]:
    resource = table.resource
    names = [field.name for field in table.fields]
    sensitive = {column.sensitive for column in resource.get_columns() if column.name in names}
    return {
        "resource": resource.name,
        "columns": names,
        "permissions": sorted(filter(None, {resource.permission, *sensitive})),
        "rights": stored_rights(resource, user),
    }


def refusal(allowed: Access, job: ExportJob) -> errors.ExportError | None:
    """Why this user may not fetch the file now; None: they may."""
    if is_unrecorded(job):
        return errors.Gone(MAKE_AGAIN)
    if not allowed.may_open(job):
        return errors.PermissionDenied(OTHERS)
    if not allowed.sight.may_read(job):
        return errors.PermissionDenied(OWN)
    return None if holds(allowed, job) else errors.PermissionDenied(OWNERS)


def holds(allowed: Access, job: ExportJob) -> bool:
    """Whether its owner still has all rights that the file was made with."""
    owners = allowed.sight_of(job.owner)
    return owners.user.is_active and owners.may_read(job) and all(_holds(table, owners) for table in job.tables or ())


def _holds(table: Mapping[str, Any], owners: Sight) -> bool:
    if not all(has_permission(owners.user, each) for each in table["permissions"]):
        return False  # also one that the resource asks for no more
    return table["rights"] is None or owners.row_rights(table["resource"]) == table["rights"]


def is_unrecorded(job: ExportJob) -> bool:
    """Whether its file may have tables that nobody recorded: a workbook of before, of a resource with sheets."""
    return job.tables is None and bool(get_format(job.format).sheets) and job.resource in with_sheets()


def with_sheets() -> list[str]:
    """Resources that have related tables; those that cannot say count as such."""
    plain = set(faults.working(registry.every(), lambda made: None if made.sheets else made.name))
    return [each.name for each in registry.every() if each.name not in plain]
