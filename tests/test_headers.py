"""What heads a column: labels, verbose names, names in words; and which columns there are without any being named."""

from __future__ import annotations

import io
from typing import Any

import openpyxl
import pytest
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.db import models
from django.db.models.expressions import RawSQL
from rest_framework.test import APIClient

from exports_app import errors
from exports_app.resources import Column
from tests.plans import exported, file_of, unmanaged

pytestmark = pytest.mark.django_db(transaction=True)
Priced = unmanaged(
    "texts_priced",
    id=models.AutoField(primary_key=True, verbose_name="ID"),
    qty=models.IntegerField(verbose_name="how many"),
    net_total=models.IntegerField(),
    vat_ID=models.IntegerField(),
    total=models.GeneratedField(
        expression=models.F("qty") * 2,
        output_field=models.IntegerField(verbose_name="not this one"),
        db_persist=True,
        verbose_name="total price",
    ),
    double=models.GeneratedField(
        expression=models.F("qty") * 2, output_field=models.IntegerField(choices=[(6, "six")]), db_persist=True
    ),
    lines=models.IntegerField(verbose_name="two\nlines\u2028and\ta tab\x00"),
    data=models.JSONField(),
)
DDL = """
CREATE TABLE {table} (id int PRIMARY KEY, qty int, net_total int, "vat_ID" int, lines int, data jsonb,
    total int GENERATED ALWAYS AS (qty * 2) STORED, double int GENERATED ALWAYS AS (qty * 2) STORED);
INSERT INTO {table} VALUES (1, 3, 4, 5, 6, '{"city": "Köln", "n": 7, "where": {"x": [1]}, "nothing": null}');
"""
COLUMNS = (
    "id",
    "qty",
    "net_total",
    "vat_ID",
    "total",
    "double",
    "lines",
    Column("data__city"),
    Column("half_OFF", models.F("qty") / 2),
    Column("said", "qty", label="As\r\nsaid"),
)


def test_each_column_is_headed_in_one_way() -> None:
    with exported(Priced, DDL, columns=COLUMNS) as name:
        header, line = file_of(name, options={"choice_labels": True}).decode().splitlines()
    assert header == (
        '"ID",How many,Net total,Vat ID,Total price,Double,Two lines and a tab,Data city,Half OFF,As said'
    )
    assert line == "1,3,4,5,6,six,6,Köln,1,3"


def test_paths_into_documents_are_what_values_gives() -> None:
    paths = ("data__city", "data__n", "data__where", "data__nothing", "data__absent")
    with exported(Priced, DDL, columns=("id", *paths)) as name:
        line = file_of(name, columns=list(paths)).decode().splitlines()[1]
        in_json = file_of(name, columns=list(paths), format="ndjson").decode()
        sheet = openpyxl.load_workbook(io.BytesIO(file_of(name, columns=list(paths), format="xlsx"))).active
        assert sheet is not None
        assert list(Priced._default_manager.values_list(*paths)) == [("Köln", 7, {"x": [1]}, None, None)]
    assert line == 'Köln,7,"{""x"":[1]}",,'
    assert in_json == (
        '{"data__city":"Köln","data__n":7,"data__where":{"x":[1]},"data__nothing":null,"data__absent":null}\n'
    )
    assert [cell.value for cell in sheet[2]] == ["Köln", "7", '{"x":[1]}', None, None]


@pytest.mark.parametrize("label", ["two\nlines", "a\ttab", "\x00", "bell\x07", "\u2028", "a\r"])
def test_a_request_names_no_header_with_control_characters(label: str) -> None:
    with (
        exported(Priced, DDL, columns=COLUMNS) as name,
        pytest.raises(errors.Invalid) as refused,
    ):
        file_of(name, columns=["id", {"name": "qty", "label": label}])
    assert refused.value.errors == {
        "columns": ["The label of qty has a line end, a tab or another control character. Leave it out."]
    }


