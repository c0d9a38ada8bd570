"""Changes of a table that somebody holds are tried again, and leave nothing half done."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, connection, migrations, models
from django.db.migrations.state import ProjectState

from exports_app import online

pytestmark = pytest.mark.django_db(transaction=True)


class Thing(online.Migration):
    operations = [migrations.AddField("thing", "size", models.IntegerField(null=True))]


@pytest.fixture
def state(transactional_db: None) -> Iterator[ProjectState]:
    """A table of one model."""
    made = ProjectState()
    create = migrations.CreateModel("Thing", [("id", models.BigAutoField(primary_key=True))])
    create.state_forwards("online", made)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE online_thing (id bigint PRIMARY KEY)")
    yield made
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE online_thing")


@pytest.fixture
def other() -> Iterator[psycopg.Connection[Any]]:
    """Somebody else on the same database."""
    name = connection.settings_dict["NAME"]
    with psycopg.connect(os.environ["DATABASE_URL"], dbname=name) as connected:
        yield connected


def columns() -> list[str]:
    with connection.cursor() as cursor:
        return [each.name for each in connection.introspection.get_table_description(cursor, "online_thing")]


def test_a_table_that_is_held_for_a_while_is_changed_after_it(
    state: ProjectState, other: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online, "LOCK_SECONDS", 0.05)
    other.execute("LOCK TABLE online_thing")
    timer = threading.Timer(0.3, other.commit)
    timer.start()
    with connection.schema_editor() as editor:
        changed = Thing("0002", "online").apply(state, editor)
    timer.join()
    assert columns() == ["id", "size"]
    assert "size" in changed.models["online", "thing"].fields


class TwoThings(online.Migration):
    atomic = False
    operations = [
        migrations.AlterField("thing", "id", models.BigIntegerField(primary_key=True, db_default=7)),
        migrations.AddField("other", "size", models.IntegerField(null=True)),
    ]


def test_a_migration_that_is_not_atomic_holds_one_table_at_a_time(
    state: ProjectState, other: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would wait for somebody who waits for it: here one who holds the second and then writes to the first."""
    migrations.CreateModel("Other", [("id", models.BigAutoField(primary_key=True))]).state_forwards("online", state)
    other.execute("CREATE TABLE online_other (id bigint)")
    other.commit()
    other.execute("INSERT INTO online_other VALUES (1)")
    monkeypatch.setattr(online, "LOCK_SECONDS", 0.05)
    monkeypatch.setattr(online, "GIVE_UP_SECONDS", 5.0)
    written: list[Any] = []

    def write() -> None:
        written.append(other.execute("INSERT INTO online_thing DEFAULT VALUES RETURNING id").fetchone())
        other.commit()

    timer = threading.Timer(0.3, write)
    timer.start()
    try:
        with connection.schema_editor(atomic=False) as editor:
            changed = TwoThings("0002", "online").apply(state, editor)
            assert "size" in changed.models["online", "other"].fields
            TwoThings("0002", "online").unapply(state, editor)
        timer.join()
        assert written == [(7,)]
        with connection.cursor() as cursor:
            found = connection.introspection.get_table_description(cursor, "online_other")
        assert [each.name for each in found] == ["id"]
    finally:
        timer.join()
        other.rollback()
        other.execute("DROP TABLE online_other")
        other.commit()


def test_a_table_that_is_held_for_ever_is_left_as_it_is(
    state: ProjectState, other: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online, "LOCK_SECONDS", 0.05)
    monkeypatch.setattr(online, "GIVE_UP_SECONDS", 0.0)
    other.execute("LOCK TABLE online_thing")
    with (
        pytest.raises(online.Held, match=r"^online\.0002: no lock was to be had within 0 seconds"),
        connection.schema_editor() as editor,
    ):
        Thing("0002", "online").apply(state, editor)
    other.rollback()
    assert columns() == ["id"]


def test_an_index_that_was_left_unfinished_is_built_anew_and_one_that_is_there_is_left(state: ProjectState) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO online_thing VALUES (1), (2)")
        with pytest.raises(IntegrityError):
            cursor.execute("CREATE UNIQUE INDEX CONCURRENTLY things ON online_thing ((id - id))")
    operation = online.AddIndex("thing", models.Index(fields=["id"], name="things"))
    after = state.clone()
    operation.state_forwards("online", after)
    found = []
    for _ in range(2):
        with connection.schema_editor(atomic=False) as editor:
            operation.database_forwards("online", editor, state, after)
        with connection.cursor() as cursor:
            cursor.execute("SELECT indexrelid, indisvalid FROM pg_index WHERE indexrelid = 'things'::regclass")
            found.append(cursor.fetchone())
    assert found[0][1] is True
    assert found[0] == found[1]
