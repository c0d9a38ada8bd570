"""Who is next: what each owner has waiting and running, and the places in which jobs run. Kept by a trigger."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

_ORDER = ["running", "served_at", "owner"]


class ExportTurn(models.Model):
    """One owner's place in the order of turns. Its numbers follow the rows of their jobs, whatever changes those."""

    owner = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="+")
    small = models.BigIntegerField(default=0)
    """Due jobs of the queue of small exports."""
    large = models.BigIntegerField(default=0)
    """Due jobs of the queue of large ones."""
    running = models.BigIntegerField(default=0)
    served_at = models.DateTimeField()
    """When a job of theirs was taken last, or put back; of who never had one, a century before they first asked."""

    class Meta:
        indexes = [
            models.Index(fields=_ORDER, condition=Q(small__gt=0), name="export_turn_small_v1"),
            models.Index(fields=_ORDER, condition=Q(large__gt=0), name="export_turn_large_v1"),
        ]


class ExportSweep(models.Model):
    """Since when sweeps have come by without a gap: while none could, nobody could renew a lease. One row."""

    id = models.PositiveSmallIntegerField(primary_key=True)
    began_at = models.DateTimeField()
    last_at = models.DateTimeField()


class ExportSlot(models.Model):
    """One of the places in which jobs may run at once."""

    number = models.PositiveIntegerField(primary_key=True)
    job_id = models.UUIDField(null=True, unique=True)
    """Who has it; None: it is free."""
