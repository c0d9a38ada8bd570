"""Models of no app: their tables exist while a test module needs them."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import models


class Stored(models.Model):
    objects: Any = models.Manager()

    class Meta:
        abstract = True


class Maker(Stored):
    name = models.CharField(max_length=20)
    land = models.CharField(max_length=2)

    class Meta:
        app_label = "queried"


class Label(Stored):
    word = models.CharField(max_length=20)

    class Meta:
        app_label = "queried"


class Item(Stored):
    maker = models.ForeignKey(Maker, models.CASCADE, related_name="+")
    labels = models.ManyToManyField(Label, related_name="+")
    kind = models.CharField(max_length=10)
    day = models.DateField()
    level = models.IntegerField()
    note = models.TextField(null=True)

    class Meta:
        app_label = "queried"
        ordering = ["maker__name", "-day"]


class Part(Item):
    """A child of another model: its primary key is the parent's."""

    weight = models.IntegerField(unique=True)

    class Meta:
        app_label = "queried"
        ordering = ["weight"]


class Place(Stored):
    """A row for each number of each tenant."""

    pk: Any = models.CompositePrimaryKey("tenant", "number")
    tenant = models.IntegerField()
    number = models.IntegerField()
    name = models.CharField(max_length=20)

    class Meta:
        app_label = "queried"


class Visit(Stored):
    """Leads to a place by both fields of its key."""

    tenant = models.IntegerField()
    number = models.IntegerField()
    place = models.ForeignObject(
        Place, models.DO_NOTHING, from_fields=["tenant", "number"], to_fields=["tenant", "number"],
        related_name="+",
    )  # fmt: skip

    class Meta:
        app_label = "queried"


MANAGED = (Maker, Label, Item, Part, Place, Visit)


def make_model(name: str, table: str, /, managed: bool = False, **fields: Any) -> Any:
    """A model of one test, as ``inspectdb`` writes it if not ``managed``."""
    meta = type("Meta", (), {"managed": managed, "db_table": table, "app_label": "queried"})
    made = type(name, (models.Model,), {"__module__": __name__, "Meta": meta, **fields})
    del apps.all_models["queried"][name.lower()]
    return made
