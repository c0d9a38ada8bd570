"""How such files are made: at one moment, resumed like any other, in batches."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from typing import Any

import openpyxl
import pytest
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import connections, router
from django.db.models import F, Prefetch
from pyarrow import parquet

from exports_app.resources import Column
from exports_app.resources.snapshots import PREFIX
from exportsite.samples.models import Account, Customer, Instrument, Tag, Trade
from tests.jobs import fill_customers, finish, read_object
from tests.python_columns.conftest import file_of, lines_of, plan_of, resumed_file_of
from tests.python_columns.models import Book, Page


@pytest.fixture
def pages(tables: None, db: None, declare: Callable[..., Any]) -> None:
    """1,200 pages whose number Python tells, and whose note it decodes."""
    rows = Page.objects.select_related("book")
    columns = ("id", "note", Column("of", python=lambda page: page.book.title))
    declare("pages", model=Page, columns=columns, get_queryset=lambda self, user: rows)


def cells_of(format_: str, data: bytes) -> Any:
    if format_ == "xlsx":
        return list(openpyxl.load_workbook(io.BytesIO(data)).active.values)
    return parquet.read_table(io.BytesIO(data)).to_pylist() if format_ == "parquet" else data


@pytest.mark.usefixtures("pages")
def test_every_row_is_there_once_in_the_order_of_the_key() -> None:
    rows = list(csv.reader(io.StringIO(file_of(plan_of("pages")).decode())))
    assert rows[1:] == [[str(n), f"page {n}", f"book {n % 3 + 1}"] for n in range(1, 1_201)]


@pytest.mark.parametrize("format_", ["csv", "json", "ndjson", "xlsx"])
@pytest.mark.usefixtures("pages")
def test_a_resumed_file_is_the_same(format_: str) -> None:
    whole = file_of(plan_of("pages", format_))
    resumed, parts = resumed_file_of(plan_of("pages", format_), chunk_rows=100)
    assert parts > 1
    assert cells_of(format_, resumed) == cells_of(format_, whole)


@pytest.mark.usefixtures("pages")
def test_parquet_has_the_rows_of_the_other_formats() -> None:
    rows = cells_of("parquet", file_of(plan_of("pages", "parquet")))
    assert rows == [{"id": n, "note": f"page {n}", "of": f"book {n % 3 + 1}"} for n in range(1, 1_201)]


@pytest.mark.usefixtures("pages")
def test_a_limit_ends_within_a_batch() -> None:
    assert lines_of("pages", limit=3) == ["1,page 1,book 2", "2,page 2,book 3", "3,page 3,book 1"]
    assert len(lines_of("pages", limit=777)) == 777


@pytest.mark.usefixtures("pages")
def test_nothing_is_left_behind() -> None:
    file_of(plan_of("pages"))
    with pytest.raises(connections.exception_class):
        connections[f"{PREFIX}default 1"]


def trades(count: int) -> None:
    account = Account.objects.create(number="1", owner="Ada")
    instrument = Instrument.objects.create(symbol="X", name="X", asset_class="FOREX")
    tags = [Tag.objects.create(name=name, colour="#000000", created_at=AT, updated_at=AT) for name in ("new", "old")]
    made = Trade.objects.bulk_create(
        [
            Trade(pk=n, account=account, instrument=instrument, opened_at=AT, direction="LONG", status="OPEN",
                  quantity=n, entry_price=1, fees=0)
            for n in range(1, count + 1)
        ]
    )  # fmt: skip
    through = Trade.tags.through
    through.objects.bulk_create([through(trade=trade, tag=tags[trade.pk % 2]) for trade in made])


AT = "2024-07-01T12:34:00+00:00"


@pytest.fixture
def opened() -> Callable[[str], Any]:
    """Opens the source of a resource's plan, which is closed after the test."""
    return lambda name: closing(plan_of(name, "ndjson").open_source(chunk_rows=100))


