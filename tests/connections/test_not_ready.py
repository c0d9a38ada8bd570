"""What ends a run at once, and what is waited for: objects that are not ready, and memory that is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db.models import IntegerField
from django.db.models.expressions import RawSQL
from rest_framework.test import APIClient

from exports_app import services
from exports_app.models import ExportJob
from exports_app.pipeline import errors
from exports_app.pipeline.sources import wire
from exports_app.plan import Plan, Request, make_plan
from exports_app.resources import Column
from tests.connections.models import Order
from tests.connections.reading import Declare, Sql
from tests.jobs import finish
from workers import run

SENTENCE = "A materialized view behind this data was never filled. Run REFRESH MATERIALIZED VIEW, then export again."


@pytest.fixture
def unfilled(sql: Sql, declare: Declare) -> Iterator[None]:
    """Orders are a materialized view that was never refreshed."""
    sql("CREATE MATERIALIZED VIEW conn_orders AS SELECT 1 AS id, 'a'::text AS name WITH NO DATA")
    declare("orders", Order)
    yield
    sql("DROP MATERIALIZED VIEW conn_orders")


def test_a_view_that_was_never_filled_is_refused_when_asked_with_the_way_out(api: APIClient, unfilled: None) -> None:
    refused = api.post("/api/v1/exports/", {"resource": "orders"})
    assert (refused.status_code, refused.json()) == (422, {"code": "bad_query", "detail": SENTENCE})
    assert not ExportJob.objects.exists()


def test_a_job_over_it_fails_at_once(alice: User, unfilled: None, sql: Sql) -> None:
    sql("REFRESH MATERIALIZED VIEW conn_orders")
    job, _ = services.request_export(alice, Request(resource="orders"))
    sql("REFRESH MATERIALIZED VIEW conn_orders WITH NO DATA")
    assert run.run_next(job.queue) is None
    job.refresh_from_db()
    assert (job.status, job.error_code, job.error_detail, job.failures) == ("failed", "bad_query", SENTENCE, 0)


def test_it_is_exported_once_it_is_filled(alice: User, unfilled: None, sql: Sql) -> None:
    sql("REFRESH MATERIALIZED VIEW conn_orders")
    assert finish(alice, resource="orders").row_count == 1


def test_the_preview_says_it_too(api: APIClient, unfilled: None) -> None:
    refused = api.post("/api/v1/resources/orders/estimate/", {})
    assert (refused.status_code, refused.json()["detail"]) == (422, SENTENCE)


@pytest.mark.parametrize("expression", ["lastval()", "currval('samples_customer_id_seq')"])
def test_other_objects_that_are_not_ready_are_no_outage_either(
    owner: User, orders: None, declare: Declare, expression: str
) -> None:
    declare("orders", Order, columns=("id", Column("value", RawSQL(expression, (), IntegerField()))))
    plan = make_plan(Request(resource="orders"), owner)
    with pytest.raises(errors.BadQuery) as refused:
        plan.open_source()
    assert isinstance(refused.value.__cause__, psycopg.errors.ObjectNotInPrerequisiteState)
    assert str(refused.value) == "The database refused the query behind this export."


def test_a_snapshot_that_has_ended_is_tried_again(db: None) -> None:
    url = os.environ["DATABASE_URL"]
    with psycopg.connect(url) as first:
        row = first.execute("SELECT pg_export_snapshot()").fetchone()
    assert row is not None
    with psycopg.connect(url) as second:
        second.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with pytest.raises(errors.DatabaseBusy), wire.database_errors():
            second.execute(f"SET TRANSACTION SNAPSHOT '{row[0]}'".encode())


LARGE = """
import os, django; django.setup()
import psycopg
from exports_app.pipeline import errors
from exports_app.pipeline.sources import wire
from workers import memory
memory.limit_process()
for copied in (True, False):
    connection = psycopg.connect(os.environ["DATABASE_URL"])
    try:
        with wire.database_errors():
            if copied:
                wire.CopyOut(connection, "COPY (SELECT repeat('x', 120000000), 1) TO STDOUT").read(9, 1 << 40, b",")
            else:
                connection.execute("SELECT repeat('x', 120000000)")
    except errors.PipelineError as error:
        print(type(error).__name__, error.code, error.terminal, error.__cause__.sqlstate)
    connection.close()
"""


def test_a_value_that_the_client_has_no_memory_for_is_no_outage(db: None) -> None:
    environment = os.environ | {"EXPORT_MEMORY_HARD_LIMIT_MB": "60", "DJANGO_SETTINGS_MODULE": "exportsite.settings"}
    done = subprocess.run(
        [sys.executable, "-c", LARGE], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.splitlines() == ["MemoryLimit memory_limit True None"] * 2, done.stderr


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (psycopg.OperationalError("flushing failed: out of memory\n"), errors.MemoryLimit),
        (psycopg.DatabaseError("out of memory for query result\n"), errors.MemoryLimit),
        (psycopg.errors.OutOfMemory("out of memory"), errors.DatabaseUnavailable),  # the server's, which may pass
        (psycopg.OperationalError("server closed the connection unexpectedly"), errors.DatabaseUnavailable),
        (psycopg.errors.LockNotAvailable("canceling statement due to lock timeout"), errors.DatabaseBusy),
        (psycopg.errors.UndefinedTable("relation does not exist"), errors.BadQuery),
    ],
)
def test_each_answer_is_what_it_is(error: psycopg.Error, known: type[errors.PipelineError]) -> None:
    with pytest.raises(errors.PipelineError) as raised, wire.database_errors():
        raise error
    assert type(raised.value) is known


def test_operators_are_told_of_it(
    owner: User, orders: None, declare: Declare, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ADMINS = [("Operator", "operator@example.com")]
    declare("orders", Order)
    lack = errors.MemoryLimit()
    lack.__cause__ = psycopg.OperationalError("out of memory")

    def fail(*_: Any, **__: Any) -> Any:
        raise lack

    monkeypatch.setattr(Plan, "open_source", fail)
    job = finish(owner, resource="orders")
    assert (job.status, job.error_code, job.failures) == ("failed", "memory_limit", 0)
    assert ["hard memory limit" in message.subject for message in mail.outbox] == [True]
