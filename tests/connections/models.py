"""Tables that tests make where they need them: in a schema, in another database, under a policy."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models


class Order(models.Model):
    name = models.TextField()

    objects: ClassVar[models.Manager[Any]] = models.Manager()

    class Meta:
        app_label = "connections"
        managed = False
        db_table = "conn_orders"


class Line(models.Model):
    order = models.ForeignKey(Order, models.DO_NOTHING, related_name="lines")
    article = models.TextField()

    objects: ClassVar[models.Manager[Any]] = models.Manager()

    class Meta:
        app_label = "connections"
        managed = False
        db_table = "conn_lines"


class Thing(models.Model):
    data = models.JSONField(null=True)
    raw = models.BinaryField(null=True)

    objects: ClassVar[models.Manager[Any]] = models.Manager()

    class Meta:
        app_label = "connections"
        managed = False
        db_table = "conn_things"
