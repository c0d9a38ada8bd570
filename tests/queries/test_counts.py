"""Rows are counted, and their keys taken, as the ORM means them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.db import connection
from django.db.models import Count, F, Func, IntegerField, OuterRef, QuerySet, Subquery, Sum, Window
from django.db.models.functions import RowNumber

from exports_app.resources.statements import keys_text, rows_text
from exportsite.samples.models import Account, Customer, Instrument, Tag, Trade

Rows = QuerySet[Any, Any]

CUSTOMERS = [  # id, name, tier, country, value
    (1, "Ada", "FREE", "DE", 10),
    (2, "Bo", "FREE", "DE", 20),
    (3, "Cy", "PRO", "DE", 30),
    (4, "Di", "PRO", "PL", 40),
    (5, "Ada", "PRO", "SE", 50),
    (6, "Flo", "BASIC", "SE", 60),
]
TAGS = {1: ("early", "late"), 2: ("late",), 3: (), 4: ("early", "late", "news")}
"""Trades, and their tags."""


@pytest.fixture
def rows(db: None) -> None:
    """Six customers, and four trades with 2, 1, 0 and 3 tags."""
    for number, name, tier, country, value in CUSTOMERS:
        Customer.objects.create(
            pk=number, name=name, subscription_tier=tier, country_code=country, lifetime_value=value,
            signup_date=date(2024, 1, number),
        )  # fmt: skip
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    tags = {
        name: Tag.objects.create(name=name, colour="#000000", created_at=moment, updated_at=moment)
        for name in ("early", "late", "news")
    }
    account = Account.objects.create(number="A1", owner="Ann")
    instrument = Instrument.objects.create(symbol="BTC", name="Bitcoin", asset_class="CRYPTO")
    for number, names in TAGS.items():
        trade = Trade.objects.create(
            pk=number, account=account, instrument=instrument, opened_at=moment, direction="LONG", status="OPEN",
            quantity=number, entry_price=1, fees=0,
        )  # fmt: skip
        trade.tags.set([tags[name] for name in names])


class Series(Func):
    """As many rows as its argument says, from 1."""

    template = "generate_series(1, %(expressions)s)"
    output_field = IntegerField()
    set_returning = True


def tiers() -> Rows:
    return Customer.objects.values("subscription_tier").annotate(people=Count("pk"))


CASES: list[tuple[str, Callable[[], Rows], tuple[str, ...], int]] = [
    ("a table", Customer.objects.all, ("id",), 6),
    ("a filter", lambda: Customer.objects.filter(subscription_tier="PRO"), ("id",), 3),
    ("a filter that nothing passes", lambda: Customer.objects.filter(pk__in=[]), ("id",), 0),
    ("none", Customer.objects.none, ("id",), 0),
    ("only", lambda: Customer.objects.only("name").order_by("name"), ("id",), 6),
    ("a relation", lambda: Trade.objects.select_related("account").filter(account__owner="Ann"), ("id",), 4),
    ("a join that repeats rows", lambda: Trade.objects.filter(tags__name__in=["early", "late"]), ("id",), 5),
    ("a join made distinct", lambda: Trade.objects.filter(tags__name__in=["early", "late"]).distinct(), ("id",), 3),
    ("an order that repeats rows", lambda: Trade.objects.order_by("tags__name"), ("id",), 7),
    ("an order that distinct tells apart", lambda: Trade.objects.order_by("tags__name").distinct(), ("id",), 7),
    ("a joined value", lambda: Trade.objects.annotate(tag=F("tags__name")).exclude(tag=None), ("id", "tag"), 6),
    ("an aggregate of each row", lambda: Trade.objects.annotate(n=Count("tags")).filter(n__gt=0), ("id",), 3),
    ("groups", tiers, ("subscription_tier",), 3),
    ("groups narrowed", lambda: tiers().filter(people__gt=1), ("subscription_tier",), 2),
    ("groups that the order makes finer", lambda: tiers().order_by("country_code"), ("subscription_tier",), 5),
    ("the largest groups", lambda: tiers().order_by("-people", "subscription_tier")[:2], ("subscription_tier",), 2),
    ("groups by a key named otherwise",
     lambda: Trade.objects.values("account").annotate(n=Count("pk")), ("account_id",), 1),
    ("values", lambda: Customer.objects.values("name", "pk"), ("id",), 6),
    ("distinct values", lambda: Customer.objects.values("name").distinct(), ("name",), 5),
    ("distinct values, ordered by others",
     lambda: Customer.objects.order_by("id").values("name").distinct(), ("name",), 6),
    ("distinct pairs", lambda: Customer.objects.values_list("subscription_tier", "country_code").distinct(),
     ("country_code", "subscription_tier"), 5),
    ("the last of each", lambda: Customer.objects.order_by("country_code", "-id").distinct("country_code"), ("id",), 3),
    ("a slice", lambda: Customer.objects.order_by("-id")[1:4], ("id",), 3),
    ("a slice past the end", lambda: Customer.objects.order_by("id")[4:20], ("id",), 2),
    ("an empty slice", lambda: Customer.objects.order_by("id")[3:3], ("id",), 0),
    ("reversed", lambda: Customer.objects.order_by("id").reverse()[:2], ("id",), 2),
    ("a union", lambda: Customer.objects.filter(pk__lt=4).union(Customer.objects.filter(pk__gt=2)), ("id",), 6),
    ("a union of values", lambda: Customer.objects.values("name").union(Tag.objects.values("name")), ("name",), 8),
    ("a union of all", lambda: Customer.objects.values("name").union(Customer.objects.values("name"), all=True),
     ("name",), 12),
    ("a union of slices", lambda: Customer.objects.order_by("id")[:2].union(Customer.objects.order_by("-id")[:1]),
     ("id",), 3),
    ("an intersection", lambda: Customer.objects.filter(pk__lt=4).intersection(Customer.objects.filter(pk__gt=2)),
     ("id",), 1),
    ("a difference", lambda: Customer.objects.difference(Customer.objects.filter(pk__gt=2)), ("id",), 2),
    ("a window", lambda: Customer.objects.annotate(total=Window(Sum("lifetime_value"), order_by="pk")), ("id",), 6),
    ("a row number that is filtered by",
     lambda: Customer.objects.annotate(
         place=Window(RowNumber(), partition_by="country_code", order_by="-id")).filter(place=1), ("id",), 3),
    ("a subquery", lambda: Customer.objects.annotate(
        n=Subquery(Tag.objects.filter(name=OuterRef("name")).values("pk")[:1])), ("id", "n"), 6),
    ("a function that gives rows", lambda: Trade.objects.annotate(n=Series("quantity")), ("id", "n"), 10),
    ("extra", lambda: Customer.objects.extra(select={"twice": "id * 2"}, where=["id > 2"]), ("twice",), 4),
    ("an extra table", lambda: Tag.objects.extra(tables=["samples_account"]), ("id",), 3),
    ("the key's column twice", lambda: Customer.objects.all(), ("id", "name", "id"), 6),
]  # fmt: skip


@pytest.mark.parametrize(("make", "key", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_as_many_rows_are_counted_as_the_orm_gives(
    rows: None, make: Callable[[], Rows], key: tuple[str, ...], expected: int
) -> None:
    names = ", ".join(f"k{n}" for n in range(1, len(key) + 1))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM ({rows_text(make())}) AS counted")
        counted = cursor.fetchone()
        cursor.execute(f"SELECT count(*) FROM (SELECT {names} FROM ({keys_text(make(), key)}) AS q({names})) AS keyed")
        keyed = cursor.fetchone()
    assert len(list(make())) == expected
    assert counted == (expected,)
    assert keyed == (expected,)


def test_the_keys_are_those_of_the_rows(rows: None) -> None:
    latest = Customer.objects.order_by("country_code", "-id").distinct("country_code")
    with connection.cursor() as cursor:
        cursor.execute(keys_text(latest, ("country_code", "id")))
        assert sorted(cursor.fetchall()) == [("DE", 3), ("PL", 4), ("SE", 6)]
        cursor.execute(keys_text(Customer.objects.order_by("id").values("country_code", "name").distinct(), ("name",)))
        assert sorted(cursor.fetchall()) == [("Ada",), ("Ada",), ("Bo",), ("Cy",), ("Di",), ("Flo",)]
