"""Every filter of django-filter: described, asked, and refused by name."""

from __future__ import annotations

import datetime as dt
from typing import Any

import django_filters as df
import pytest
from django import forms
from django.contrib.auth.models import User
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from exports_app import errors
from exports_app.resources import registry
from exports_app.resources.filters import describe
from exports_app.resources.queries import select_rows
from tests.declared.library import Book, Shelf, ids

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("books")]


class NumberInFilter(df.BaseInFilter, df.NumberFilter):
    pass


class NumberRangeFilter(df.BaseRangeFilter, df.NumberFilter):
    pass


class NameInFilter(df.BaseInFilter, df.CharFilter):
    pass


def owned_by(rows: Any, name: str, value: str) -> Any:
    return rows.filter(owner=value)


LOOKUPS: Any = ["exact", ("gt", "Greater than"), "lt"]
STATES = Book._meta.get_field("state").choices


class Zoo(df.FilterSet):
    all_values = df.AllValuesFilter("title")
    all_values_multiple = df.AllValuesMultipleFilter("title")
    base_in = NumberInFilter("pages")
    base_range = NumberRangeFilter("pages")
    boolean = df.BooleanFilter("published")
    char = df.CharFilter("title", "icontains")
    choice = df.ChoiceFilter(field_name="state", choices=STATES)
    choice_null = df.ChoiceFilter(field_name="shelf__name", choices=[("Novels", "Novels")], null_label="None")
    grouped = df.ChoiceFilter(field_name="state", choices=[("Here", [("IN_STOCK", "In")]), ("Away", [("LOST", "L")])])
    date = df.DateFilter("bought_on")
    date_from_to = df.DateFromToRangeFilter("read_at")
    date_range = df.DateRangeFilter(field_name="read_at")
    date_time = df.DateTimeFilter("read_at")
    date_time_from_to = df.DateTimeFromToRangeFilter("read_at")
    duration = df.DurationFilter("took")
    iso = df.IsoDateTimeFilter("read_at", "lte")
    iso_from_to = df.IsoDateTimeFromToRangeFilter("read_at")
    lookup = df.LookupChoiceFilter(field_name="price", field_class=forms.DecimalField, lookup_choices=LOOKUPS)
    method = df.CharFilter(method=owned_by)
    model = df.ModelChoiceFilter(field_name="shelf", queryset=Shelf.objects.order_by("id"), null_label="No shelf")
    model_multiple = df.ModelMultipleChoiceFilter(
        field_name="shelf__name", to_field_name="name", queryset=Shelf.objects.order_by("id")
    )
    multiple = df.MultipleChoiceFilter(field_name="state", choices=STATES)
    names_in = NameInFilter("shelf__name")
    number = df.NumberFilter("price")
    order = df.OrderingFilter(fields=["pages"])
    range = df.RangeFilter("price")
    time = df.TimeFilter("opens_at")
    time_range = df.TimeRangeFilter("opens_at")
    typed = df.TypedChoiceFilter(field_name="pages", choices=[("100", "A hundred")], coerce=int)
    typed_multiple = df.TypedMultipleChoiceFilter(field_name="pages", choices=[("100", "A"), ("200", "B")], coerce=int)
    uuid = df.UUIDFilter("code")


GIVEN: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [1, 2, 3, 4]),
    ({"all_values": "Book 3"}, [3]),
    ({"all_values_multiple": ["Book 3", "Book 1"]}, [1, 3]),
    ({"base_in": [100, 300]}, [1, 3]),
    ({"base_in": "100,300"}, [1, 3]),
    ({"base_range": [200, 300]}, [2, 3]),
    ({"boolean": True}, [2, 4]),
    ({"boolean": "FALSE"}, [1, 3]),
    ({"boolean": 1}, [2, 4]),
    ({"char": "OK 2"}, [2]),
    ({"choice": "IN_STOCK"}, [2, 4]),
    ({"choice_null": "null"}, [4]),
    ({"choice_null": "Novels"}, [1]),
    ({"grouped": "LOST"}, [3]),
    ({"date": "2024-01-03"}, [2]),
    ({"date_from_to_after": "2024-01-03", "date_from_to_before": "2024-01-04"}, [2, 3]),
    ({"date_range": "today"}, []),
    ({"date_time": "2024-01-02 12:00:00"}, [1]),
    ({"date_time_from_to_before": "2024-01-03 12:00"}, [1, 2]),
    ({"duration": "02:00:00"}, [2]),
    ({"iso": "2024-01-03T13:00:00+01:00"}, [1, 2]),
    ({"iso_from_to_after": "2024-01-04T12:00:00Z"}, [3, 4]),
    ({"lookup": "2.5", "lookup_lookup": "gt"}, [3, 4]),
    ({"lookup": 2.5, "lookup_lookup": "LT"}, [1]),
    ({"method": "bob"}, [3, 4]),
    ({"model": 10}, [1]),
    ({"model": "null"}, [4]),
    ({"model_multiple": ["Poems", "Smith, John"]}, [2, 3]),
    ({"model_multiple": "20"}, [2]),
    ({"multiple": ["ON_LOAN", "LOST"]}, [1, 3]),
    ({"names_in": ["Novels", "Smith, John"]}, [1, 3]),
    ({"names_in": ["Smith, John"]}, []),  # one text with a comma is two names to django-filter
    ({"number": "1.50"}, [1]),
    ({"range_min": 2, "range_max": "3.50"}, [2, 3]),
    ({"range_min": None, "range_max": 2}, [1]),
    ({"time": "09:00"}, [1]),
    ({"time_range_after": "11:00"}, [3, 4]),
    ({"typed": 100}, [1]),
    ({"typed_multiple": [100, "200"]}, [1, 2]),
    ({"uuid": "00000000-0000-0000-0000-000000000004"}, [4]),
    ({"choice": "", "number": ""}, [1, 2, 3, 4]),
]


