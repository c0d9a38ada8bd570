"""A file has the rows of ``get_queryset``, whatever its order, slice or columns mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.db.models import Count, F, FilteredRelation, Func, Max, Q, QuerySet, Sum, Value, Window
from django.db.models.functions import RowNumber, Upper

from exports_app.resources import Column
from tests.queries.conftest import Export, texts
from tests.queries.models import Item, Label, Maker, Part

Rows = QuerySet[Any, Any]
COLUMNS = ("id", "kind", "level")


class Running(Func):
    """A sum of aggregates, which Django's Sum refuses to be."""

    function = "SUM"
    window_compatible = True


def latest() -> Rows:
    rows: Rows = Item.objects.order_by("kind", "-day", "-id").distinct("kind")
    return rows


def kinds() -> Rows:
    rows: Rows = Item.objects.order_by().values("kind").annotate(most=Max("level"), items=Count("pk"))
    return rows


OF_MODELS: list[tuple[str, Callable[[], Rows]]] = [
    ("all, in the model's own order over a join", Item.objects.all),
    ("the last of each kind", latest),
    ("the first of each kind", lambda: Item.objects.order_by("kind", "id").distinct("kind")),
    ("one of each land, over a join",
     lambda: Item.objects.order_by("maker__land", "-level", "id").distinct("maker__land")),
    ("the ten highest", lambda: Item.objects.order_by("-level")[:10]),
    ("ten of the middle", lambda: Item.objects.order_by("day", "id")[5:15]),
    ("the first seven", lambda: Item.objects.order_by("id").all()[:7]),
    ("a slice in the model's own order", lambda: Part.objects.all()[3:5]),
    ("a slice of the last of each kind", lambda: latest()[1:3]),
    ("reversed, then sliced", lambda: Item.objects.order_by("day", "id").reverse()[:6]),
    ("none", Item.objects.none),
    ("distinct", lambda: Item.objects.filter(labels__word__in=["new", "old"]).order_by("id").distinct()),
    ("distinct, sliced", lambda: Item.objects.filter(labels__isnull=False).order_by("-level", "id").distinct()[:5]),
    ("distinct, in an order over a join", lambda: Item.objects.filter(labels__isnull=False).distinct()),
    ("distinct without need", lambda: Item.objects.filter(level__gt=5).distinct()),
    ("a union", lambda: Item.objects.filter(level__lt=9).union(Item.objects.filter(kind="a"))),
    ("a union of slices",
     lambda: Item.objects.order_by("day", "id")[:4].union(Item.objects.order_by("-day", "id")[:4])),
    ("an intersection", lambda: Item.objects.filter(level__lt=15).intersection(Item.objects.filter(kind="a"))),
    ("a difference", lambda: Item.objects.difference(Item.objects.filter(labels__word="new"))),
    ("an aggregate of each", lambda: Item.objects.annotate(n=Count("labels")).filter(n__gt=0)),
    ("those with most labels", lambda: Item.objects.annotate(n=Count("labels")).order_by("-n", "day", "id")[:6]),
    ("the second of each kind", lambda: Item.objects.annotate(
        place=Window(RowNumber(), partition_by="kind", order_by="id")).filter(place=2)),
    ("only and defer", lambda: Item.objects.only("kind").defer("note")),
    ("related, prefetched", lambda: Item.objects.select_related("maker").prefetch_related("maker")),
    ("a filtered relation", lambda: Item.objects.annotate(
        new=FilteredRelation("labels", condition=Q(labels__word="new"))).filter(new__isnull=False)),
    ("extra", lambda: Item.objects.extra(select={"twice": "level * 2"}, where=["level > 10"], order_by=["-level"])),
    ("a slice by extra", lambda: Item.objects.extra(order_by=["-queried_item.level"])[:4]),
    ("a constant with the name of our columns", lambda: Item.objects.annotate(u1=Value(1), k1=F("level"), q=F("kind"))),
]  # fmt: skip


