"""Columns that Python computes of the rows' objects."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db.models import Count, F, Sum, Window

from exports_app import errors
from exports_app.estimates import estimate_rows
from exports_app.pipeline.errors import BadColumn
from exports_app.previews import forecast
from exports_app.resources import Column
from tests.python_columns.conftest import file_of, lines_of, plan_of
from tests.python_columns.models import Book

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("tables")]


@pytest.mark.parametrize(
    ("python", "cell"),
    [
        (lambda book: book.price * 2, "20.00"),
        ("gross", "11.9000"),
        ("shout", "BOOK 1"),
        ("initials", "bA"),
        ("get_state_display", "Available"),
        ("author", "Ada"),
        ("author.name.upper", "ADA"),
        ("cover.colour", "red"),
        ("note", "hello"),
        ("pk", "1"),
        (lambda book: "=1+1", "'=1+1"),
        (lambda book: None, ""),
        (lambda book: "", '""'),
    ],
)
def test_a_value_is_what_python_says(declare: Callable[..., Any], python: Any, cell: str) -> None:
    declare("books", model=Book, columns=("id", Column("value", python=python)))
    assert lines_of("books", ids=[1]) == [f"1,{cell}"]


@pytest.mark.parametrize(
    ("kind", "value", "csv", "in_json"),
    [
        ("integer", 5, "5", "5"),
        ("integer", Decimal("5.0"), "5", "5"),
        ("float", Decimal("2.50"), "2.5", "2.5"),
        ("decimal", Decimal("2.50"), "2.50", "2.50"),
        ("decimal", 0.1, "0.1", "0.1"),
        ("boolean", True, "true", "true"),
        ("date", date(2024, 1, 31), "2024-01-31", '"2024-01-31"'),
        ("datetime", datetime(2024, 1, 31, 12, tzinfo=UTC), "2024-01-31T12:00:00+00:00", '"2024-01-31T12:00:00+00:00"'),
        ("time", time(12, 30), "12:30:00", '"12:30:00"'),
        ("duration", timedelta(minutes=1.5), "90", "90"),
        ("uuid", UUID(int=1), f"{UUID(int=1)}", f'"{UUID(int=1)}"'),
        ("json", {"a": [1, None]}, '"{""a"":[1,null]}"', '{"a":[1,null]}'),
        ("array", ["a", 1], '"[""a"",1]"', '["a",1]'),
        ("binary", b"\x00\xff", "AP8=", '"AP8="'),
    ],
)
def test_a_value_stands_as_its_kind_has_it(
    declare: Callable[..., Any], kind: str, value: Any, csv: str, in_json: str
) -> None:
    declare("books", model=Book, columns=(Column("value", python=lambda _: value, kind=kind), "id"))
    assert lines_of("books", ids=[1]) == [f"{csv},1"]
    assert file_of(plan_of("books", "ndjson", ids=[1])).decode() == f'{{"value":{in_json},"id":1}}\n'


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("integer", 1.5, "the value is of the type float, and an integer is needed"),
        ("decimal", "1", "the value is of the type str, and a Decimal is needed"),
        ("date", datetime(2024, 1, 1, tzinfo=UTC), "the value is of the type datetime, and a date is needed"),
        ("boolean", 1, "the value is of the type int, and True or False is needed"),
        ("binary", "x", "the value is of the type str, and bytes are needed"),
        ("array", "abc", "the value is of the type str, and a list is needed"),
        ("uuid", "no", "the value is of the type str, and a UUID is needed"),
    ],
)
def test_a_value_of_another_kind_names_row_and_column(
    declare: Callable[..., Any], kind: str, value: Any, why: str
) -> None:
    declare("books", model=Book, columns=("id", Column("value", label="Total", python=lambda _: value, kind=kind)))
    with pytest.raises(BadColumn) as caught:
        file_of(plan_of("books"))
    assert str(caught.value) == f"The column “Total” could not be computed in the row 1: {why}."


@pytest.mark.parametrize(
    ("python", "why"),
    [
        (lambda book: 1 / 0, "row 1: ZeroDivisionError."),
        ("nothing", "row 1: AttributeError."),
        ("discard", "'discard' changes data"),
        ("page_set", "'page_set' leads to several rows. Give a function that makes one value of them"),
        (lambda book: book.save(using=book._state.db), "row 1: InternalError."),
    ],
)
def test_what_goes_wrong_in_python_names_row_and_column(declare: Callable[..., Any], python: Any, why: str) -> None:
    declare("books", model=Book, columns=("id", Column("value", python=python)))
    with pytest.raises(BadColumn, match="The column “Value” could not be computed in the row 1: ") as caught:
        file_of(plan_of("books"))
    assert why in str(caught.value)


def test_columns_stand_in_the_order_of_the_request_beside_those_of_sql(declare: Callable[..., Any]) -> None:
    columns = (
        "id",
        Column("gross", python="gross", label="Gross", kind="decimal"),
        "title",
        Column("double", F("price") * 2),
    )
    declare("books", model=Book, columns=columns)
    plan = plan_of("books", columns=["double", {"name": "gross", "label": "With tax"}, "title"], ids=[1])
    assert file_of(plan).decode() == "Double,With tax,Title\n20.00,11.9000,book 1\n"
    assert [field.kind.value for field in plan.fields] == ["decimal", "decimal", "text"]


def test_a_request_without_such_a_column_is_rendered_by_postgresql(declare: Callable[..., Any]) -> None:
    declare("books", model=Book, columns=("id", Column("gross", python="gross")))
    assert plan_of("books", columns=["id"]).tables[0].finish is None
    assert plan_of("books").tables[0].finish is not None


@pytest.mark.parametrize(
    ("request_", "lines"), [({}, ["1,1 of 10.00", "2,1 of 30.00", "3,1 of 60.00"]), ({"limit": 1}, ["1,1 of 10.00"])]
)
def test_objects_have_the_annotations_of_all_rows(
    declare: Callable[..., Any], request_: dict[str, Any], lines: list[str]
) -> None:
    rows = Book.objects.annotate(people=Count("author"), so_far=Window(Sum("price"), order_by="id"))
    declare(
        "books",
        model=Book,
        columns=("id", Column("said", python=lambda book: f"{book.people} of {book.so_far}")),
        get_queryset=lambda self, user: rows,
    )
    assert lines_of("books", **request_) == lines


def test_a_window_of_an_object_sees_the_rows_that_ids_leave_out(declare: Callable[..., Any]) -> None:
    rows = Book.objects.annotate(so_far=Window(Sum("price"), order_by="id"))
    declare("books", model=Book, columns=("id", Column("sum", python="so_far")), get_queryset=lambda self, user: rows)
    assert lines_of("books", ids=[1, 3]) == ["1,10.00", "3,60.00"]


def test_nothing_at_the_other_end_of_a_relation_is_empty(declare: Callable[..., Any]) -> None:
    declare("books", model=Book, columns=("id", Column("cover", python="cover.colour")))
    assert lines_of("books") == ["1,red", "2,", "3,"]


@pytest.mark.parametrize(
    "rows",
    [
        lambda: Book.objects.values("author").annotate(total=Sum("price")),
        lambda: Book.objects.values_list("author"),
        lambda: Book.objects.filter(pk=1).union(Book.objects.filter(pk=2)),
    ],
)
def test_rows_without_objects_refuse_such_a_column(declare: Callable[..., Any], rows: Callable[[], Any]) -> None:
    declare(
        "grouped",
        key=("author",),
        columns=("author", Column("who", python="author")),
        get_queryset=lambda self, user: rows(),
    )
    with pytest.raises(errors.Invalid) as caught:
        plan_of("grouped")
    assert "who is computed in Python of a row's object" in caught.value.errors["columns"][0]  # type: ignore[index]


def test_the_forecast_shows_the_rows_and_names_what_is_slow(declare: Callable[..., Any]) -> None:
    declare("books", model=Book, columns=("id", "note", Column("gross", python="gross", label="With tax")))
    plan = plan_of("books", ids=[1])
    seen = forecast(plan)
    assert seen.preview is not None
    assert seen.preview.rows == [["1", "hello", "11.9000"]]
    assert "Columns computed in Python make this export slower: Note, With tax." in seen.warnings
    assert estimate_rows(plan).rows == 1


def test_typed_formats_have_the_values_in_their_types(declare: Callable[..., Any]) -> None:
    from io import BytesIO

    import openpyxl
    from pyarrow import parquet

    columns = (Column("gross", python="gross", kind="float"), Column("cover", python="cover.colour"), "note", "at")
    declare("books", model=Book, columns=columns)
    at = datetime(2024, 7, 1, 12, 34, tzinfo=UTC)
    sheet = openpyxl.load_workbook(BytesIO(file_of(plan_of("books", "xlsx", ids=[1])))).active
    assert [cell.value for cell in sheet[2]] == [11.9, "red", "hello", at.replace(tzinfo=None)]
    table = parquet.read_table(BytesIO(file_of(plan_of("books", "parquet", ids=[1]))))
    assert table.to_pylist() == [{"gross": 11.9, "cover": "red", "note": "hello", "at": at}]
    assert json.loads(file_of(plan_of("books", "json", ids=[1])))[0]["cover"] == "red"


def test_a_sensitive_column_is_none_to_who_may_not_see_it(declare: Callable[..., Any]) -> None:
    declare("books", model=Book, columns=("id", Column("secret", python="title", sensitive="samples.view_card")))
    assert lines_of("books") == ["1", "2", "3"]