def test_the_api_refuses_it_as_well(api: APIClient) -> None:
    body = {"resource": "customers", "columns": [{"name": "email", "label": "E\nmail"}]}
    answer = api.post("/api/v1/exports/", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert "email" in answer.json()["errors"]["columns"][0]


# Numbers that the database computes


def test_an_average_has_the_digits_that_the_orm_gives_it() -> None:
    model = unmanaged(
        "texts_averaged",
        id=models.IntegerField(primary_key=True),
        kind=models.IntegerField(),
        n=models.IntegerField(),
        price=models.DecimalField(max_digits=8, decimal_places=2),
    )
    ddl = """CREATE TABLE {table} (id int PRIMARY KEY, kind int, n int, price numeric(8, 2));
             INSERT INTO {table} VALUES (1, 1, 2, 1.50), (2, 1, 3, 2.50), (3, 2, 1, 1.00)"""
    averages = {
        "mean": models.Avg("n"), "price_mean": models.Avg("price"), "total": models.Sum("price"),
        "part": models.Sum("price") / models.Count("n"), "greatest": models.Max("price"),
    }  # fmt: skip

    def get_queryset(self: Any, user: Any) -> Any:
        return model._default_manager.values("kind").annotate(**averages)

    with exported(model, ddl, key=("kind",), columns=("kind", *averages), get_queryset=get_queryset) as name:
        rows = file_of(name).decode().splitlines()[1:]
        in_json = file_of(name, format="ndjson", columns=["mean", "price_mean", "total"]).decode().splitlines()
        by_orm = list(get_queryset(None, None).order_by("kind").values_list("kind", *averages))
    assert rows == ["1,2.5,2,4.00,2,2.50", "2,1,1,1.00,1,1.00"]
    assert in_json[0] == '{"mean":2.5,"price_mean":2,"total":4.00}'
    assert [tuple(map(float, row)) for row in by_orm] == [(1, 2.5, 2, 4, 2, 2.5), (2, 1, 1, 1, 1, 1)]


# Columns of a model


class Place(models.Model):
    place_name = models.TextField()

    class Meta:
        managed = False
        db_table = "texts_place"
        app_label = "tables"


class Bar(Place):
    beers = models.IntegerField()

    class Meta:
        managed = False
        db_table = "texts_bar"
        app_label = "tables"


class Pub(Bar):
    class Meta:
        managed = False
        db_table = "texts_pub"
        app_label = "tables"


def columns_of(model: type[models.Model]) -> list[str]:
    with exported(model, "SELECT 1"):
        from exports_app.resources import registry

        resource = registry.get(model._meta.db_table)
        assert resource is not None
        return [column.name for column in resource().get_columns()]


def test_a_link_to_a_parent_is_no_column_beside_the_parents_key() -> None:
    assert columns_of(Bar) == ["id", "place_name", "beers"]
    assert columns_of(Pub) == ["id", "place_name", "beers"]


def test_a_key_that_is_a_relation_but_no_parent_stays() -> None:
    model = unmanaged(
        "texts_profile", user=models.OneToOneField(User, models.CASCADE, primary_key=True), bio=models.TextField()
    )
    assert columns_of(model) == ["user_id", "bio"]


# RawSQL


def test_raw_sql_without_a_type_is_told_of_at_start_and_before_the_export(api: APIClient) -> None:
    untyped, typed = RawSQL("-qty", ()), RawSQL("-qty", (), output_field=models.IntegerField())
    columns = ("id", Column("a", untyped), Column("b", typed), Column("c", untyped, kind="integer"))
    with exported(Priced, DDL, columns=columns) as name:
        found = [each for each in run_checks(tags=["exports"]) if each.id == "exports.W003"]
        lines = file_of(name).decode().splitlines()
        answer = api.post(f"/api/v1/resources/{name}/estimate/", {})
    assert [each.msg for each in found] == [
        "tests.plans.Exported has the column 'a' of RawSQL without a type: it is text in the file."
    ]
    assert lines[1] == "1,'-3,-3,-3"
    assert "“A” has no declared type, and is written as text: its output_field is missing." in answer.json()["warnings"]