@pytest.mark.django_db(transaction=True)
class TestOneMoment:
    def test_a_row_that_is_deleted_meanwhile_is_there_with_its_relations(
        self, declare: Callable[..., Any], opened: Callable[[str], Any]
    ) -> None:
        trades(2)
        said = Column("said", python=lambda trade: f"{trade.account.owner} {[tag.name for tag in trade.tags.all()]}")
        declare("trades_", model=Trade, columns=("id", said))
        with opened("trades_") as source:
            Trade.tags.through.objects.all().delete()
            Trade.objects.all().delete()
            Account.objects.update(owner="nobody")
            chunk = source.read(10)
        assert chunk.data.decode().splitlines() == [
            '{"id":1,"said":"Ada [\'old\']"}',
            '{"id":2,"said":"Ada [\'new\']"}',
        ]

    def test_what_is_fetched_beside_the_rows_takes_a_query_for_each_batch(
        self, declare: Callable[..., Any], opened: Callable[[str], Any]
    ) -> None:
        trades(250)
        rows = Trade.objects.select_related("account").prefetch_related(Prefetch("tags", Tag.objects.only("name")))
        said = Column("said", python=lambda trade: f"{trade.account.owner} {[tag.name for tag in trade.tags.all()]}")
        declare("trades_", model=Trade, columns=("id", said), get_queryset=lambda self, user: rows)
        asked: list[str] = []

        def note(execute: Any, sql: str, *rest: Any) -> Any:
            asked.append(sql)
            return execute(sql, *rest)

        with opened("trades_") as source, connections[f"{PREFIX}default 1"].execute_wrapper(note):
            chunks = list(iter(lambda: source.read(100), None))
        assert [chunk.rows for chunk in chunks] == [100, 100, 50]
        assert len(asked) == 6
        assert sum("JOIN" in sql and "samples_account" in sql for sql in asked) == 3

    def test_a_generic_relation_leads_to_its_object(self, tables: None, declare: Callable[..., Any]) -> None:
        group = Group.objects.create(name="readers")
        kind = ContentType.objects.get_for_model(Group)
        declare("books", model=Book, columns=("id", Column("about", python="about")))
        Book.objects.filter(pk=1).update(content_type=kind, object_id=group.pk)
        try:
            assert lines_of("books") == ["1,readers", "2,", "3,"]
        finally:
            Book.objects.update(content_type=None, object_id=None)

    def test_rows_of_a_join_repeat_their_object(self, declare: Callable[..., Any]) -> None:
        trades(2)
        pairs = Tag.objects.annotate(trade=F("trades__id"))
        declare(
            "pairs",
            key=("trade",),
            columns=("trade", Column("tag", python="name")),
            get_queryset=lambda self, user: pairs,
        )
        assert lines_of("pairs") == ["1,old", "2,new"]

    def test_a_router_of_the_project_does_not_lead_away_from_the_moment(
        self, declare: Callable[..., Any], opened: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class ToDefault:
            def db_for_read(self, model: Any, **_: Any) -> str:
                return "default"

        trades(1)
        monkeypatch.setattr(router, "routers", [ToDefault()])
        declare("trades_", model=Trade, columns=(Column("owner", python="account.owner"),))
        with opened("trades_") as source:
            Account.objects.update(owner="nobody")
            assert source.read(10).data == b'{"owner":"Ada"}\n'

    def test_a_worker_makes_such_a_file(self, alice: User, declare: Callable[..., Any]) -> None:
        fill_customers(3)
        declare(
            "named",
            model=Customer,
            columns=(Column("n", python="pk"), Column("of", python="get_subscription_tier_display")),
        )
        job = finish(alice, resource="named")
        assert (job.status, job.row_count) == ("completed", 3)
        first = Customer.objects.order_by("pk").values_list("pk", flat=True)[0]
        assert read_object(job).decode().splitlines()[:2] == ["N,Of", f"{first},Free"]

    def test_memory_does_not_grow_with_the_rows(self, declare: Callable[..., Any]) -> None:
        fill_customers(6_000)
        declare("named", model=Customer, columns=("id", Column("shout", python=lambda each: each.name.upper())))
        plan = plan_of("named")
        peaks = []
        tracemalloc.start()
        try:
            with closing(plan.open_source()) as source:
                for chunk in iter(lambda: source.read(1_000), None):
                    peaks.append(tracemalloc.get_traced_memory()[1])
                    tracemalloc.reset_peak()
                    assert chunk.rows <= 500
        finally:
            tracemalloc.stop()
        assert len(peaks) >= 12
        assert max(peaks[6:]) < 1.2 * max(peaks[:6])
