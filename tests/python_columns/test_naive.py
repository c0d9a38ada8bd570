"""Moments without a time zone beside columns that Python computes: each format has the clock as it is."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from pyarrow import parquet

from exports_app.resources import Column
from tests.python_columns.conftest import file_of, plan_of

pytestmark = pytest.mark.django_db


class Shift(models.Model):
    """Of an older system, whose moments are those of a clock on a wall."""

    objects: Any = models.Manager()
    begins = models.DateTimeField(null=True)
    breaks = ArrayField(models.DateTimeField())
    noted = models.DateTimeField()

    class Meta:
        app_label = "naive"
        managed = False
        db_table = "naive_shifts"


TABLE = """
CREATE TABLE naive_shifts (id int PRIMARY KEY, begins timestamp, breaks timestamp[], noted timestamptz);
INSERT INTO naive_shifts VALUES
(1, '2024-07-01 06:30', '{2024-07-01 08:00, NULL}', '2024-07-01 12:00+02'), (2, NULL, '{}', '2024-01-01 00:00+00')
"""


@pytest.fixture(scope="module", autouse=True)
def shifts(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(TABLE)
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("DROP TABLE naive_shifts")


@pytest.fixture
def file(declare: Callable[..., Any]) -> Callable[..., bytes]:
    """A file of the shifts in a format, in the time of Berlin."""
    columns = (Column("told", python=lambda shift: f"shift {shift.pk}"), "begins", "breaks", "noted")
    declare("shifts", model=Shift, columns=columns)
    return lambda format_: file_of(plan_of("shifts", format_, options={"timezone": "Europe/Berlin"}))


def clock(*parts: int) -> datetime:
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - a clock on a wall


def test_csv(file: Callable[..., bytes]) -> None:
    assert list(csv.reader(io.StringIO(file("csv").decode())))[1:] == [
        ["shift 1", "2024-07-01T06:30:00", '["2024-07-01T08:00:00",null]', "2024-07-01T12:00:00+02:00"],
        ["shift 2", "", "[]", "2024-01-01T01:00:00+01:00"],
    ]


@pytest.mark.parametrize("format_", ["json", "ndjson"])
def test_json(file: Callable[..., bytes], format_: str) -> None:
    text = file(format_).decode()
    assert (json.loads(text) if format_ == "json" else [json.loads(line) for line in text.splitlines()]) == [
        {
            "told": "shift 1",
            "begins": "2024-07-01T06:30:00",
            "breaks": ["2024-07-01T08:00:00", None],
            "noted": "2024-07-01T12:00:00+02:00",
        },
        {"told": "shift 2", "begins": None, "breaks": [], "noted": "2024-01-01T01:00:00+01:00"},
    ]


def test_xlsx(file: Callable[..., bytes]) -> None:
    assert list(openpyxl.load_workbook(io.BytesIO(file("xlsx"))).active.values)[1:] == [
        ("shift 1", clock(2024, 7, 1, 6, 30), '["2024-07-01T08:00:00",null]', clock(2024, 7, 1, 12)),
        ("shift 2", None, "[]", clock(2024, 1, 1, 1)),
    ]


def test_parquet(file: Callable[..., bytes]) -> None:
    table = parquet.read_table(io.BytesIO(file("parquet")))
    assert table.schema.types == [
        pa.string(),
        pa.timestamp("us"),
        pa.list_(pa.timestamp("us")),
        pa.timestamp("us", tz="Europe/Berlin"),
    ]
    assert table.to_pylist() == [
        {
            "told": "shift 1",
            "begins": clock(2024, 7, 1, 6, 30),
            "breaks": [clock(2024, 7, 1, 8), None],
            "noted": datetime(2024, 7, 1, 12, tzinfo=timezone(timedelta(hours=2))),
        },
        {"told": "shift 2", "begins": None, "breaks": [], "noted": datetime(2024, 1, 1, tzinfo=UTC)},
    ]


@pytest.mark.parametrize("format_", ["csv", "ndjson", "xlsx", "parquet"])
def test_a_file_without_computed_columns_has_the_same(
    file: Callable[..., bytes], declare: Callable[..., Any], format_: str
) -> None:
    """Whoever renders the rows, Python or PostgreSQL."""
    declare("plain", model=Shift, columns=(Column("told", models.F("id")), "begins", "breaks", "noted"))
    plan = plan_of("plain", format_, options={"timezone": "Europe/Berlin"})
    assert plan.tables[0].finish is None
    assert shown(format_, file_of(plan)) == shown(format_, file(format_))


def shown(format_: str, data: bytes) -> Any:
    """The rows without their first cell, which Python computes in one of the files."""
    if format_ == "xlsx":
        return [row[1:] for row in openpyxl.load_workbook(io.BytesIO(data)).active.values]
    if format_ == "parquet":
        return parquet.read_table(io.BytesIO(data)).drop_columns("told")
    return [line.split(b",", 1)[1] for line in data.splitlines()]
