"""``Trunc*`` in a time zone: the file names the instant that the ORM names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.db import connection, models
from django.db.models import F, Max
from django.db.models.functions import (
    ExtractHour,
    Trunc,
    TruncDate,
    TruncDay,
    TruncHour,
    TruncMonth,
    TruncTime,
    TruncWeek,
    TruncYear,
)

from exports_app.plan import Request, make_plan
from exports_app.resources import Column, Resource, register, registry
from tests.python_columns.conftest import file_of

pytestmark = [pytest.mark.django_db]

BERLIN, SAO_PAULO, HAVANA = (ZoneInfo(name) for name in ("Europe/Berlin", "America/Sao_Paulo", "America/Havana"))
KOLKATA = ZoneInfo("Asia/Kolkata")


class Moment(models.Model):
    objects: Any = models.Manager()
    at = models.DateTimeField()

    class Meta:
        app_label = "local_times"


AT = {
    1: datetime(2024, 7, 1, 12, 34, 56, 789, tzinfo=UTC),
    2: datetime(2024, 10, 27, 0, 30, tzinfo=UTC),  # 02:30 in Berlin, for the first time
    3: datetime(2024, 10, 27, 1, 30, tzinfo=UTC),  # 02:30 in Berlin, for the second time
    4: datetime(2018, 11, 4, 12, tzinfo=UTC),  # a day that begins at 01:00 in São Paulo
    5: datetime(2018, 2, 18, 2, 30, tzinfo=UTC),  # 23:30 in São Paulo, for the second time
    6: datetime(2023, 11, 5, 12, tzinfo=UTC),  # a day whose midnight comes twice in Havana
    7: datetime(1890, 3, 1, 12, 34, tzinfo=UTC),  # before standard time
}


@pytest.fixture(scope="module")
def moments(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """A row for each of ``AT``, committed."""
    with django_db_blocker.unblock():
        with connection.schema_editor() as editor:
            editor.create_model(Moment)
        Moment.objects.bulk_create([Moment(pk=number, at=at) for number, at in AT.items()])
    yield
    with django_db_blocker.unblock(), connection.schema_editor() as editor:
        editor.delete_model(Moment)


@pytest.fixture
def cells(moments: None) -> Iterator[Callable[..., list[str]]]:
    """The cells of a column of this expression, in the rows of ``numbers``."""

    def cells(expression: Any, *numbers: int, **options: Any) -> list[str]:
        columns = (Column("cell", expression),)
        register("moments")(type("Moments", (Resource,), {"model": Moment, "columns": columns}))
        user = User(pk=1, username="someone", is_active=True)
        plan = make_plan(Request(resource="moments", ids=list(numbers), options=options), user)
        assert plan.tables[0].finish is None  # PostgreSQL renders it
        return file_of(plan).decode().splitlines()[1:]

    yield cells
    registry.unregister("moments")


@pytest.mark.parametrize(
    ("expression", "number", "cell"),
    [
        (TruncHour("at", tzinfo=BERLIN), 1, "2024-07-01T12:00:00+00:00"),
        (TruncDay("at", tzinfo=BERLIN), 1, "2024-06-30T22:00:00+00:00"),
        (TruncMonth("at", tzinfo=BERLIN), 1, "2024-06-30T22:00:00+00:00"),
        (TruncWeek("at", tzinfo=BERLIN), 1, "2024-06-30T22:00:00+00:00"),
        (TruncYear("at", tzinfo=BERLIN), 1, "2023-12-31T23:00:00+00:00"),
        (Trunc("at", "day", tzinfo=KOLKATA), 1, "2024-06-30T18:30:00+00:00"),
        (TruncDay("at"), 1, "2024-07-01T00:00:00+00:00"),
        (TruncHour("at", tzinfo=timezone(timedelta(hours=5, minutes=30))), 1, "2024-07-01T12:30:00+00:00"),
        (TruncHour("at", tzinfo=BERLIN), 2, "2024-10-27T00:00:00+00:00"),
        (TruncHour("at", tzinfo=BERLIN), 3, "2024-10-27T00:00:00+00:00"),  # the first 02:00, as the ORM takes it
        (TruncDay("at", tzinfo=SAO_PAULO), 4, "2018-11-04T03:00:00+00:00"),
        (TruncHour("at", tzinfo=SAO_PAULO), 5, "2018-02-18T01:00:00+00:00"),
        (TruncDay("at", tzinfo=HAVANA), 6, "2023-11-05T04:00:00+00:00"),
        (TruncDate("at", tzinfo=BERLIN), 1, "2024-07-01"),
        (TruncTime("at", tzinfo=BERLIN), 1, "14:34:56.000789"),
        (Trunc("at", "month", output_field=models.DateField(), tzinfo=BERLIN), 1, "2024-07-01"),
        (Trunc("at", "hour", output_field=models.TimeField(), tzinfo=BERLIN), 1, "14:00:00"),
        (ExtractHour("at", tzinfo=BERLIN), 1, "14"),
    ],
)
def test_a_file_names_the_instant_of_the_orm(
    cells: Callable[..., list[str]], expression: Any, number: int, cell: str
) -> None:
    assert cells(expression, number) == [cell]
    (value,) = Moment.objects.filter(pk=number).annotate(value=expression).values_list("value", flat=True)
    if isinstance(value, datetime):
        assert value.astimezone(UTC).isoformat() == cell
    else:
        assert str(value) == cell


def test_such_an_instant_is_written_in_the_zone_that_is_asked_for(cells: Callable[..., list[str]]) -> None:
    assert cells(TruncDay("at", tzinfo=BERLIN), 1, timezone="Europe/Berlin") == ["2024-07-01T00:00:00+02:00"]


@pytest.mark.parametrize("zone", [BERLIN, SAO_PAULO, HAVANA, KOLKATA, ZoneInfo("Australia/Lord_Howe")])
@pytest.mark.parametrize("kind", ["second", "minute", "hour", "day", "week", "month", "quarter", "year"])
def test_all_moments_of_the_table_in_all_zones(cells: Callable[..., list[str]], zone: ZoneInfo, kind: str) -> None:
    expression = Trunc("at", kind, tzinfo=zone)
    of_orm = Moment.objects.annotate(value=expression).order_by("pk").values_list("value", flat=True)
    assert cells(expression, *AT) == [value.astimezone(UTC).isoformat() for value in of_orm]


def test_groups_by_day_have_the_instant_at_which_the_day_began(moments: None) -> None:
    days = (
        Moment.objects.annotate(day=TruncDay("at", tzinfo=BERLIN)).values("day").annotate(last=Max("at"), also=F("day"))
    )
    attributes = {"key": ("day",), "columns": ("day", "also"), "get_queryset": lambda self, user: days.filter(pk=1)}
    register("days")(type("Days", (Resource,), attributes))
    try:
        user = User(pk=1, username="someone", is_active=True)
        file = file_of(make_plan(Request(resource="days"), user)).decode()
    finally:
        registry.unregister("days")
    assert file.splitlines()[1:] == ["2024-06-30T22:00:00+00:00,2024-06-30T22:00:00+00:00"]
