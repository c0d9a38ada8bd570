"""Fields that the ORM decodes in Python: the file has the ORM's value, never the stored form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.postgres.aggregates import ArrayAgg
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from django.db.models import Count, F, Max
from django.db.models.functions import Cast, Coalesce

from exports_app.pipeline.errors import BadColumn
from exports_app.resources import Column
from exports_app.resources.converters import decoder
from tests.python_columns.conftest import file_of, lines_of, plan_of
from tests.python_columns.models import Book, Encoded, Packed, Page

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("tables")]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("note", "hello"),
        (Column("packed", kind="integer"), "258"),
        (Column("packed", kind="text"), "258"),
        (Column("data", kind="text"), "named"),
        ("notes", '"[""a"",null,""b""]"'),
        (Column("alias", "note"), "hello"),
        (Column("alias", F("note")), "hello"),
        (Column("either", Coalesce("note", "note")), "hello"),
        (Column("stored", Cast("note", models.TextField())), "aGVsbG8="),
        (Column("stored", "plain"), '"{""rate"":1}"'),
    ],
)
def test_a_file_has_what_the_orm_has(declare: Callable[..., Any], column: Any, cell: str) -> None:
    declare("books", model=Book, columns=("id", column))
    assert lines_of("books", ids=[1]) == [f"1,{cell}"]


def test_null_is_decoded_as_the_orm_does(declare: Callable[..., Any]) -> None:
    declare("books", model=Book, columns=("id", "note", Column("packed", kind="integer"), "notes"))
    assert lines_of("books", ids=[2]) == ["2,,,"]


@pytest.mark.parametrize("format_", ["csv", "json", "ndjson", "xlsx", "parquet"])
def test_no_format_has_the_stored_form(declare: Callable[..., Any], format_: str) -> None:
    declare("books", model=Book, columns=("id", "note"))
    plan = plan_of("books", format_)
    assert plan.tables[0].finish is not None
    assert plan.tables[0].finish.names == ["Note"]
    assert b"aGVsbG8=" not in file_of(plan)


def test_a_path_to_such_a_field_and_a_relation_behind_it(declare: Callable[..., Any]) -> None:
    declare("pages", model=Page, columns=("id", Column("of", "book__note")))
    assert lines_of("pages", ids=[2, 3]) == ["2,", "3,hello"]


def test_groups_and_unions_are_decoded_too(declare: Callable[..., Any]) -> None:
    groups = Book.objects.exclude(note=None).values("author").annotate(books=Count("pk"), last=Max("note"))
    declare("groups", key=("author",), columns=("author", "last"), get_queryset=lambda self, user: groups)
    assert lines_of("groups") == ["1,hello"]


def test_a_value_of_another_kind_than_the_fields_is_refused_with_the_way_out(declare: Callable[..., Any]) -> None:
    declare("books", model=Book, columns=("id", "packed"))
    with pytest.raises(BadColumn, match="in the row 1: the value is of the type int, and bytes are needed"):
        file_of(plan_of("books"))


def test_filters_by_such_a_field_compare_what_is_stored(declare: Callable[..., Any]) -> None:
    declare(
        "books", model=Book, columns=("id", "note"), get_queryset=lambda self, user: Book.objects.filter(note="hello")
    )
    assert lines_of("books") == ["1,hello"]


class Renamed(models.JSONField):
    """Inherits what JSONField does."""


@pytest.mark.parametrize(
    ("field", "decodes"),
    [
        (models.JSONField(), False),
        (Renamed(), False),
        (ArrayField(models.JSONField()), False),
        (ArrayField(models.IntegerField()), False),
        (models.DecimalField(max_digits=5, decimal_places=2), False),
        (models.FloatField(), False),
        (models.IntegerField(), False),
        (models.DurationField(), False),
        (models.UUIDField(), False),
        (models.GenericIPAddressField(), False),
        (models.BinaryField(), False),
        (models.DateTimeField(), False),
        (Encoded(), True),
        (Packed(), True),
        (ArrayField(Encoded()), True),
    ],
)
def test_what_decodes_is_told_by_the_orms_own_converters(field: Any, decodes: bool) -> None:
    expression = models.ExpressionWrapper(models.Value(None), output_field=field)
    assert (decoder(expression, connection) is not None) is decodes


def test_an_expression_that_converts_in_python_is_decoded(declare: Callable[..., Any]) -> None:
    class Backwards(models.Func):
        function = "LOWER"

        def convert_value(self, value: str, expression: Any, connection: Any) -> str:
            return value[::-1]

    declare("books", model=Book, columns=("id", Column("back", Backwards("title"))))
    assert lines_of("books", ids=[1]) == ["1,1 koob"]


def test_an_aggregate_of_such_values_has_the_orms(declare: Callable[..., Any]) -> None:
    groups = Book.objects.values("author").annotate(notes=ArrayAgg("note", filter=~models.Q(note=None)))
    declare("groups", key=("author",), columns=("author", "notes"), get_queryset=lambda self, user: groups)
    assert [row["notes"] for row in groups] == [["hello"]]
    assert lines_of("groups") == ['1,"[""hello""]"']
