"""Whether the database has the tables of this code: a release may run on those of the next one, never the other way."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connection, connections
from django.db.migrations.executor import MigrationExecutor

from exports_app import errors

APP = "exports_app"
UNDEFINED = frozenset({"42P01", "42703"})
"""SQLSTATE of a table and of a column that are not there."""
KEEP_SECONDS = 2.0
"""Nobody looks more often, while something is missing."""


@dataclass(slots=True)
class _Look:
    missing: list[str] = field(default_factory=list)
    at: float = float("-inf")
    is_complete: bool = False


_last = _Look()


def missing() -> list[str]:
    """Names of migrations that the database lacks; asked until there are none, as no running code takes them back."""
    now = time.monotonic()
    if not _last.is_complete and now - _last.at > KEEP_SECONDS:
        _last.missing, _last.at = look(), now
        _last.is_complete = not _last.missing
    return _last.missing


def look() -> list[str]:
    """The same, asked now."""
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes(APP))
    return [migration.name for migration, _ in plan if migration.app_label == APP]


def explain(error: BaseException) -> errors.NotMigrated | None:
    """What a query failed for, where its table or column has yet to be made; None: it is something else."""
    if errors.sqlstate(error) not in UNDEFINED or connection.in_atomic_block:
        return None
    try:
        return errors.NotMigrated() if missing() else None
    except (DatabaseError, InterfaceError):
        return None