@pytest.mark.parametrize("make", [make for _, make in OF_MODELS], ids=[name for name, _ in OF_MODELS])
@pytest.mark.parametrize("chunk", [3, 100])
def test_rows_of_a_model(export: Export, make: Callable[[], Rows], chunk: int) -> None:
    columns = (*COLUMNS, Column("land", "maker__land"), Column("twice", F("level") * 2))
    found = export(model=make().model, columns=columns, get_queryset=lambda self, user: make(), chunk=chunk)
    expected = sorted((row.pk, row.kind, row.level, row.maker.land, row.level * 2) for row in make())
    assert found == texts(expected)


VALUES: list[tuple[str, tuple[str, ...], Callable[[], Rows]]] = [
    ("groups", ("kind",), kinds),
    ("groups, without the column that they are counted by", ("kind",), lambda: kinds().filter(items__gt=5)),
    ("groups made finer by their order", ("day",), lambda: Item.objects.order_by("kind", "day").values("day").annotate(
        n=Count("pk")).filter(n=3)),
    ("the largest groups", ("kind",), lambda: kinds().order_by("-most")[:2]),
    ("groups over a join", ("maker_id",), lambda: Item.objects.order_by().values("maker_id", "maker__land").annotate(
        n=Count("labels"))),
    ("groups by what is annotated later", ("kind", "loud"), lambda: kinds().annotate(loud=Upper("maker__land"))),
    ("distinct values", ("kind",), lambda: Item.objects.order_by().values("kind").distinct()),
    ("distinct pairs", ("kind", "day"), lambda: Item.objects.order_by("day").values("day", "kind").distinct()),
    ("distinct pairs, sliced", ("kind", "day"),
     lambda: Item.objects.order_by("-day", "kind").values("day", "kind").distinct()[:7]),
    ("the best of each day", ("day",),
     lambda: Item.objects.order_by("day", "-level").distinct("day").values("day", "level")),
    ("a union of two models", ("n", "word"),
     lambda: Maker.objects.annotate(n=Value(1)).values("n", word=F("name")).union(
        Label.objects.annotate(n=Value(2)).values("n", "word"))),
    ("a union of unlike rows", ("kind", "day"), lambda: Item.objects.order_by().values("kind", "day").union(
        Item.objects.order_by().values("kind", "day"))),
    ("dates", ("datefield",), lambda: Item.objects.dates("day", "day")),
    ("values of a joined row", ("id", "labels__word"), lambda: Item.objects.filter(labels__isnull=False).values(
        "id", "labels__word")),
    ("sums over windows of groups", ("kind",), lambda: kinds().annotate(
        running=Window(Running(Sum("level")), order_by="kind"))),
]  # fmt: skip


@pytest.mark.parametrize(("key", "make"), [case[1:] for case in VALUES], ids=[case[0] for case in VALUES])
@pytest.mark.parametrize("chunk", [2, 100])
def test_rows_of_values(export: Export, key: tuple[str, ...], make: Callable[[], Rows], chunk: int) -> None:
    names = tuple(make().query.selected or make().values()[0])
    found = export(key=key, columns=names, get_queryset=lambda self, user: make(), chunk=chunk)
    expected: Iterable[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in make().values_list(*names)]
    if make().query.combinator or make().query.distinct:
        expected = [row if isinstance(row, dict) else {"datefield": row} for row in make()]
    assert found == texts([list(row.values()) for row in sorted(expected, key=lambda row: [row[name] for name in key])])


def test_a_column_that_is_left_out_stays_in_the_grouping(export: Export) -> None:
    grouped = Item.objects.order_by().values("kind").annotate(n=Count("pk")).annotate(loud=Upper("maker__land"))
    found = export(
        key=("kind", "loud"), columns=("kind", "n", "loud"), get_queryset=lambda self, user: grouped,
        request={"columns": ["n", "kind"]},
    )  # fmt: skip
    assert found == texts(
        [(row["n"], row["kind"]) for row in sorted(grouped, key=lambda row: (row["kind"], row["loud"]))]
    )


def test_a_parents_columns_are_those_of_its_child(export: Export) -> None:
    found = export(model=Part, get_queryset=lambda self, user: Part.objects.all()[:2], columns=("id", "weight", "kind"))
    assert found == [("45", "55", "p"), ("46", "54", "p")]
