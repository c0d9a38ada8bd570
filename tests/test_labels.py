"""Labels of choices: those that ``get_FOO_display`` gives, found by the value."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

import openpyxl
import pytest
from django.contrib.postgres.fields import ArrayField
from django.db import models
from pyarrow import parquet

from tests.plans import exported, file_of, unmanaged

pytestmark = pytest.mark.django_db(transaction=True)
LABELS = {"choice_labels": True}


class Suit(models.IntegerChoices):
    DIAMOND = 1, "Diamond"
    SPADE = 2, "Spade"


class Colour(StrEnum):
    RED = "r"
    BLUE = "b"


def sizes() -> list[tuple[str, Any]]:
    return [("Small", [("s", "S"), ("xs", "XS")]), ("m", "Medium"), ("", "Any size")]


UID = uuid.UUID("c9bf9e57-1685-4c89-bafb-ff5af830be8a")
Many = unmanaged(
    "texts_labels",
    id=models.IntegerField(primary_key=True),
    vat=models.DecimalField(
        max_digits=4, decimal_places=2, null=True, choices=[(Decimal("0.2"), "full"), (Decimal("0.05"), "reduced")]
    ),
    weight=models.FloatField(null=True, choices=[(1.0, "one"), (0.1, "tenth"), (0, "none")]),
    every=models.DurationField(null=True, choices=[(timedelta(days=1), "daily"), (timedelta(hours=1.5), "often")]),
    paid=models.BooleanField(null=True, choices=[(True, "Yes"), (False, "No"), (None, "Unknown")]),
    day=models.DateField(null=True, choices=[(date(2024, 2, 29), "leap day")]),
    at=models.DateTimeField(null=True, choices=[(datetime(2024, 1, 31, 12, tzinfo=UTC), "noon")]),
    clock=models.TimeField(null=True, choices=[(time(8, 30), "early")]),
    uid=models.UUIDField(null=True, choices=[(UID, "the one")]),
    suit=models.IntegerField(null=True, choices=Suit),
    colour=models.CharField(max_length=1, null=True, choices=[(each, each.name.title()) for each in Colour]),
    size=models.CharField(max_length=2, null=True, choices=sizes),
    odd=models.IntegerField(null=True, choices=[("1", "text, which no number equals"), (True, "one")]),
)
DDL = """
CREATE TABLE {table} (id int PRIMARY KEY, vat numeric(4, 2), weight float8, every interval, paid boolean, day date,
    at timestamptz, clock time, uid uuid, suit int, colour text, size text, odd int);
INSERT INTO {table} VALUES
    (1, 0.2, 1, '1 day', true, '2024-02-29', '2024-01-31 13:00+01', '08:30', 'c9bf9e57-1685-4c89-bafb-ff5af830be8a',
     1, 'r', 'xs', 1),
    (2, 0.05, 0.1, '24:00', false, '2024-02-28', '2024-01-31 12:00:00.5+00', '08:30:00.5', gen_random_uuid(),
     2, 'b', 'm', 2),
    (3, 0.25, '-0', '01:30', NULL, NULL, NULL, NULL, NULL, 3, 'x', '', NULL),
    (4, NULL, 0.10000001, '00:00:01', true, NULL, NULL, NULL, NULL, NULL, NULL, NULL, -1);
