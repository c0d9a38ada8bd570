"""The table as Django peers see it."""

from __future__ import annotations

from django.db import models


class Bench(models.Model):
    id = models.IntegerField(primary_key=True)
    code = models.UUIDField()
    name = models.TextField()
    merchant = models.TextField()
    note = models.TextField()
    amount = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    fee = models.DecimalField(max_digits=16, decimal_places=4)
    booked_at = models.DateTimeField()
    day = models.DateField()
    active = models.BooleanField()
    score = models.IntegerField()
    total = models.IntegerField()

    class Meta:
        app_label = "benchmarks"
        managed = False
        db_table = "bench"
