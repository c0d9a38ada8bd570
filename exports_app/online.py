"""Changes of tables that a running site goes on writing to: for migrations.

A lock on a table is asked for during ``LOCK_SECONDS`` and then given up for a while, since everybody who comes after
one who waits for a lock waits as well. Indexes are built beside those who write.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any, TypeVar

import psycopg
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import OperationalError, migrations, transaction
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

LOCK_SECONDS = 0.4
"""Longest time that anybody waits behind a migration that waits for a lock."""
PAUSE_SECONDS = 0.4
"""Between two tries at first; it grows."""
LONGEST_PAUSE = 1.5
GIVE_UP_SECONDS = 300.0
CONFLICTS = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)

Result = TypeVar("Result")


class Held(Exception):
    """Somebody holds a table all the time."""


class Migration(migrations.Migration):
    """Short locks, tried again where a table is held: one transaction, or with ``atomic = False`` one per operation.

    A migration that changes two tables which others write to in one transaction is not atomic: holding the first, it
    would wait for somebody who waits for the first and holds the second. Its operations can then be run again.
    """

    def apply(self, project_state: ProjectState, schema_editor: Any, collect_sql: bool = False) -> ProjectState:
        """As Django does, on a copy of the state for each try."""
        if collect_sql:
            return super().apply(project_state, schema_editor, collect_sql)
        for step in self._steps():
            project_state = _patiently(migrations.Migration.apply, step, project_state, schema_editor)
        return project_state

    def unapply(self, project_state: ProjectState, schema_editor: Any, collect_sql: bool = False) -> ProjectState:
        """Likewise, from the last operation to the first."""
        if collect_sql:
            return super().unapply(project_state, schema_editor, collect_sql)
        before = [project_state]
        for step in (steps := self._steps()):
            before.append(step.mutate_state(before[-1]))
        for step, state in reversed(list(zip(steps, before, strict=False))):
            _patiently(migrations.Migration.unapply, step, state, schema_editor)
        return project_state

    def _steps(self) -> list[Migration]:
        return [self] if self.atomic else [self._only(operation) for operation in self.operations]

    def _only(self, operation: Operation) -> Migration:
        step = copy(self)
        step.operations = [operation]  # type: ignore[misc]  # the instance's, as Django makes them
        return step


def _patiently(
    change: Callable[..., ProjectState], migration: Migration, state: ProjectState, editor: Any
) -> ProjectState:
    """Each try has a savepoint: going back to it lets go of what was locked behind it."""

    def once() -> ProjectState:
        editor.deferred_sql.clear()
        with transaction.atomic(editor.connection.alias), limited_locks(editor.connection):
            changed = change(migration, state.clone(), editor)
            _execute_deferred(editor)
        return changed

    return patiently(once, f"{migration.app_label}.{migration.name}")


def _execute_deferred(editor: Any) -> None:
    """Foreign keys, which lock the tables they lead to; Django adds them at the end."""
    for statement in editor.deferred_sql:
        editor.execute(statement, params=None)
    editor.deferred_sql.clear()


@contextmanager
def limited_locks(connection: Any) -> Iterator[None]:
    """Within it, in a transaction, no statement waits long for a lock."""
    before = _set_lock_timeout(connection, f"{LOCK_SECONDS * 1000:.0f}ms")
    yield
    _set_lock_timeout(connection, before)  # where it fails, the transaction takes it back


def _set_lock_timeout(connection: Any, value: str) -> str:
    """Until the transaction ends; gives what it was before."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        before = str(cursor.fetchone()[0])
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [value])
    return before


def patiently(change: Callable[[], Result], what: str) -> Result:
    """What ``change`` gives, tried again while a lock is not to be had. Raises ``Held`` in the end."""
    until, pause = time.monotonic() + GIVE_UP_SECONDS, PAUSE_SECONDS
    while True:
        try:
            return change()
        except OperationalError as error:
            if not isinstance(error.__cause__, CONFLICTS):
                raise
            if time.monotonic() > until:
                raise Held(
                    f"{what}: no lock was to be had within {GIVE_UP_SECONDS:.0f} seconds, as a transaction or a "
                    "vacuum holds the table. End it (pg_stat_activity), then run migrate again; nothing is half done."
                ) from error
        time.sleep(pause * (1 + random.random()))  # noqa: S311 - no secret
        pause = min(pause * 1.5, LONGEST_PAUSE)


class DeleteWith(Operation):
    """A row goes with the one that its foreign key leads to, whoever deletes that: a release may not know the table."""

    reduces_to_sql = True
    reversible = True

    def __init__(self, model_name: str, field: str) -> None:
        self.model_name = model_name
        self.field = field

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Django does not know of it."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """The same constraint with another action; its rows need no look, as it was valid a moment ago."""
        _execute_deferred(schema_editor)
        model = from_state.apps.get_model(app_label, self.model_name)
        column, target = model._meta.get_field(self.field).column, model._meta.get_field(self.field).target_field
        quote = schema_editor.quote_name
        for name in schema_editor._constraint_names(model, [column], foreign_key=True):
            schema_editor.execute(
                f"ALTER TABLE {quote(model._meta.db_table)} DROP CONSTRAINT {quote(name)}, "
                f"ADD CONSTRAINT {quote(name)} FOREIGN KEY ({quote(column)}) "
                f"REFERENCES {quote(target.model._meta.db_table)} ({quote(target.column)}) "
                "ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED NOT VALID"
            )

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """It does no harm."""

    def describe(self) -> str:
        """For ``migrate --plan``."""
        return f"Delete {self.model_name} with its {self.field}"


class AddIndex(AddIndexConcurrently):
    """Built beside those who write, and once only: what a migration that was ended left unfinished is built anew."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Unless it is there; one that is not valid goes first."""
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(_IS_VALID, [self.index.name])
            found = cursor.fetchone()
            if found == (True,):
                return
            if found:
                cursor.execute(f"DROP INDEX CONCURRENTLY {schema_editor.quote_name(self.index.name)}")
        super().database_forwards(app_label, schema_editor, from_state, to_state)


_IS_VALID = """
SELECT indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
 WHERE relname = %s AND pg_table_is_visible(pg_class.oid)
"""
