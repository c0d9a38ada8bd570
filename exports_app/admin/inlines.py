"""What belongs to one export, on its page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet, Window
from django.db.models.functions import RowNumber
from django.http import HttpRequest

from exports_app.admin.readonly import ReadOnly
from exports_app.models import ExportEvent, ExportJob, ExportNotification, ExportPart

if TYPE_CHECKING:  # Django's classes are generic in the stubs alone
    JobInline = admin.TabularInline[Any, ExportJob]
else:
    JobInline = admin.TabularInline

SHOWN = 100
"""Parts and events of one export on its page; a large export has thousands of parts."""
_VALUES = "_exports_values_shown"


class LastRows(ReadOnly, JobInline):
    """The newest rows that belong to an export."""

    extra = 0
    can_delete = False
    ordering = ("-pk",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rank = Window(RowNumber(), partition_by="job", order_by="-pk")
        newest: QuerySet[Any] = super().get_queryset(request).annotate(rank=rank)
        return newest.filter(rank__lte=SHOWN)


class PartInline(LastRows):
    model = ExportPart
    verbose_name_plural = f"Parts (the last {SHOWN})"
    fields = ("number", "size", "rows", "crc32", "claim", "last", "stored_at")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("tail")

    def get_fields(self, request: HttpRequest, obj: ExportJob | None = None) -> Any:
        """A checksum of bytes proves a guess at them right."""
        return self.fields if _shows_values(obj) else [each for each in self.fields if each != "crc32"]


class EventInline(LastRows):
    model = ExportEvent
    verbose_name_plural = f"Events (the last {SHOWN})"
    readonly_fields = ("at", "kind", "data", "checked_data")

    def get_fields(self, request: HttpRequest, obj: ExportJob | None = None) -> Any:
        return ("at", "kind", "data" if _shows_values(obj) else "checked_data")

    @admin.display(description="Data")
    def checked_data(self, event: ExportEvent) -> str:
        """Without a checksum of the file."""
        return json.dumps({name: value for name, value in event.data.items() if name != "crc32"})


class NotificationInline(LastRows):
    model = ExportNotification
    ordering = ("-created_at",)
    verbose_name_plural = "Mails and webhooks"
    fields = ("created_at", "channel", "event", "status", "attempts", "response_status", "error", "sent_at")
    readonly_fields = fields


def mark_values(job: ExportJob, shown: bool) -> None:
    """Say on the row that its page is made of whether what belongs to it is shown with its values."""
    setattr(job, _VALUES, shown)


def _shows_values(job: ExportJob | None) -> bool:
    return bool(getattr(job, _VALUES, False))
