"""What happened, and with whom: entries of histories, persons behind them, figures of finished exports."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from exports_app.choices import EventKind, Strategy
from exports_app.models.jobs import ExportJob


class ExportEvent(models.Model):
    """Something that happened to a job and must last."""

    job = models.ForeignKey(ExportJob, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=12, choices=EventKind.choices)
    at = models.DateTimeField(db_default=Now(), editable=False)
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["job", "id"], name="export_event_job_v1"),
            models.Index(
                fields=["at"], condition=Q(kind=EventKind.QUEUED, data__again=True), name="export_event_again_v1"
            ),
            models.Index(
                fields=["id"],
                condition=Q(kind=EventKind.DOWNLOADED, data__has_key="by"),
                name="export_event_named_v1",
            ),
        ]


class ExportPerson(models.Model):
    """Who stands behind the pseudonym of an entry of a history, and where they came from; goes with the user."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=254)
    address = models.CharField(max_length=45, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="export_person_age_v1")]

    def __str__(self) -> str:
        return self.name


class ExportShare(models.Model):
    """A name that somebody shared something with, or tried to: counted for an hour, then removed."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=254)
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [models.Index(fields=["user", "at"], name="export_share_lately_v1")]


class ExportPerformance(models.Model):
    """How fast a finished export was; kept after the job, pruned after its own time."""

    job = models.ForeignKey(ExportJob, on_delete=models.SET_NULL, null=True, related_name="performance")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    resource = models.CharField(max_length=100)
    format = models.CharField(max_length=20)
    strategy = models.CharField(max_length=10, choices=Strategy.choices)
    rows = models.PositiveBigIntegerField()
    bytes = models.PositiveBigIntegerField()
    seconds = models.FloatField()
    chunk_p50_ms = models.FloatField(null=True)
    chunk_p95_ms = models.FloatField(null=True)
    chunk_max_ms = models.FloatField(null=True)
    peak_memory_mb = models.FloatField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["owner", "-created_at"], name="export_perf_owner_v1"),
            models.Index(fields=["created_at"], name="export_perf_age_v1"),
        ]


class ExportCounter(models.Model):
    """A number that only grows, for ``/metrics``: kept here since web and workers are many processes."""

    name = models.CharField(max_length=60)
    labels = models.CharField(max_length=300)
    """JSON object, keys sorted."""
    value = models.FloatField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "labels"], name="export_counter_series")]
