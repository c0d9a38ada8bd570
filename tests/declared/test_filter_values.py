"""Values that a filter cannot take, or that are written in another way than its choices are."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import urlencode

import django_filters as df
import pytest
from django.contrib.auth.models import User
from django.db import connection
from rest_framework.test import APIClient

from exports_app import errors
from exports_app.models import ExportJob, ExportPreset
from exports_app.plan import Request, as_spelled
from exports_app.resources.spelling import spelled
from exportsite.samples.models import Account, Tag
from tests.declared.library import Book, Shelf, ids
from tests.jobs import make_job
from tests.test_samples_exports import found, make_trade

committed = pytest.mark.django_db(transaction=True)


class StateFilter(df.FilterSet):
    state = df.MultipleChoiceFilter(choices=Book._meta.get_field("state").choices)
    shelf = df.ModelChoiceFilter(queryset=Shelf.objects.order_by("id"), to_field_name="name")
    published = df.BooleanFilter()
    read_after = df.IsoDateTimeFilter("read_at", "gte")
    price = df.NumberFilter()


@pytest.mark.parametrize(
    ("given", "known", "expected"),
    [
        ("CSV", ["csv", "xlsx"], "csv"),
        ("dailyPnl", ["daily_pnl", "trades"], "daily_pnl"),
        ("Daily-PNL", ["daily_pnl"], "daily_pnl"),
        ("in stock", ["IN_STOCK"], "IN_STOCK"),
        ("daily_pnl", ["daily_pnl", "dailyPnl"], "daily_pnl"),  # as it stands
        ("DailyPnl", ["daily_pnl", "dailyPnl"], "DailyPnl"),  # either could be meant
        ("c", ["C++", "C#"], "c"),
        ("__", ["-"], "__"),
        ("cvs", ["csv"], "cvs"),
    ],
)
def test_case_and_joints_are_left_aside_where_that_is_sure(given: str, known: list[str], expected: str) -> None:
    assert spelled(given, known) == expected


def test_a_request_of_a_person_is_stored_by_the_registered_names(api: APIClient, db: None) -> None:
    made = api.post("/api/v1/exports/", {"resource": "dailyPnl", "format": "CSV", "compression": "GZIP"})
    assert made.status_code == 202
    job = ExportJob.objects.get()
    assert (job.resource, job.format, job.compression) == ("daily_pnl", "csv", "gzip")
    assert job.file_name.startswith("daily_pnl-")
    assert api.get("/api/v1/resources/dailyPnl/").json()["name"] == "daily_pnl"
    assert api.post("/api/v1/resources/DAILY_PNL/estimate/", {"resource": "dailyPnl"}).status_code == 200
    body = {"name": "mine", "resource": "tagPerformance", "format": "XLSX"}
    assert api.post("/api/v1/presets/", body).json()["resource"] == "tag_performance"
    assert ExportPreset.objects.get().format == "xlsx"
    again = {"resource": "dailyPnl", "format": "CSV"}
    keys = {"headers": {"Idempotency-Key": "k"}}
    first, second = (api.post("/api/v1/exports/", again, **keys) for _ in range(2))  # type: ignore[arg-type]
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["message"].startswith("The export was accepted.")
    assert "message" not in second.json()


def test_what_is_stored_means_what_it_says(db: None) -> None:
    assert as_spelled(Request(resource="noSuch", format="CVS")) == Request(resource="noSuch", format="CVS")


@committed
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"state": "on_loan"}, [1]),
        ({"state": ["onLoan", "lost"]}, [1, 3]),
        ({"shelf": "novels"}, [1]),
        ({"shelf": "Novels"}, [1]),
        ({"shelf": "10"}, [1]),  # the row's id, where its name is meant
        ({"published": "True"}, [2, 4]),
        ({"published": 0}, [1, 3]),
    ],
)
def test_values_are_taken_for_the_choice_that_they_surely_mean(
    alice: User, declare: Any, books: None, filters: dict[str, Any], expected: list[int]
) -> None:
    declare("states", filterset_class=StateFilter)
    assert ids(alice, "states", **filters) == expected


CHOICE = "Select a valid choice. {} is not one of the available choices."


@committed
@pytest.mark.parametrize(
    ("filters", "sentence"),
    [
        ({"state": "IN_STOK"}, f"{CHOICE.format('IN_STOK')} Did you mean IN_STOCK (In stock)?"),
        ({"state": ["LOST", "Gone"]}, f"{CHOICE.format('Gone')} Valid: ON_LOAN, IN_STOCK, LOST."),
        ({"shelf": "Novel"}, f"{CHOICE.format('Novel')} Did you mean Novels?"),
        ({"shelf": "40"}, f"{CHOICE.format('40')} Valid: Novels, Poems, Smith, John."),
        ({"shelf": "9" * 400}, f"{CHOICE.format('9' * 100 + '…')} Valid: Novels, Poems, Smith, John."),
        ({"published": "maybe"}, "Give true or false."),
        ({"published": 2.5}, "Give true or false."),
        ({"price": "-1e-999999"}, "Give a number of at most 1,000 digits before and behind the point."),
        ({"price": "-1e999999"}, "Give a number of at most 1,000 digits before and behind the point."),
        ({"price": "1e400"}, "Ensure this value is less than or equal to 1e+50."),
        ({"read_after": "9999-12-31T23:59:59-15:59"}, "Give a moment between the years 1 and 9999 (UTC)."),
        ({"read_after": "0001-01-01T00:00:00+15:59"}, "Give a moment between the years 1 and 9999 (UTC)."),
        ({"read_after": "2024-01-01T00:00:00-23:59"}, "Give an offset below 16 hours."),
        ({"state": "a\0"}, "The text holds a NUL character or half a surrogate pair, which no database stores."),
        ({"state": {"in": []}}, "Give a text, a number, true or false, or a list of them."),
    ],
)
def test_a_value_that_means_nothing_is_refused_with_the_nearest(
    alice: User, declare: Any, books: None, filters: dict[str, Any], sentence: str
) -> None:
    declare("states", filterset_class=StateFilter)
    with pytest.raises(errors.Invalid) as caught:
        ids(alice, "states", **filters)
    assert caught.value.errors == {"filters": {next(iter(filters)): [sentence]}}


@pytest.mark.django_db
def test_tags_go_by_name_and_by_id_and_a_name_comes_first(alice: User) -> None:
    account = Account.objects.create(number="AC-000001", owner="Alice", user=alice)
    make_trade(1, account, tags="London")
    make_trade(2, account, tags="FOMO")
    london, fomo = Tag.objects.get(name="London"), Tag.objects.get(name="FOMO")
    assert found("trades", alice, tags=[london.pk, "FOMO"]) == [1, 2]
    assert found("trades", alice, tags=str(fomo.pk)) == [2]
    make_trade(3, account, tags=str(london.pk))
    assert found("trades", alice, tags=str(london.pk)) == [3]
    assert found("trades", alice, tags="London,FOMO") == [1, 2]
    for wrong, nearest in (("Londn", "Did you mean London?"), ("999999999", "Valid: ")):
        with pytest.raises(errors.Invalid) as caught:
            found("trades", alice, tags=["FOMO", wrong])
        assert nearest in caught.value.errors["filters"]["tags"][0]  # type: ignore[index]


# The lists of the API

BAD = [
    {"created_after": "9999-12-31T23:59:59-23:59"},
    {"created_after": "9999-12-31T23:59:59-15:59"},
    {"created_before": "0001-01-01T00:00:00+14:00"},
    {"created_before": "2024-02-30"},
    {"page_size": "9" * 400},
    {"page_size": "-1"},
    {"resource": "a\0b"},
    {"status": "nowhere"},
    {"cursor": b64encode(urlencode({"p": "9999-12-31T23:59:59-23:59"}).encode()).decode()},
    {"cursor": b64encode(urlencode({"p": "2024-01-01T00:00:00-23:59"}).encode()).decode()},
    {"cursor": b64encode(urlencode({"p": "2024-01-01", "o": "9" * 400}).encode()).decode()},
    {"cursor": "%"},
]


@pytest.mark.django_db
@pytest.mark.parametrize("query", BAD, ids=[str(each)[:40] for each in BAD])
def test_a_query_that_the_database_cannot_take_is_refused(api: APIClient, query: dict[str, str]) -> None:
    answer = api.get("/api/v1/exports/", query)
    assert answer["Content-Type"] == "application/json"
    if answer.status_code != 200:  # a page size past the largest is the largest, an offset past the end the end
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), answer.json()
        assert list(answer.json()["errors"]) == list(query)
    assert answer.status_code == 400 or "page_size" in query or "cursor" in query


@pytest.mark.django_db
def test_the_list_takes_names_as_people_write_them(api: APIClient, alice: User) -> None:
    make_job(alice)
    for query in ({"resource": "Customers"}, {"format": "CSV"}, {"status": "QUEUED"}):
        assert len(api.get("/api/v1/exports/", query).json()["results"]) == 1


# Locks


@committed
def test_choices_that_wait_for_a_lock_are_given_up(api: APIClient, alice: User, declare: Any, books: None) -> None:
    import psycopg
    from django.db import connections

    declare("states", filterset_class=StateFilter)
    parameters = connections["default"].get_connection_params()
    known = {name: parameters[name] for name in ("dbname", "user", "password", "host", "port")}
    with psycopg.connect(**known) as other:
        other.execute("LOCK TABLE declaring_shelf IN ACCESS EXCLUSIVE MODE")
        shown = api.get("/api/v1/resources/states/")
        asked = api.post("/api/v1/exports/", {"resource": "states", "filters": {"shelf": "Novels"}})
        other.rollback()
    filters = {each["name"]: each["choices"] for each in shown.json()["filters"]}
    assert (shown.status_code, filters["shelf"], len(filters["state"])) == (200, [], 3)
    assert (asked.status_code, asked.json()["code"], asked["Retry-After"]) == (503, "unavailable", "5")
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout'), current_setting('statement_timeout')")
        assert cursor.fetchone() == ("0", "0")
