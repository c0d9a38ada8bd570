"""Whatever a queryset is made of, its file has the rows of ``list(queryset)``, or is refused for a key that is none."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Count, F, Max, Q, QuerySet, Sum, Window
from django.db.models.functions import Lower, Rank, RowNumber

from exports_app.pipeline import errors
from exports_app.resources import Column
from tests.queries.conftest import counted, plan, rows_of, texts
from tests.queries.models import Item

Rows = QuerySet[Any, Any]
Draw = random.Random


def condition(draw: Draw) -> Q:
    made = [
        Q(level__gte=draw.randrange(15)),
        Q(kind__in=draw.sample("abcdp", 3)),
        Q(note__isnull=draw.random() < 0.3),
        Q(maker__land=draw.choice(["DE", "PL"])),
        Q(labels__word__in=draw.sample(["new", "old", "red"], 2)),
        Q(day__day__lt=draw.randrange(4, 14)),
        Q(pk__in=Item.objects.order_by("-level", "pk").values("pk")[: draw.randrange(1, 30)]),
    ]
    first, second = draw.sample(made, 2)
    return draw.choice([first, first & second, first | second, ~first, first & ~second])


def order(draw: Draw) -> list[Any]:
    """By a few fields, and the primary key, so that ``list`` gives the same rows each time."""
    fields = ["day", "-level", "kind", "maker__name", "-note", F("note").asc(nulls_first=True), "maker"]
    return [*draw.sample(fields, draw.randrange(3)), draw.choice(["pk", "-pk"])]


def sliced(draw: Draw, rows: Rows) -> Rows:
    low = draw.randrange(8)
    return rows[low : draw.choice([low + 1, low + 7, low + 25, None])]


def of_models(draw: Draw) -> Rows:
    """Rows of the model, with the annotation ``extra``."""
    rows: Rows = Item.objects.all()
    for _ in range(draw.randrange(3)):
        rows = rows.filter(condition(draw))
    extra = [
        F("level") * 2,
        Lower("note"),
        Count("labels", distinct=True),
        Window(RowNumber(), order_by=["-level", "pk"]),
        Window(Rank(), partition_by="kind", order_by="day"),
        F("maker__land"),
    ]
    rows = rows.annotate(extra=draw.choice(extra))
    if draw.random() < 0.2:
        rows = rows.exclude(extra=3)
    return rows


SHAPES = ["plain", "slice", "reverse, slice", "distinct", "distinct, slice", "on", "on, slice"]


def shaped(draw: Draw, rows: Rows, shapes: list[str]) -> Rows:
    """Ordered, made distinct, sliced; sometimes."""
    shape = draw.choice(shapes)
    if "on" in shape:
        field = draw.choice(["kind", "day", "maker__land", "maker_id"])
        rows = rows.order_by(field, *order(draw)).distinct(field)
    else:
        rows = rows.order_by(*order(draw)).distinct() if "distinct" in shape else rows.order_by(*order(draw))
    if "reverse" in shape:
        rows = rows.reverse()
    return sliced(draw, rows) if "slice" in shape else rows


def combined(draw: Draw, make: Callable[[], Rows]) -> Rows:
    one, two = make(), make()
    rows = draw.choice([one.union, one.intersection, one.difference])(two)
    return rows.order_by("id")[: draw.randrange(1, 30)] if draw.random() < 0.3 else rows


def groups(draw: Draw) -> tuple[tuple[str, ...], Rows]:
    """Groups, and the names that tell them apart."""
    names = tuple(draw.sample(["kind", "maker_id", "maker__land", "day"], draw.randrange(1, 3)))
    rows: Rows = Item.objects.filter(condition(draw)).order_by().values(*names)
    if draw.random() < 0.3:
        return names, sliced(draw, rows.distinct().order_by(*names))
    rows = rows.annotate(extra=draw.choice([Count("pk"), Sum("level"), Max("day"), Count("labels")]))
    if draw.random() < 0.3:
        rows = rows.filter(extra__isnull=False).annotate(more=Window(Rank(), order_by=F("extra").desc()))
    return names, sliced(draw, rows.order_by("-extra", *names)) if draw.random() < 0.5 else rows


@pytest.mark.parametrize("seed", range(60))
def test_rows_of_models(declare: Callable[..., str], seed: int) -> None:
    draw = random.Random(seed)
    rows = of_models(draw)
    rows = shaped(draw, rows, SHAPES if rows.query.group_by is None else SHAPES[:5])  # as Django has it
    columns: list[Any] = ["id", "kind", "extra", Column("land", "maker__land"), Column("next", F("level") + 1)]
    expected = [(each.pk, each.kind, each.extra, each.maker.land, each.level + 1) for each in rows]
    check(declare(model=Item, columns=columns, get_queryset=lambda self, user: rows), expected, draw)


@pytest.mark.parametrize("seed", range(30))
def test_combined_rows(declare: Callable[..., str], seed: int) -> None:
    draw = random.Random(seed)
    rows = combined(draw, lambda: shaped(draw, Item.objects.filter(condition(draw)), SHAPES[:3]))
    expected = [(each.pk, each.day, each.level) for each in rows]
    check(declare(model=Item, columns=["id", "day", "level"], get_queryset=lambda self, user: rows), expected, draw)


@pytest.mark.parametrize("seed", range(30))
def test_rows_of_groups(declare: Callable[..., str], seed: int) -> None:
    draw = random.Random(seed)
    key, rows = groups(draw)
    names = [*key, *(name for name in ("extra", "more") if name in rows.query.annotations)]
    expected = [tuple(row[name] for name in names) for row in rows]
    check(declare(key=key, columns=names, get_queryset=lambda self, user: rows), expected, draw, keys=len(key))


def check(name: str, expected: list[tuple[Any, ...]], draw: Draw, *, keys: int = 1) -> None:
    """The file of a resource has the ``expected`` rows, and as many are counted; their first ``keys`` are its key."""
    made = plan(name)
    assert counted(made) == len(expected)
    key = [row[:keys] for row in expected]
    if len(set(key)) < len(key) or any(None in each for each in key):
        with pytest.raises(errors.BadKey):
            rows_of(made)
        return
    assert sorted(rows_of(made, chunk=draw.choice([3, 10, 100]))) == sorted(texts(expected))