@pytest.fixture
def zoo(declare: Any) -> None:
    declare("zoo", filterset_class=Zoo)


@pytest.mark.parametrize(("filters", "expected"), GIVEN, ids=[str(each)[:50] for each, _ in GIVEN])
def test_each_filter_narrows_as_django_filter_does(
    alice: User, zoo: None, filters: dict[str, Any], expected: list[int]
) -> None:
    assert ids(alice, "zoo", **filters) == expected


def test_each_filter_is_described(alice: User, zoo: None) -> None:
    declared = registry.get("zoo")
    assert declared is not None
    found = {each.name: each for each in describe(declared(), alice)}
    assert {name: (each.kind, each.multiple) for name, each in found.items() if each.kind != "choice"} == {
        "base_in": ("number", True), "base_range": ("number", True), "boolean": ("boolean", False),
        "char": ("text", False), "date": ("date", False), "date_from_to_after": ("date", False),
        "date_from_to_before": ("date", False), "date_time": ("datetime", False),
        "date_time_from_to_after": ("datetime", False), "date_time_from_to_before": ("datetime", False),
        "duration": ("text", False), "iso": ("datetime", False), "iso_from_to_after": ("datetime", False),
        "iso_from_to_before": ("datetime", False), "lookup": ("number", False), "method": ("text", False),
        "names_in": ("text", True), "number": ("number", False), "range_min": ("number", False),
        "range_max": ("number", False), "time": ("text", False), "time_range_after": ("text", False),
        "time_range_before": ("text", False), "uuid": ("text", False),
    }  # fmt: skip
    assert {name: [value for value, _ in each.choices] for name, each in found.items() if each.kind == "choice"} == {
        "all_values": ["Book 1", "Book 2", "Book 3", "Book 4"],
        "all_values_multiple": ["Book 1", "Book 2", "Book 3", "Book 4"],
        "choice": ["ON_LOAN", "IN_STOCK", "LOST"],
        "choice_null": ["null", "Novels"],
        "grouped": ["IN_STOCK", "LOST"],
        "date_range": ["today", "yesterday", "week", "month", "year"],
        "lookup_lookup": ["exact", "gt", "lt"],
        "model": ["null", "10", "20", "30"],
        "model_multiple": ["Novels", "Poems", "Smith, John"],
        "multiple": ["ON_LOAN", "IN_STOCK", "LOST"],
        "typed": ["100"],
        "typed_multiple": ["100", "200"],
    }


def test_a_day_is_that_of_the_request_however_late_the_run(alice: User, zoo: None) -> None:
    declared = registry.get("zoo")
    assert declared is not None
    moments = {
        "today": dt.datetime(2024, 1, 3, 23, 59, tzinfo=dt.UTC),
        "yesterday": dt.datetime(2024, 1, 3, 0, 1, tzinfo=dt.UTC),
        "week": dt.datetime(2024, 1, 10, 1, 0, tzinfo=dt.UTC),
        "month": dt.datetime(2024, 1, 31, tzinfo=dt.UTC),
        "year": dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
    }
    found = {
        name: sorted(
            select_rows(declared(at), alice, filters={"date_range": name}, ids=None).values_list("pk", flat=True)
        )
        for name, at in moments.items()
    }
    assert found == {"today": [2], "yesterday": [1], "week": [2, 3, 4], "month": [1, 2, 3, 4], "year": []}


NAMES = sorted({name for filters, _ in GIVEN for name in filters})
ODD = [
    "", " ", ",", "null", "0", "-1", "1e-999999", "-1e-999999", "9" * 400, "1e400", "NaN", "-Infinity", "true", "None",
    "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2024-13-45", "24:00", "99999999999 days", "P1Y",
    "a\0b", "\ud800", "'; --", "%s", "{}", "x" * 10_000, "Novels,Poems", "00000000-0000-0000-0000-00000000000g",
]  # fmt: skip
VALUES = st.sampled_from(ODD) | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@seed(20_261_210)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(filters=st.dictionaries(st.sampled_from(NAMES), VALUES | st.lists(VALUES, max_size=3), max_size=3))
def test_whatever_is_given_narrows_or_is_refused_by_name(alice: User, zoo: None, filters: dict[str, Any]) -> None:
    found: set[int] = set()
    wrong: set[str] = set()
    try:
        found |= set(ids(alice, "zoo", **filters))
    except errors.Invalid as refused:
        wrong |= set((refused.errors or {})["filters"])
    assert found <= {1, 2, 3, 4}
    assert wrong <= set(filters)
