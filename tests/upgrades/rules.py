"""What a migration may do beside the release before, which goes on reading and writing the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently
from django.db import connection, migrations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import NOT_PROVIDED, ManyToManyField

from exports_app import online

STATE_ONLY = (migrations.AlterModelOptions, migrations.AlterModelManagers, migrations.AlterOrderWithRespectTo)
GONE_TOO_SOON = (
    migrations.RemoveField,
    migrations.RenameField,
    migrations.DeleteModel,
    migrations.RenameModel,
    migrations.AlterModelTable,
    migrations.RemoveConstraint,
)
CODE = (migrations.RunPython, migrations.RunSQL)


def problems(migration: Any, state: ProjectState, judged: Callable[[Any], bool]) -> Iterator[str]:
    """What is wrong with a migration on the models of ``state``; moves that on.

    ``judged``: whether somebody has looked at an operation that runs code or SQL of its own.
    """
    made: set[str] = set()
    held: set[str] = set()
    if migration.atomic and not isinstance(migration, online.Migration):
        yield "is no online.Migration: it would wait for locks, and everybody behind it"
    for operation in migration.operations:
        before = state.clone()
        operation.state_forwards(migration.app_label, state)
        yield from _problems(operation, migration, before, state, made)
        if isinstance(operation, CODE) and not judged(operation):
            yield f"{type(operation).__name__} is not among those that were looked at"
        if isinstance(operation, migrations.CreateModel):
            made.add(operation.name.lower())
        elif _is_locking(operation, migration.app_label, before, state):
            held.add(operation.model_name.lower())
    if migration.atomic and len(held - made) > 1:
        yield f"holds {' and '.join(sorted(held - made))} at once: who writes to both may hold it up for ever"


def _is_locking(operation: Operation, app: str, before: ProjectState, after: ProjectState) -> bool:
    """Whether it changes a column of a table that is there."""
    if isinstance(operation, migrations.AddField):
        return True
    if not isinstance(operation, migrations.AlterField):
        return False
    was, now = (
        each.apps.get_model(app, operation.model_name)._meta.get_field(operation.name) for each in (before, after)
    )
    return bool(connection.schema_editor()._field_should_be_altered(was, now))  # type: ignore[attr-defined]


def _problems(
    operation: Operation, migration: Any, before: ProjectState, after: ProjectState, made: set[str]
) -> Iterator[str]:
    kind, model = type(operation).__name__, getattr(operation, "model_name", "").lower()
    if isinstance(operation, (*STATE_ONLY, *CODE, migrations.CreateModel, online.DeleteWith)) or model in made:
        return
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        for each in operation.database_operations:
            yield from _problems(each, migration, before, after, made)
    elif isinstance(operation, GONE_TOO_SOON):
        yield f"{kind} takes away what the release before still needs"
    elif isinstance(operation, migrations.AddField):
        yield from _of_new_field(operation, model)
    elif isinstance(operation, migrations.AlterField):
        yield from _of_changed_field(operation, migration.app_label, before, after)
    elif isinstance(operation, AddIndexConcurrently):
        if not isinstance(operation, online.AddIndex):
            yield f"index {operation.index.name} cannot be built again once it was interrupted: take online.AddIndex"
    elif isinstance(operation, migrations.AddIndex):
        yield f"index {operation.index.name} holds up who writes to {model}: take online.AddIndex"
    elif isinstance(operation, migrations.AddConstraint):
        if not isinstance(operation, AddConstraintNotValid):
            yield f"constraint {operation.constraint.name} is looked at with all rows of {model}: not valid first"
    else:
        yield f"{kind} has no rule"


def _of_new_field(operation: migrations.AddField, model: str) -> Iterator[str]:
    field: Any = operation.field
    if isinstance(field, ManyToManyField) or field.null or field.db_default is not NOT_PROVIDED:
        return
    yield f"{model}.{operation.name} has neither null nor db_default: inserts of the release before fail"


def _of_changed_field(
    operation: migrations.AlterField, app: str, before: ProjectState, after: ProjectState
) -> Iterator[str]:
    was, now = (
        each.apps.get_model(app, operation.model_name)._meta.get_field(operation.name) for each in (before, after)
    )
    old, new = was.db_parameters(connection)["type"], now.db_parameters(connection)["type"]
    name = f"{operation.model_name}.{operation.name}"
    if old != new and not (str(old).startswith("varchar") and new == "text"):
        yield f"{name} goes from {old} to {new}: all rows are written or read again"
    if was.null and not now.null:
        yield f"{name} takes no null any more: all rows are read"
    if (now.unique and not was.unique) or (now.db_index and not was.db_index):
        yield f"{name} gets an index, which holds up who writes"
