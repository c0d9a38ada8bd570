"""No migration since the last release keeps that release from working beside it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader

from exports_app import online
from tests.upgrades.rules import problems

RELEASED = "0004_notification_lease_webhook_failures"
"""The last migration of the last release."""
JUDGED = {
    ("0008_tombstones", "RunSQL"): "a trigger on deletions alone; its lock is short, as the migration's others",
    ("0010_sealed_webhook_secrets", "RunPython"): "nothing forwards; backwards nobody else is there",
    ("0011_api_keys", "RunPython"): "drops a constraint of a table that only the release before fills",
    ("0011_api_keys", "RunSQL"): "triggers on deletions of keys and tokens, which are few",
    ("0013_turns", "RunSQL"): "a trigger that waits for who counts the jobs of the same owner, for milliseconds",
    ("0015_indexes_and_turns", "RunPython"): "one owner after another, each in a transaction of its own",
}
"""Code and SQL of migrations that somebody has looked at, and why it may run beside the release before."""
IN_ORDER = {"0014_removals": "who deletes a job holds its table before that of tombstones, as the migration does"}
"""Migrations that hold two tables at once, and why nobody has the second and waits for the first."""

JOB = migrations.CreateModel(
    "Job", [("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=9))]
)
INDEX = models.Index(fields=["name"], name="by_name")
CHECK = models.CheckConstraint(condition=models.Q(id__gt=0), name="positive")


def test_every_migration_since_the_last_release_keeps_the_rules() -> None:
    loader = MigrationLoader(None)
    ours = sorted(name for app, name in loader.disk_migrations if app == "exports_app" and name > RELEASED)
    found = {}
    for name in ours:
        migration = loader.disk_migrations["exports_app", name]
        state = loader.project_state(("exports_app", name), at_end=False)
        judged = {kind for number, kind in JUDGED if number == name}
        wrong = list(problems(migration, state, lambda operation: type(operation).__name__ in judged))  # noqa: B023
        if wrong := [each for each in wrong if name not in IN_ORDER or not each.startswith("holds ")]:
            found[name] = wrong
    assert found == {}
    assert len(ours) >= 12
    assert {name for name, _ in JUDGED} <= set(ours)


def found_in(operation: Any, *, atomic: bool = True, made_now: bool = False) -> list[str]:
    """Of a migration that does this to a table of the last release, or to one that it makes itself."""
    before: Any = migrations.Migration("0001", "exports_app")
    migration: Any = online.Migration("0002", "exports_app")
    before.operations, migration.operations, migration.atomic = [JOB], [operation], atomic
    state = MigrationLoader(None).project_state(("auth", "0012_alter_user_first_name_max_length"))
    if made_now:
        migration.operations.insert(0, JOB)
    else:
        state = before.mutate_state(state)
    return list(problems(migration, state, lambda operation: False))


def test_two_tables_at_once_are_a_problem_but_one_after_the_other_is_none() -> None:
    two = [
        migrations.AddField("exportjob", "size", models.IntegerField(null=True)),
        migrations.AddField("exportpart", "size", models.IntegerField(null=True)),
    ]
    for atomic, wrong in ((True, 1), (False, 0)):
        migration: Any = online.Migration("0002", "exports_app")
        migration.operations, migration.atomic = two, atomic
        loader = MigrationLoader(None)
        assert len(list(problems(migration, loader.project_state(), lambda operation: False))) == wrong


@pytest.mark.parametrize(
    ("operation", "problem"),
    [
        (
            migrations.AddField("job", "size", models.IntegerField(default=0)),
            "job.size has neither null nor db_default: inserts of the release before fail",
        ),
        (migrations.RemoveField("job", "name"), "RemoveField takes away what the release before still needs"),
        (migrations.RenameField("job", "name", "title"), "RenameField takes away what the release before still needs"),
        (migrations.DeleteModel("job"), "DeleteModel takes away what the release before still needs"),
        (migrations.RenameModel("Job", "Work"), "RenameModel takes away what the release before still needs"),
        (migrations.AlterModelTable("job", "work"), "AlterModelTable takes away what the release before still needs"),
        (migrations.AddIndex("job", INDEX), "index by_name holds up who writes to job: take online.AddIndex"),
        (
            AddIndexConcurrently("job", INDEX),
            "index by_name cannot be built again once it was interrupted: take online.AddIndex",
        ),
        (
            migrations.AddConstraint("job", CHECK),
            "constraint positive is looked at with all rows of job: not valid first",
        ),
        (
            migrations.AlterField("job", "name", models.IntegerField()),
            "job.name goes from varchar(9) to integer: all rows are written or read again",
        ),
        (
            migrations.AlterField("job", "name", models.CharField(max_length=9, unique=True)),
            "job.name gets an index, which holds up who writes",
        ),
        (migrations.RunSQL("SELECT 1"), "RunSQL is not among those that were looked at"),
        (
            migrations.RunPython(migrations.RunPython.noop),
            "RunPython is not among those that were looked at",
        ),
        (
            migrations.SeparateDatabaseAndState(database_operations=[migrations.AddIndex("job", INDEX)]),
            "index by_name holds up who writes to job: take online.AddIndex",
        ),
    ],
)
def test_what_the_release_before_could_not_live_with_is_refused(operation: Any, problem: str) -> None:
    assert found_in(operation) == [problem]


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("job", "size", models.IntegerField(default=0, db_default=0)),
        migrations.AddField("job", "size", models.IntegerField(null=True)),
        migrations.AlterField("job", "name", models.TextField()),
        online.AddIndex("job", INDEX),
        AddConstraintNotValid("job", CHECK),
        migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel("job")]),
        migrations.AlterModelOptions("job", {"ordering": ["id"]}),
    ],
)
def test_what_it_can_live_with_is_not(operation: Any) -> None:
    assert found_in(operation) == []


def test_a_table_that_is_made_now_may_have_anything() -> None:
    assert found_in(migrations.AddIndex("job", INDEX), made_now=True) == []
    assert found_in(migrations.AddField("job", "size", models.IntegerField()), made_now=True) == []


def test_a_migration_that_waits_for_locks_is_refused() -> None:
    plain: Any = migrations.Migration("0002", "exports_app")
    plain.operations = []
    state = MigrationLoader(None).project_state(("auth", "0012_alter_user_first_name_max_length"))
    assert list(problems(plain, state, lambda operation: False)) == [
        "is no online.Migration: it would wait for locks, and everybody behind it"
    ]


@pytest.mark.django_db
def test_the_database_answers_to_the_models() -> None:
    """The function of the trigger is the one that has nobody wait: the counting is over."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = 'exports_app_turn'")
        (source,) = cursor.fetchone()
    assert "advisory" not in source
    assert "advisory" in import_module("exports_app.migrations.0013_turns").ONE_BY_ONE