UPDATE {table} SET uid = '00000000-0000-0000-0000-000000000001' WHERE id = 2;
"""
SHOWN = [
    ["1", "full", "one", "daily", "Yes", "leap day", "noon", "early", "the one", "Diamond", "Red", "XS", "one"],
    ["2", "reduced", "tenth", "daily", "No", "2024-02-28", "2024-01-31T12:00:00.5+00:00", "08:30:00.5",
     "00000000-0000-0000-0000-000000000001", "Spade", "Blue", "Medium", "2"],
    ["3", "0.25", "none", "often", "Unknown", "", "", "", "", "3", "x", "Any size", ""],
    ["4", "", "0.10000001", "1", "Yes", "", "", "", "", "", "", "", "-1"],
]  # fmt: skip


@pytest.fixture
def many() -> Iterator[str]:
    with exported(Many, DDL) as name:
        yield name


def test_a_label_is_found_by_the_value_whatever_it_is_printed_as(many: str) -> None:
    rows = list(csv.reader(io.StringIO(file_of(many, options=LABELS).decode())))
    assert rows[1:] == SHOWN


def test_what_has_a_label_has_that_of_django_itself(many: str) -> None:
    fields = [field for field in Many._meta.fields if field.choices]
    columns = ["id", *(field.name for field in fields)]
    rows = list(csv.DictReader(io.StringIO(file_of(many, options=LABELS, columns=columns).decode())))
    for row, stored in zip(rows, Many._default_manager.order_by("pk"), strict=True):
        for shown, field in zip(list(row.values())[1:], fields, strict=True):
            if getattr(stored, field.name) in dict(field.flatchoices):
                assert shown == getattr(stored, f"get_{field.name}_display")()


def test_json_and_xlsx_and_parquet_have_the_same_labels(many: str) -> None:
    texts = [[cell or None for cell in row[1:]] for row in SHOWN]
    in_json = [list(row.values())[1:] for row in json.loads(file_of(many, format="json", options=LABELS))]
    assert in_json == texts
    sheet = openpyxl.load_workbook(io.BytesIO(file_of(many, format="xlsx", options=LABELS))).active
    assert sheet is not None
    assert [list(row)[1:] for row in sheet.iter_rows(min_row=2, values_only=True)] == texts
    table = parquet.read_table(io.BytesIO(file_of(many, format="parquet", options=LABELS)))
    assert [list(row.values())[1:] for row in table.to_pylist()] == texts


def test_without_labels_a_choice_is_its_stored_value_in_the_form_of_its_kind(many: str) -> None:
    line = file_of(many).decode().splitlines()[1]
    assert line == (
        "1,0.20,1,86400,true,2024-02-29,2024-01-31T12:00:00+00:00,08:30:00,c9bf9e57-1685-4c89-bafb-ff5af830be8a,"
        "1,r,xs,1"
    )


Arrays = unmanaged(
    "texts_label_arrays",
    id=models.IntegerField(primary_key=True),
    langs=ArrayField(models.CharField(max_length=2, choices=[("de", "German"), ("fr", "French")])),
    steps=ArrayField(models.IntegerField(choices=[(1, "first"), (2, "second")])),
    grid=ArrayField(ArrayField(models.DecimalField(max_digits=3, decimal_places=1, choices=[(Decimal(1), "I")]))),
)
GERMAN = ["German", "French", "xx", None]
ARRAYS_DDL = """
CREATE TABLE {table} (id int PRIMARY KEY, langs text[], steps int[], grid numeric(3, 1)[]);
INSERT INTO {table} VALUES (1, '{de,fr,xx,NULL}', '{1,3}', '{{1.0,2.0},{NULL,1.0}}'), (2, NULL, '{}', '{}');
"""


def test_elements_of_arrays_have_labels() -> None:
    with exported(Arrays, ARRAYS_DDL) as name:
        rows = json.loads(file_of(name, format="json", options=LABELS))
        plain = json.loads(file_of(name, format="json"))
        table = parquet.read_table(io.BytesIO(file_of(name, format="parquet", options=LABELS)))
        typed = parquet.read_table(io.BytesIO(file_of(name, format="parquet")))
        line = file_of(name, options=LABELS, columns=["langs", "steps"]).decode().splitlines()[1]
    assert rows == [
        {
            "id": 1,
            "langs": ["German", "French", "xx", None],
            "steps": ["first", "3"],
            "grid": [["I", "2.0"], [None, "I"]],
        },
        {"id": 2, "langs": None, "steps": [], "grid": []},
    ]
    assert plain[0] == {"id": 1, "langs": ["de", "fr", "xx", None], "steps": [1, 3], "grid": [[1.0, 2.0], [None, 1.0]]}
    assert line == '"[""German"",""French"",""xx"",null]","[""first"",""3""]"'
    assert table["langs"].to_pylist() == [GERMAN, None]
    assert table["steps"].to_pylist() == [["first", "3"], []]
    assert typed["steps"].to_pylist() == [[1, 3], []]


@pytest.mark.parametrize("count", [3, 30], ids=["few choices", "many"])
def test_the_number_of_choices_makes_no_difference(count: int) -> None:
    rates = [(Decimal(n) / 100, f"{n} per cent") for n in range(1, count + 1)]
    name = f"texts_rates_{count}"
    model = unmanaged(
        name,
        id=models.IntegerField(primary_key=True),
        rate=models.DecimalField(max_digits=6, decimal_places=4, choices=rates),
    )
    ddl = "CREATE TABLE {table} (id int PRIMARY KEY, rate numeric(6, 4)); INSERT INTO {table} VALUES (1, 0.03), (2, 9)"
    with exported(model, ddl):
        assert file_of(name, options=LABELS) == b"Id,Rate\n1,3 per cent\n2,9.0000\n"
