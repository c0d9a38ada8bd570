"""Filters and ids choose among the rows that ``get_queryset`` returns: behind its slice and its ``distinct``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django_filters as df
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Count, F, QuerySet, Value, Window
from django.db.models.functions import Random, RowNumber, Upper

from exports_app import errors
from exports_app.resources import Column, Sheet
from tests.queries.conftest import Export, counted, plan
from tests.queries.models import Item, Maker, Part

Rows = QuerySet[Any, Any]


class ItemFilter(df.FilterSet):
    kind = df.CharFilter("kind")
    level_min = df.NumberFilter("level", "gte")
    label = df.CharFilter("labels__word")


def ids(export: Export, make: Callable[[], Rows], **request: Any) -> list[int]:
    found = export(
        model=Item, columns=("id",), filterset_class=ItemFilter, get_queryset=lambda self, user: make(),
        request=request, chunk=3,
    )  # fmt: skip
    return [int(row[0]) for row in found]


def latest() -> Rows:
    rows: Rows = Item.objects.order_by("kind", "-day", "-level").distinct("kind")
    return rows


CHOICES: list[tuple[str, Callable[[], Rows], dict[str, Any], Callable[[Any], bool]]] = [
    ("a slice", lambda: Item.objects.order_by("-level", "id")[:12], {"kind": "b"}, lambda row: row.kind == "b"),
    ("a slice, by ids", lambda: Item.objects.order_by("-level", "id")[:12], {"ids": [1, 2, 3, 41, 42]},
     lambda row: row.pk in {1, 2, 3, 41, 42}),
    ("the last of each kind", latest, {"level_min": 12}, lambda row: row.level >= 12),
    ("the last of each kind, over a join", latest, {"label": "new"},
     lambda row: row.pk in set(Item.objects.filter(labels__word="new").values_list("pk", flat=True))),
    ("a distinct slice", lambda: Item.objects.filter(labels__isnull=False).order_by("-level", "id").distinct()[:9],
     {"level_min": 13}, lambda row: row.level >= 13),
    ("a union", lambda: Item.objects.filter(level__lt=9).union(Item.objects.filter(kind="a")), {"kind": "a"},
     lambda row: row.kind == "a"),
    ("a difference", lambda: Item.objects.difference(Item.objects.filter(kind="a")), {"ids": [5, 6, 7, 8]},
     lambda row: row.pk in {5, 6, 7, 8}),
    ("the first in each kind", lambda: Item.objects.annotate(
        n=Window(RowNumber(), partition_by="kind", order_by="id")).filter(n__lte=2), {"level_min": 10},
     lambda row: row.level >= 10),
    ("the most labelled", lambda: Item.objects.annotate(n=Count("labels")).order_by("-n", "id")[:8], {"level_min": 10},
     lambda row: row.level >= 10),
    ("distinct", lambda: Item.objects.filter(labels__isnull=False).order_by("id").distinct(), {"label": "old"},
     lambda row: row.pk in set(Item.objects.filter(labels__word="old").values_list("pk", flat=True))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "narrowed", "passes"), [each[1:] for each in CHOICES], ids=[each[0] for each in CHOICES]
)
def test_filters_choose_among_the_rows(
    export: Export, make: Callable[[], Rows], narrowed: dict[str, Any], passes: Callable[[Any], bool]
) -> None:
    request = narrowed if "ids" in narrowed else {"filters": narrowed}
    expected = sorted(row.pk for row in make() if passes(row))
    assert 0 < len(expected) < len(list(make()))
    assert ids(export, make, **request) == expected


def test_a_slice_by_chance_is_the_same_each_time(export: Export) -> None:
    found = ids(export, lambda: Item.objects.order_by("day")[5:25])
    assert found == sorted(Item.objects.order_by("day", "id").values_list("pk", flat=True)[5:25])


def test_one_of_each_by_chance_is_the_same_each_time(export: Export) -> None:
    found = ids(export, lambda: Item.objects.order_by("maker_id").distinct("maker_id"))
    assert found == sorted(Item.objects.order_by("maker_id", "id").distinct("maker_id").values_list("pk", flat=True))


def test_window_functions_see_the_rows_behind_a_slice(export: Export) -> None:
    place = Window(RowNumber(), order_by=["-level", "id"])
    rows = Item.objects.annotate(place=place).order_by("-level", "id")
    found = export(
        model=Item, columns=("place",), filterset_class=ItemFilter, request={"filters": {"kind": "d"}},
        get_queryset=lambda self, user: rows[:14], key=("id",),
    )  # fmt: skip
    assert sorted(int(row[0]) for row in found) == [row.place for row in rows[:14] if row.kind == "d"]


class PlacedFilter(ItemFilter):
    place_max = df.NumberFilter("place", "lte")
    double_min = df.NumberFilter("double", "gte")


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        ({"place_max": 9}, lambda row: row.place <= 9),
        ({"place_max": 9, "kind": "d"}, lambda row: row.place <= 9 and row.kind == "d"),
        ({"place_max": 20, "double_min": 30}, lambda row: row.place <= 20 and row.double >= 30),
        ({"kind": "d"}, lambda row: row.kind == "d"),
    ],
)
@pytest.mark.parametrize("most", [None, 25])
def test_filters_by_annotations_mean_those_of_all_rows(
    export: Export, filters: dict[str, Any], passes: Callable[[Any], bool], most: int | None
) -> None:
    place = Window(RowNumber(), order_by=["-level", "id"])
    rows = Item.objects.annotate(place=place, double=F("level") * 2).order_by("-level", "id")[:most]
    found = export(
        model=Item, columns=("id", "place"), filterset_class=PlacedFilter, request={"filters": filters},
        get_queryset=lambda self, user: rows, chunk=4,
    )  # fmt: skip
    assert found == sorted(((str(row.pk), str(row.place)) for row in rows if passes(row)), key=lambda row: int(row[0]))


REFUSED: list[tuple[str, Callable[[], Any], str]] = [
    ("locked rows", Item.objects.select_for_update, "locks its rows with select_for_update()"),
    ("a union of locked rows", lambda: Item.objects.none().union(Item.objects.select_for_update(), Item.objects.all()),
     "locks its rows"),
    ("ten at random", lambda: Item.objects.order_by("?")[:10], "takes rows at random"),
    ("one of each at random", lambda: Item.objects.order_by("kind", Random()).distinct("kind"), "takes rows at random"),
    ("each by chance", lambda: Item.objects.annotate(r=Random()).filter(r__gt=0.5), "takes rows at random"),
    ("the luckiest", lambda: Item.objects.annotate(r=Random()).order_by("-r")[:3], "takes rows at random"),
    ("raw SQL", lambda: Item.objects.raw("SELECT * FROM queried_item"), "returns a RawQuerySet, which is no QuerySet"),
    ("a list", lambda: list(Item.objects.all()), "returns a list, which is no QuerySet"),
    ("an aggregate", lambda: Item.objects.aggregate(n=Count("pk")), "returns a dict, which is no QuerySet"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "sentence"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED])
def test_what_cannot_be_read_twice_is_refused(
    declare: Callable[..., str], make: Callable[[], Any], sentence: str
) -> None:
    name = declare(model=Item, get_queryset=lambda self, user: make())
    with pytest.raises(ImproperlyConfigured, match=r"Queried0\.get_queryset") as caught:
        plan(name)
    assert sentence in str(caught.value)


def grouped() -> Rows:
    rows: Rows = Item.objects.order_by().values("kind").annotate(n=Count("pk"))
    return rows


COLUMNS_REFUSED: list[tuple[str, Callable[[], Rows], Any, str]] = [
    ("a field beside groups", grouped, "level", "level"),
    ("a joined field beside groups", grouped, "maker__land", "maker__land"),
    ("computed beside groups", grouped, Column("twice", F("level") * 2), "twice"),
    ("beside distinct values", lambda: grouped().values("kind").distinct(), "n2", "n2"),
    ("computed beside distinct values", lambda: Item.objects.order_by().values("kind").distinct(),
     Column("up", Upper("note")), "up"),
    ("a number of distinct rows", lambda: Item.objects.order_by().values("kind").distinct(),
     Column("place", Window(RowNumber())), "place"),
    ("beside a union", lambda: Maker.objects.values("name", kind=F("land")).union(Maker.objects.values("land", "name")),
     "id", "id"),
    ("computed beside a union", lambda: Item.objects.values("kind").union(Maker.objects.values("land")),
     Column("one", Value(1)), "one"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "column", "name"), [each[1:] for each in COLUMNS_REFUSED], ids=[each[0] for each in COLUMNS_REFUSED]
)
def test_a_column_that_would_make_other_rows_is_refused(
    declare: Callable[..., str], make: Callable[[], Rows], column: Any, name: str
) -> None:
    declared = declare(key=("kind",), columns=("kind", column), get_queryset=lambda self, user: make())
    with pytest.raises((ImproperlyConfigured, Exception), match=name):
        plan(declared)


def test_columns_that_follow_from_distinct_values_stand_beside_them(export: Export) -> None:
    found = export(
        key=("maker_id",), columns=("maker_id", Column("land", "maker__land"), Column("next", F("maker_id") + 1)),
        get_queryset=lambda self, user: Item.objects.order_by().values("maker_id").distinct(),
    )  # fmt: skip
    one, two, three = Maker.objects.order_by("pk").values_list("pk", "land")
    assert found == [(str(pk), land, str(pk + 1)) for pk, land in (one, two, three)]


def test_a_column_may_be_twice_beside_distinct_on(export: Export) -> None:
    rows = Item.objects.order_by("maker__land", "id").distinct("maker__land").annotate(land=F("maker__land"))
    found = export(
        model=Item, columns=("land", Column("same", "maker__land"), "id"), get_queryset=lambda self, user: rows
    )
    assert found == [("PL", "PL", "1"), ("DE", "DE", "2")]


def test_a_union_holds_each_row_once_also_where_the_other_part_is_empty(export: Export) -> None:
    twice = Item.objects.order_by("id").filter(labels__word__in=["new", "old"])[:6]
    found = export(
        model=Item, columns=("id",), get_queryset=lambda self, user: twice.union(Item.objects.filter(pk__in=[]))
    )
    assert found == [("1",), ("2",), ("5",), ("6",)]


def test_a_computed_column_is_no_annotation_of_the_same_name(export: Export) -> None:
    found = export(
        model=Part,
        columns=("id", Column("weight", F("weight") * 2), "export_weight", Column("in all", F("level") + 1)),
        get_queryset=lambda self, user: Part.objects.annotate(export_weight=Value("own"))[:1],
    )  # fmt: skip
    assert found == [("46", "108", "own", "47")]


def test_a_slice_of_groups_cannot_be_filtered(declare: Callable[..., str]) -> None:
    name = declare(
        key=("kind",), columns=("kind",), filterset_class=ItemFilter,
        get_queryset=lambda self, user: grouped().order_by("-n")[:2],
    )  # fmt: skip
    assert counted(plan(name)) == 2
    with pytest.raises(errors.Invalid, match="cannot be narrowed"):
        plan(name, filters={"kind": "a"})


def test_sheets_have_what_belongs_to_the_rows_of_a_slice(declare: Callable[..., str]) -> None:
    items = declare(model=Item, get_queryset=lambda self, user: Item.objects.order_by("-level", "id")[:20])
    makers = declare(
        model=Maker, sheets=(Sheet(items, via="maker"),),
        get_queryset=lambda self, user: Maker.objects.order_by("-name")[:2],
    )  # fmt: skip
    made = plan(makers, format="xlsx")
    assert [counted(made, table) for table in (0, 1)] == [2, 9]
    made = plan(makers, format="xlsx", limit=1)
    assert [counted(made, table) for table in (0, 1)] == [1, 5]
