"""Databases whose sessions are in another time zone than UTC: the rows are the ORM's, the files those of UTC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField
from django.db import connections, models
from django.db.models import Count, F
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast, ExtractHour, TruncDay

from exports_app.estimates import estimate_rows
from exports_app.pipeline.errors import BadColumn
from exports_app.pipeline.formats import FORMATS
from exports_app.plan import Request, make_plan
from exports_app.resources import Column
from tests.connections.reading import Declare, Sql, lines
from tests.jobs import finish, read_object
from tests.python_columns.conftest import file_of, resumed_file_of

AddDatabase = Callable[..., None]
ZONES = ["Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Pacific/Kiritimati", "Africa/Monrovia"]
"""Whole hours, halves, a day ahead, and one that had seconds until 1972."""
ROWS = """
    (1, '2024-07-01 22:30+00'), (2, '2024-10-27 00:30+00'), (3, '2024-10-27 01:30:00.5+00'), (4, '1850-03-01 12:34+00'),
    (5, '9999-12-31 23:59:59.999999+00'), (6, '0001-01-01 00:00+00'), (7, '1971-06-01 23:30:00.000789+00'), (8, NULL)
"""
ODD = "(9, 'infinity'), (10, '-infinity'), (11, '0044-03-15 12:00+00 BC'), (12, '12024-01-01 00:00+00')"


class Moment(models.Model):
    """``at`` and what is made of it; the naive ones are clocks of UTC."""

    objects: Any = models.Manager()
    at = models.DateTimeField(null=True)
    clock = models.DateTimeField(null=True)
    choice = models.DateTimeField(null=True, choices=[(datetime(2024, 1, 1), "New Year")])  # noqa: DTZ001
    list = ArrayField(models.DateTimeField(null=True), null=True)
    clocks = ArrayField(models.DateTimeField(null=True), null=True)
    nested = ArrayField(ArrayField(models.DateTimeField()), null=True)
    range = DateTimeRangeField(null=True)
    day = models.DateField(null=True)
    hour = models.TimeField(null=True)

    class Meta:
        app_label = "zones"
        managed = False
        db_table = "conn_moments"


@pytest.fixture
def moments(sql: Sql) -> Iterator[None]:
    sql(f"""
        CREATE TABLE conn_moments (
            id int PRIMARY KEY, at timestamptz, clock timestamp, choice timestamptz, list timestamptz[],
            clocks timestamp[], nested timestamptz[], range tstzrange, day date, hour time);
        INSERT INTO conn_moments (id, at) VALUES {ROWS};
        SET TimeZone = 'UTC';
        UPDATE conn_moments SET
            clock = at::timestamp, choice = at, list = ARRAY[at, NULL], clocks = ARRAY[at::timestamp, NULL],
            nested = ARRAY[[at, at], [at, at]], range = tstzrange(at, NULL), day = at::date, hour = at::time
        WHERE at IS NOT NULL""")
    yield
    sql("DROP TABLE conn_moments")


@pytest.fixture
def abroad(moments: None, add_database: AddDatabase) -> Callable[[str], Callable[..., Any]]:
    """The same database, with sessions in a zone, as ``get_queryset``."""

    def abroad(zone: str) -> Callable[..., Any]:
        add_database("abroad")
        connections.settings["abroad"]["OPTIONS"]["options"] = ""
        connections.settings["abroad"]["TIME_ZONE"] = zone
        return lambda self, user: Moment.objects.using("abroad")

    return abroad


@pytest.fixture
def files(owner: User, declare: Declare, abroad: Callable[[str], Any]) -> Callable[..., tuple[bytes, bytes]]:
    """The file of UTC, and that of a zone."""

    def files(zone: str, **values: Any) -> tuple[bytes, bytes]:
        attributes = values.pop("attributes", {})
        declare("home", Moment, title="Moments", **attributes)
        declare("abroad", Moment, title="Moments", get_queryset=abroad(zone), **attributes)
        assert connections["abroad"].timezone_name == zone
        made = [file_of(make_plan(Request(resource=name, **values), owner)) for name in ("home", "abroad")]
        return made[0], made[1]

    return files


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("format_name", FORMATS)
def test_a_file_is_the_same_whatever_the_zone_of_the_session(
    files: Callable[..., tuple[bytes, bytes]], format_name: str, zone: str
) -> None:
    at_home, abroad = files(zone, format=format_name)
    assert abroad == at_home


@pytest.mark.parametrize("format_name", ["csv", "json", "ndjson", "xlsx"])
def test_moments_that_no_calendar_has_are_too(
    files: Callable[..., tuple[bytes, bytes]], sql: Sql, format_name: str
) -> None:
    sql(f"INSERT INTO conn_moments (id, at) VALUES {ODD}; UPDATE conn_moments SET range = tstzrange(at, NULL)")
    at_home, abroad = files("Africa/Monrovia", format=format_name)
    assert abroad == at_home
    if format_name == "csv":
        text = abroad.decode()
        assert "\n9,infinity," in text
        assert "\n11,0044-03-15T12:00:00+00:00 BC," in text
        assert "\n12,12024-01-01T00:00:00+00:00," in text


@pytest.mark.parametrize(
    "options",
    [
        {"timezone": "America/New_York"},
        {"locale": "de"},
        {"locale": "de", "timezone": "Europe/Berlin"},
        {"choice_labels": True},
        {"date_format": "dd/MM/yyyy"},
    ],
    ids=str,
)
def test_options_mean_the_same(files: Callable[..., tuple[bytes, bytes]], options: dict[str, Any]) -> None:
    at_home, abroad = files("Asia/Kolkata", options=options)
    assert abroad == at_home


@pytest.mark.parametrize("format_name", FORMATS)
def test_rows_that_python_finishes_have_the_same_moments(
    files: Callable[..., tuple[bytes, bytes]], format_name: str
) -> None:
    columns = ("id", "at", "clock", "choice", "list", "clocks", "range", Column("year", python=lambda each: each.pk))
    asked = {"format": format_name, "ids": [1, 2, 3, 4, 7, 8]}
    at_home, abroad = files("Africa/Monrovia", attributes={"columns": columns}, **asked)
    assert abroad == at_home


def test_a_moment_that_python_cannot_load_in_that_zone_is_named(
    owner: User, declare: Declare, abroad: Callable[[str], Any]
) -> None:
    declare("moments", Moment, columns=(Column("n", python=lambda each: 1),), get_queryset=abroad("Africa/Monrovia"))
    with pytest.raises(BadColumn, match=r"primary keys 1 to 8, .* too small \(before year \*{3}\): \*{3}\."):
        lines(owner, "moments")


def test_a_range_is_in_the_zone_asked_for_also_in_rows_that_python_finishes(
    owner: User, moments: None, declare: Declare
) -> None:
    declare("moments", Moment, columns=("range", Column("half", python=lambda each: each.pk / 2)))
    asked = {"options": {"timezone": "Europe/Berlin"}, "ids": [1]}
    assert lines(owner, "moments", **asked) == ['"[2024-07-02T00:30:00+02:00,)",0.5']


@pytest.mark.parametrize(
    "chosen",
    [
        lambda rows: rows.filter(id__in=RawSQL("SELECT id FROM conn_moments WHERE at::date <= '2024-07-01'", ())),
        lambda rows: rows.annotate(text=Cast("at", models.TextField())).filter(text__contains="-01 "),
        lambda rows: rows.extra(where=["extract(hour FROM at) < 10"]),
        lambda rows: rows.extra(where=["at > timestamp '2024-07-02 00:00'"]),
        lambda rows: rows.extra(where=["at::date > '2024-07-01'"]).annotate(n=Count("id")),
    ],
)
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Pacific/Kiritimati", "America/St_Johns"])
def test_what_sql_leaves_to_the_session_chooses_the_rows_of_the_orm(
    owner: User, declare: Declare, abroad: Callable[[str], Any], chosen: Callable[[Any], Any], zone: str
) -> None:
    rows = abroad(zone)
    declare("moments", Moment, columns=("id",), get_queryset=lambda self, user: chosen(rows(self, user)))
    expected = [str(number) for number in chosen(rows(None, None)).order_by("pk").values_list("pk", flat=True)]
    assert lines(owner, "moments") == expected
    assert expected != []
    assert estimate_rows(make_plan(Request(resource="moments"), owner)).rows == len(expected)


def test_a_day_of_a_site_that_knows_no_zones_is_the_days_of_its_own_zone(
    owner: User, moments: None, declare: Declare, settings: Any
) -> None:
    settings.USE_TZ, settings.TIME_ZONE = False, "Europe/Berlin"
    chosen = Moment.objects.filter(at__date=date(2024, 7, 2))
    later = Moment.objects.filter(at__gte=datetime(2024, 10, 27, 2, 15), at__lt=datetime(2025, 1, 1))  # noqa: DTZ001
    assert list(chosen.values_list("pk", flat=True)) == [1]
    columns = ("id", "at", Column("h", ExtractHour("at")), Column("d", TruncDay("at")), Column("same", F("clock")))
    declare("of_a_day", Moment, columns=columns, get_queryset=lambda self, user: chosen)
    declare("of_bounds", Moment, columns=("id",), get_queryset=lambda self, user: later)
    job = finish(owner, resource="of_a_day")
    assert read_object(job).decode().splitlines()[1:] == [
        "1,2024-07-01T22:30:00+00:00,0,2024-07-01T22:00:00+00:00,2024-07-01T22:30:00"
    ]
    assert (job.row_count, job.rows_verified, job.estimated_rows) == (1, True, 1)
    assert lines(owner, "of_bounds") == [str(number) for number in later.order_by("pk").values_list("pk", flat=True)]


def test_a_key_of_moments_goes_on_behind_a_part_in_a_session_of_any_zone(
    owner: User, declare: Declare, abroad: Callable[[str], Any]
) -> None:
    rows = abroad("Africa/Monrovia")
    declare(
        "moments",
        Moment,
        columns=("id",),
        key=("at", "id"),
        get_queryset=lambda self, user: rows(self, user).exclude(at=None),
    )
    plan = make_plan(Request(resource="moments"), owner)
    data, parts = resumed_file_of(plan, chunk_rows=2)
    assert data.split() == [b'"ID"', b"6", b"4", b"7", b"1", b"2", b"3", b"5"]
    assert parts == 4
