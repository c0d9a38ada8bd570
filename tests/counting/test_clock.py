"""Rows that depend on what time it is: the file and its count take the same moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.postgres.functions import TransactionNow
from django.db import connection, models
from django.db.models import F, Value
from django.db.models.functions import Now
from django.utils import timezone

from exports_app.pipeline.sources import counting
from exports_app.plan import Request, make_plan
from exports_app.resources import Resource, register, registry
from tests.jobs import finish

pytestmark = pytest.mark.django_db(transaction=True)
ROWS = 120_000


class Ticket(models.Model):
    objects: Any = models.Manager()
    ends = models.DateTimeField()

    class Meta:
        app_label = "clock"
        managed = False
        db_table = "clock_tickets"


class Valid(models.Model):
    objects: Any = models.Manager()
    ends = models.DateTimeField()

    class Meta:
        app_label = "clock"
        managed = False
        db_table = "clock_valid"


@pytest.fixture
def tickets(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ten end in each millisecond of the six seconds before and of those to come; counted beside from the start."""
    monkeypatch.setattr(counting, "BESIDE_SECONDS", 0.0)
    with connection.cursor() as cursor:
        cursor.execute(f"""
            CREATE TABLE clock_tickets (id int PRIMARY KEY, ends timestamptz);
            INSERT INTO clock_tickets
                SELECT n, now() + (n - {ROWS} / 2) * interval '100 us' FROM generate_series(1, {ROWS}) AS n;
            CREATE VIEW clock_valid AS SELECT * FROM clock_tickets WHERE ends > now();
            ANALYZE clock_tickets""")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE clock_tickets CASCADE")


@pytest.fixture
def declare() -> Iterator[Any]:
    def declare(rows: Any, model: Any = Ticket) -> None:
        attributes = {"model": model, "columns": ("id",), "get_queryset": lambda self, user: rows()}
        register("tickets")(type("Tickets", (Resource,), attributes))

    yield declare
    registry.unregister("tickets")


MARKED = Ticket.objects.annotate(said=Value("CURRENT_TIMESTAMP")).filter(said__startswith="CURR")


@pytest.mark.parametrize(
    ("rows", "before"),
    [
        (Ticket.objects.filter(ends__gt=Now()), 0),
        (Ticket.objects.filter(ends__gt=TransactionNow() - timedelta(seconds=1)), 1),
        (Ticket.objects.annotate(left=F("ends") - Now()).filter(left__gt=timedelta()), 0),
        (MARKED.filter(ends__gt=Now()), 0),
    ],
    ids=["now", "transaction", "annotated", "quoted"],
)
def test_rows_that_end_while_they_are_read_are_those_of_the_moment_asked(
    alice: User, tickets: None, declare: Any, rows: Any, before: int
) -> None:
    declare(rows.all)
    job = finish(alice, resource="tickets")
    assert (job.status, job.rows_verified, job.failures) == ("completed", True, 0)
    assert job.row_count == Ticket.objects.filter(ends__gt=job.created_at - timedelta(seconds=before)).count()
    assert 0 < (job.row_count or 0) < ROWS


def test_a_view_that_looks_at_the_clock_is_counted_again_by_the_connection_that_read_it(
    alice: User, tickets: None, declare: Any
) -> None:
    declare(Valid.objects.all, Valid)
    job = finish(alice, resource="tickets")
    assert (job.status, job.rows_verified, job.failures) == ("completed", True, 0)
    assert 0 < (job.row_count or 0) < ROWS


def test_a_statement_says_the_moment_of_its_request(alice: User, tickets: None, declare: Any) -> None:
    declare(lambda: Ticket.objects.annotate(said=Value("it's CURRENT_TIMESTAMP")).filter(ends__gt=Now(), said__gt=""))
    moment = timezone.now()
    query = make_plan(Request(resource="tickets"), alice, moment).query
    assert query is not None
    for text in (query.text, query.count, query.keys_text):
        assert f"'{moment.isoformat()}'::timestamptz" in text
        assert "STATEMENT_TIMESTAMP" not in text
    assert "'it''s CURRENT_TIMESTAMP'" in query.count
