"""Rows are read from the database that Django reads a queryset from: by a router, by ``using()``, or from a replica."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Count, OuterRef, QuerySet, Subquery

from exports_app.estimates import estimate_rows
from exports_app.plan import Request, make_plan
from exports_app.resources import Column, Sheet
from tests.connections.models import Line, Order
from tests.connections.reading import Declare, lines, url
from tests.jobs import finish, read_object
from tests.test_sheets import sheets

AddDatabase = Callable[..., None]
HERE, THERE = "-c search_path=here", "-c search_path=there"


class OrdersElsewhere:
    """Reads orders from ``second``."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "second" if model is Order else None


class AnyReplica:
    """Reads everything of these tables from one of two."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return random.choice(["second", "third"]) if model in (Order, Line) else None


def using(alias: str, model: Any = Order) -> Callable[..., QuerySet[Any, Any]]:
    return lambda self, user: model.objects.using(alias)


def error_ids() -> list[tuple[str, str]]:
    return [(str(each.id), str(each.msg)) for each in run_checks(tags=["exports"])]


@pytest.fixture
def second(orders: None, add_database: AddDatabase) -> None:
    """The same server; other tables of the same names."""
    add_database("second", options=HERE)


def test_a_queryset_says_where_its_rows_are(owner: User, second: None, declare: Declare) -> None:
    declare("orders", Order, get_queryset=using("second"))
    assert lines(owner, "orders") == ["1,here", "2,also here"]
    assert estimate_rows(make_plan(Request(resource="orders"), owner)).rows == 2


def test_a_router_says_it(owner: User, second: None, declare: Declare, settings: Any) -> None:
    settings.DATABASE_ROUTERS = [OrdersElsewhere()]
    declare("orders", Order)
    declare("lines", Line)
    assert lines(owner, "orders") == ["1,here", "2,also here"]
    assert lines(owner, "lines") == ["1,1,public"]


def test_a_finished_job_has_counted_and_written_the_rows_of_that_database(
    owner: User, second: None, declare: Declare
) -> None:
    declare("orders", Order, get_queryset=using("second"))
    job = finish(owner, resource="orders")
    assert read_object(job) == b'"ID",Name\n1,here\n2,also here\n'
    assert (job.row_count, job.rows_verified, job.estimated_rows, job.estimate_exact) == (2, True, 2, True)


def test_what_is_computed_from_other_tables_comes_from_there_too(owner: User, second: None, declare: Declare) -> None:
    of_order = Line.objects.filter(order=OuterRef("pk")).values("order").values_list(Count("pk"))
    declare("orders", Order, get_queryset=using("second"), columns=("id", Column("lines", Subquery(of_order))))
    assert lines(owner, "orders") == ["1,1", "2,"]


def test_ids_choose_among_the_rows_of_that_database(owner: User, second: None, declare: Declare) -> None:
    declare("orders", Order, get_queryset=using("second"))
    assert lines(owner, "orders", ids=[2]) == ["2,also here"]


def test_a_second_database_has_a_replica_of_its_own(owner: User, second: None, declare: Declare, settings: Any) -> None:
    settings.EXPORTS_SOURCE_DATABASE_URLS = {"second": url(f"&options={THERE.replace(' ', '%20').replace('=', '%3D')}")}
    declare("orders", Order, get_queryset=using("second"))
    declare("default_orders", Order)
    assert lines(owner, "orders") == ["1,there"]
    assert lines(owner, "default_orders") == ["1,public"]


def test_a_replica_has_the_schema_of_its_alias(owner: User, second: None, declare: Declare, settings: Any) -> None:
    settings.EXPORTS_SOURCE_DATABASE_URLS = {"second": url()}
    declare("orders", Order, get_queryset=using("second"))
    assert lines(owner, "orders") == ["1,here", "2,also here"]


def test_the_replica_of_the_default_database_is_no_other_ones(
    owner: User, second: None, declare: Declare, settings: Any
) -> None:
    settings.EXPORTS_SOURCE_DATABASE_URL = "postgresql://nobody@127.0.0.1:1/nothing"
    declare("orders", Order, get_queryset=using("second"))
    assert lines(owner, "orders") == ["1,here", "2,also here"]


def test_the_sheets_of_one_workbook_may_be_of_two_databases(owner: User, second: None, declare: Declare) -> None:
    declare("orders", Order, sheets=(Sheet("lines"),))
    declare("lines", Line, get_queryset=using("second", Line))
    job = finish(owner, resource="orders", format="xlsx")
    book = sheets(read_object(job))
    assert book["Orders"] == [("ID", "Name"), (1, "public")]
    assert book["Lines"][1:] == [(1, 1, "here")]
    assert (job.rows_verified, job.sheet_rows) == (True, [{"resource": "lines", "rows": 1}])


def test_rows_of_two_databases_are_not_joined(owner: User, second: None, declare: Declare) -> None:
    declare("orders", Order, sheets=(Sheet("lines", via="order"),))
    declare("lines", Line, get_queryset=using("second", Line))
    with pytest.raises(ImproperlyConfigured, match="read from the database 'second', and cannot be narrowed"):
        make_plan(Request(resource="orders", format="xlsx"), owner)


def test_a_router_that_chooses_at_random_gives_joined_sheets_of_one_database(
    owner: User, second: None, add_database: AddDatabase, declare: Declare, settings: Any
) -> None:
    add_database("third", options=THERE)
    settings.DATABASE_ROUTERS = [AnyReplica()]
    declare("orders", Order, sheets=(Sheet("lines", via="order"),))
    declare("lines", Line)
    for _ in range(8):
        plan = make_plan(Request(resource="orders", format="xlsx"), owner)
        assert len({table.database for table in plan.tables}) == 1


@pytest.mark.parametrize("engine", ["django.db.backends.sqlite3", "django.db.backends.dummy"])
def test_another_kind_of_database_is_refused_by_the_check_and_when_asked(
    owner: User, add_database: AddDatabase, declare: Declare, engine: str
) -> None:
    add_database("ledger", engine=engine)
    declare("orders", Order, get_queryset=using("ledger"))
    ((number, text),) = error_ids()
    assert number == "exports.E025"
    assert "the database 'ledger', which is" in text
    with pytest.raises(ImproperlyConfigured, match="Exports need PostgreSQL: read them from such a database"):
        make_plan(Request(resource="orders"), owner)


def test_a_database_that_settings_do_not_name_is_refused(owner: User, declare: Declare, db: None) -> None:
    declare("orders", Order, get_queryset=using("nowhere"))
    assert [number for number, _ in error_ids()] == ["exports.E025"]
    with pytest.raises(ImproperlyConfigured, match="DATABASES has no entry 'nowhere'"):
        make_plan(Request(resource="orders"), owner)


def test_a_second_postgresql_passes_its_check(second: None, declare: Declare, settings: Any) -> None:
    settings.EXPORTS_SOURCE_DATABASE_URLS = {"second": url()}
    declare("orders", Order, get_queryset=using("second"))
    assert error_ids() == []


@pytest.mark.parametrize(
    ("urls", "problem"),
    [
        ({"secnod": "postgresql://h/d"}, "EXPORTS_SOURCE_DATABASE_URLS names 'secnod', which DATABASES does not have."),
        ({"default": "mysql://u:s3cret@h/d"}, "EXPORTS_SOURCE_DATABASE_URLS['default'] is no address"),
        ({"default": None}, "EXPORTS_SOURCE_DATABASE_URLS['default'] is no address of a PostgreSQL database."),
        ("postgresql://h/d", "EXPORTS_SOURCE_DATABASE_URLS is no dict of aliases and URLs."),
    ],
)
def test_replicas_that_cannot_be_are_told_without_their_passwords(urls: Any, problem: str, settings: Any) -> None:
    settings.EXPORTS_SOURCE_DATABASE_URLS = urls
    ((number, text),) = error_ids()
    assert number == "exports.E026"
    assert text.startswith(problem)
    assert "s3cret" not in text
