"""What heads a column: its label, else the verbose name of the field that it shows, else its name in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import models
from django.db.models import F

from exports_app.resources import Column, Resource
from exports_app.resources.queries import fields_of

TOTAL = F("quantity") * 2


class Sale(models.Model):
    quantity = models.IntegerField(verbose_name="how many")
    total = models.GeneratedField(
        expression=TOTAL, output_field=models.IntegerField(), db_persist=True, verbose_name="total price"
    )
    plain = models.GeneratedField(expression=TOTAL, output_field=models.IntegerField(), db_persist=True)

    class Meta:
        app_label = "queried"
        managed = False


@pytest.mark.parametrize(
    ("column", "header"),
    [
        ("quantity", "How many"),
        ("total", "Total price"),
        ("plain", "Plain"),
        (Column("total", label="Sum"), "Sum"),
        (Column("twice", "total"), "Twice"),
        (Column("net_total", F("total") + 1), "Net total"),
    ],
)
def test_the_header_of_a_column(db: None, column: Any, header: str) -> None:
    resource: Callable[[], Resource] = type("SaleExport", (Resource,), {"model": Sale, "columns": (column,)})
    declared = resource()
    fields = fields_of(declared, User(), declared.get_columns())
    assert [field.label for field in fields] == [header]
    assert [field.kind for field in fields] == ["integer"]
