"""Rows chosen by their primary keys, of whatever type these are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import django_filters as df
import pytest
from django.db import connection, models

from exports_app import errors
from tests.queries.conftest import Export, counted, plan
from tests.queries.models import Item, Part, Place, Visit, make_model

SCHEMA = """
CREATE SCHEMA chosen;
CREATE TABLE chosen.texts (id char(8) PRIMARY KEY); INSERT INTO chosen.texts VALUES ('A'), ('B 1'), ('it''s');
CREATE TABLE chosen.uuids (id uuid PRIMARY KEY);
INSERT INTO chosen.uuids VALUES ('6f0a0000-0000-4000-8000-000000000001'), ('6f0a0000-0000-4000-8000-000000000002');
CREATE TABLE chosen.blobs (id bytea PRIMARY KEY); INSERT INTO chosen.blobs VALUES ('\\x00ff'), ('\\x01');
CREATE TABLE chosen.days (id date PRIMARY KEY); INSERT INTO chosen.days VALUES ('2024-02-29'), ('2024-03-01');
CREATE TABLE chosen.moments (id timestamptz PRIMARY KEY);
INSERT INTO chosen.moments VALUES ('2024-02-29 12:00:00.5+00'), ('2024-03-01 00:00:00+00');
CREATE TABLE chosen.numbers (id bigint PRIMARY KEY); INSERT INTO chosen.numbers VALUES (9223372036854775807), (1);
CREATE TABLE chosen.sums (id numeric(6, 2) PRIMARY KEY); INSERT INTO chosen.sums VALUES (1.5), (2);
CREATE TABLE chosen.notes (id bigint PRIMARY KEY); INSERT INTO chosen.notes VALUES (1), (9223372036854775807);
"""


@pytest.fixture(scope="module", autouse=True)
def schema(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Tables with a primary key each."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(SCHEMA)
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA chosen CASCADE")


def of(table: str, field: Any) -> dict[str, Any]:
    """A resource over one of the tables."""
    return {"model": make_model(f"Chosen{table.title()}", f'chosen"."{table}', id=field), "key": ("id",)}


def to_number() -> Any:
    """A primary key that leads to another table."""
    numbers = of("numbers", models.BigIntegerField(primary_key=True))["model"]
    return models.OneToOneField(numbers, models.DO_NOTHING, primary_key=True, db_column="id", related_name="+")


KINDS: list[tuple[str, Callable[[], Any], list[Any], list[str]]] = [
    ("texts", lambda: models.CharField(primary_key=True, max_length=8), ["A", "none"], ["A       "]),
    ("uuids", lambda: models.UUIDField(primary_key=True), ["6F0A0000000040008000000000000002"],
     ["6f0a0000-0000-4000-8000-000000000002"]),
    ("blobs", lambda: models.BinaryField(primary_key=True, editable=True), ["AP8="], ["AP8="]),
    ("days", lambda: models.DateField(primary_key=True), ["2024-02-29"], ["2024-02-29"]),
    ("moments", lambda: models.DateTimeField(primary_key=True),
     ["2024-02-29T13:00:00.5+01:00", "2024-03-01T00:00:00"],
     ["2024-02-29T12:00:00.5+00:00", "2024-03-01T00:00:00+00:00"]),
    ("numbers", lambda: models.BigIntegerField(primary_key=True), [9223372036854775807, "1"],
     ["1", "9223372036854775807"]),
    ("numbers", lambda: models.BigAutoField(primary_key=True), [1.0], ["1"]),
    ("sums", lambda: models.DecimalField(primary_key=True, max_digits=6, decimal_places=2), ["1.50", 2],
     ["1.50", "2.00"]),
    ("notes", to_number, [9223372036854775807], ["9223372036854775807"]),
]  # fmt: skip


@pytest.mark.parametrize(("table", "field", "ids", "expected"), KINDS)
def test_ids_of_any_type(
    export: Export, table: str, field: Callable[[], Any], ids: list[Any], expected: list[str]
) -> None:
    columns = ("id_id",) if table == "notes" else ("id",)
    key = {"key": ("pk",), "columns": columns}
    assert export(**of(table, field()) | key, request={"ids": ids}) == [(each,) for each in expected]


WRONG: list[tuple[str, Callable[[], Any], Any, str]] = [
    ("numbers", lambda: models.BigIntegerField(primary_key=True), 1.5, "Each id must be a BigIntegerField, not 1.5."),
    ("numbers", lambda: models.BigIntegerField(primary_key=True), True, "not True."),
    ("numbers", lambda: models.BigIntegerField(primary_key=True), None, "not None."),
    ("numbers", lambda: models.BigIntegerField(primary_key=True), "one", "not 'one'."),
    ("numbers", lambda: models.BigIntegerField(primary_key=True), 2**63, "not 9223372036854775808."),
    ("numbers", lambda: models.BigIntegerField(primary_key=True), [1], "not [1]."),
    ("numbers", lambda: models.BigIntegerField(primary_key=True), "1" * 5000, "not '1111"),
    ("texts", lambda: models.CharField(primary_key=True, max_length=8), {"a": 1}, "not {'a': 1}."),
    ("texts", lambda: models.CharField(primary_key=True, max_length=8), "A\0", r"not 'A\x00'."),
    ("texts", lambda: models.CharField(primary_key=True, max_length=8), "\ud800", r"not '\ud800'."),
    ("uuids", lambda: models.UUIDField(primary_key=True), "6f0a", "Each id must be a UUIDField, not '6f0a'."),
    ("blobs", lambda: models.BinaryField(primary_key=True, editable=True), "*", "not '*'."),
    ("days", lambda: models.DateField(primary_key=True), "2024-02-30", "not '2024-02-30'."),
    ("moments", lambda: models.DateTimeField(primary_key=True), "noon", "not 'noon'."),
    ("sums", lambda: models.DecimalField(primary_key=True, max_digits=6, decimal_places=2), "NaN", "not 'NaN'."),
    ("notes", to_number, "x", "Each id must be a BigIntegerField, not 'x'."),
]  # fmt: skip


@pytest.mark.parametrize(("table", "field", "wrong", "sentence"), WRONG)
def test_a_wrong_id_is_named(
    declare: Callable[..., str], table: str, field: Callable[[], Any], wrong: Any, sentence: str
) -> None:
    name = declare(**of(table, field()) | {"key": ("pk",)})
    with pytest.raises(errors.Invalid, match="The ids are not valid") as caught:
        plan(name, ids=[wrong])
    (message,) = (caught.value.errors or {})["ids"]
    assert sentence in message
    assert len(message) < 150


class PlaceFilter(df.FilterSet):
    name_after = df.CharFilter("name", "gt")


def test_ids_of_a_child_are_its_parents(export: Export) -> None:
    found = export(model=Part, columns=("id", "weight"), request={"ids": [41, 43, 1]})
    assert found == [("41", "59"), ("43", "57")]


@pytest.mark.parametrize("key", [("pk",), ("tenant", "number"), ("number", "tenant")])
def test_a_composite_primary_key_is_a_key(export: Export, key: tuple[str, ...]) -> None:
    places = [(str(n // 4), str(n % 4), f"place {n}") for n in range(12)]
    expected = sorted(places, key=lambda row: (row[1], row[0])) if key[0] == "number" else places
    assert export(model=Place, key=key, chunk=5) == expected


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"ids": [[1, 0], [2, 3], [7, 7]]}, ["place 11", "place 4"]),
        ({"ids": [["0", "1"]]}, ["place 1"]),
        ({"ids": []}, []),
        ({"ids": [[1, 0], [1, 1]], "filters": {"name_after": "place 4"}}, ["place 5"]),
    ],
)
@pytest.mark.parametrize("sliced", [False, True])
def test_ids_of_a_composite_key_are_lists(
    export: Export, request_: dict[str, Any], expected: list[str], sliced: bool
) -> None:
    rows = Place.objects.order_by("-name")[:40] if sliced else Place.objects.all()
    found = export(
        model=Place, columns=("name",), filterset_class=PlaceFilter, get_queryset=lambda self, user: rows,
        request=request_,
    )  # fmt: skip
    assert sorted(name for (name,) in found) == expected


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (1, "Each id must be a list [tenant, number], not 1."),
        ([1], "Each id must be a list [tenant, number], not [1]."),
        ([1, 2, 3], "not [1, 2, 3]."),
        ([1, "x"], "Each id must be a IntegerField, not [1, 'x']."),
        ([1, None], "not [1, None]."),
        ("ab", "not 'ab'."),
    ],
)
def test_a_wrong_composite_id_is_named(declare: Callable[..., str], wrong: Any, sentence: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        plan(declare(model=Place), ids=[wrong])
    assert sentence in (caught.value.errors or {})["ids"][0]


def test_an_unmanaged_composite_key_is_a_key(export: Export) -> None:
    model = make_model(
        "Inspected", "queried_place", pk=models.CompositePrimaryKey("tenant", "number"),
        tenant=models.IntegerField(), number=models.IntegerField(), name=models.TextField(),
    )  # fmt: skip
    assert export(model=model, request={"ids": [[0, 1]]}) == [("0", "1", "place 1")]
    latest = model.objects.order_by("tenant", "-number").distinct("tenant")
    assert export(model=model, columns=("name",), get_queryset=lambda self, user: latest) == [
        ("place 3",), ("place 7",), ("place 11",),
    ]  # fmt: skip


def test_rows_over_a_composite_key(export: Export, declare: Callable[..., str]) -> None:
    assert export(model=Visit, columns=("id", "place__name"), key=("id",)) == [
        ("1", "place 0"), ("2", "place 5"), ("3", "place 2"), ("4", "place 7"),
    ]  # fmt: skip
    union = Place.objects.filter(tenant=0).union(Place.objects.filter(number=0))
    assert len(export(model=Place, get_queryset=lambda self, user: union, chunk=2)) == 6
    assert counted(plan(declare(model=Place, get_queryset=lambda self, user: union))) == 6


def test_groups_have_no_ids(declare: Callable[..., str]) -> None:
    grouped = Item.objects.order_by().values("kind").annotate(n=models.Count("pk"))
    name = declare(model=Item, key=("kind",), columns=("kind",), get_queryset=lambda self, user: grouped)
    with pytest.raises(errors.Invalid, match="no ids"):
        plan(name, ids=["a"])
