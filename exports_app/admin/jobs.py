"""Exports: found, explained, mended."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html

from exports_app import access, acts, errors, progress, services
from exports_app.admin.inlines import EventInline, NotificationInline, PartInline, mark_values
from exports_app.admin.readonly import NOTHING, ReadOnly, plain
from exports_app.models import ExportJob
from exports_app.pipeline import errors as pipeline_errors
from exports_app.pipeline.errors import PipelineError

if TYPE_CHECKING:  # Django's classes are generic in the stubs alone
    JobAdmin = admin.ModelAdmin[ExportJob]
else:
    JobAdmin = admin.ModelAdmin

ADVICE = {error.code: error.advice for error in reversed(pipeline_errors.every())}
"""What an operator can do, by error code; where several errors share a code, the first of them."""

SUMMARY = (
    "id",
    "status",
    "owner",
    "resource",
    "format",
    "compression",
    "created_at",
    "deleted_at",
    "removal",
    "shared_with",
)
PROGRESS = (
    "strategy",
    "estimated_rows",
    "estimate_exact",
    "rows_done",
    "bytes_done",
    "rows_per_second",
    "warnings",
    "snapshots",
    "last_key",
    "started_at",
    "completed_at",
    "expires_at",
)
REQUEST = (
    "columns",
    "filters",
    "ids",
    "row_limit",
    "sheets",
    "tables",
    "parameters",
    "options",
    "context",
    "notify",
    "request_id",
    "idempotency_key",
    "idempotency_hash",
)
FILE = (
    "file_name",
    "file_key",
    "upload_number",
    "upload_id",
    "write_token",
    "row_count",
    "sheet_rows",
    "rows_verified",
    "rows_counted",
    "file_size",
    "crc32",
    "etag",
    "discard_failures",
    "discard_due_at",
)
HOLDER = (
    "queue",
    "worker",
    "claim",
    "failures",
    "crashes",
    "max_attempts",
    "next_attempt_at",
    "outage_since",
    "lease_expires_at",
    "rung_at",
)


class ReasonForm(ActionForm):
    """An action, and why: the owner of the export reads it."""

    reason = forms.CharField(required=False, max_length=acts.MAX_REASON, label="Reason:")


@admin.register(ExportJob)
class ExportJobAdmin(ReadOnly, JobAdmin):
    list_display = (
        "created_at",
        "owner",
        "resource",
        "format",
        "status",
        "error_code",
        "progress",
        "rows",
        "size",
        "trouble",
    )
    list_filter = (
        "status",
        "format",
        "queue",
        "created_at",
        ("deleted_at", admin.EmptyFieldListFilter),
        "error_code",
        "resource",
    )
    list_select_related = ("owner",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("request_id",)
    search_help_text = "ID of an export, request ID, or the owner's name"
    actions = ("cancel", "retry", "delete_file")
    action_form = ReasonForm
    inlines = (EventInline, NotificationInline, PartInline)
    readonly_fields = ("id", "created_at", "advice", "trace")
    fieldsets = (
        (None, {"fields": SUMMARY}),
        ("Why it failed", {"fields": ("error_code", "error_detail", "advice", "trace")}),
        ("How it is going", {"fields": PROGRESS}),
        ("What was asked for", {"fields": REQUEST}),
        ("The file", {"fields": FILE}),
        ("Who has it", {"fields": HOLDER}),
    )

    @admin.display(description="Progress")
    def progress(self, job: ExportJob) -> str:
        percent = progress.of(job, places={}).percent
        return NOTHING if percent is None else f"{int(percent)}%"

    @admin.display(description="Rows", ordering="rows_done")
    def rows(self, job: ExportJob) -> str:
        return f"{job.rows_done if job.row_count is None else job.row_count:,}"

    @admin.display(description="Size", ordering="file_size")
    def size(self, job: ExportJob) -> str:
        return NOTHING if job.file_size is None else filesizeformat(job.file_size)

    @admin.display(description="Failures / crashes", ordering="failures")
    def trouble(self, job: ExportJob) -> str:
        return f"{job.failures} / {job.crashes}" if job.failures or job.crashes else NOTHING

    @admin.display(description="What to do")
    def advice(self, job: ExportJob) -> str:
        return ADVICE.get(job.error_code, NOTHING)

    def get_fieldsets(self, request: HttpRequest, obj: ExportJob | None = None) -> Any:
        """The traceback is for those with a permission of its own."""
        if access.of(request.user).sees_traces:
            return self.fieldsets
        return [
            (name, {"fields": [each for each in shown["fields"] if each != "trace"]}) for name, shown in self.fieldsets
        ]

    @admin.display(description="Traceback")
    def trace(self, job: ExportJob) -> str:
        return format_html("<pre>{}</pre>", job.error_trace) if job.error_trace else NOTHING

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExportJob]:
        allowed = access.of(request.user)
        return super().get_queryset(request) & (plain(allowed.exports()) | plain(allowed.removed()))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> ExportJob | None:
        """As much of it as the operator may see; nothing of it is saved."""
        whole = super().get_object(request, object_id, from_field)
        return None if whole is None else _shown(whole, access.of(request.user))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ExportJob], search_term: str
    ) -> tuple[QuerySet[ExportJob], bool]:
        """Whole values only, each of them by its index."""
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted = Q(request_id=term) | Q(owner__username=term)
        if (job_id := _uuid(term)) is not None:
            wanted |= Q(pk=job_id)
        return queryset.filter(wanted), False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether this operator may change what happens to exports."""
        return access.of(request.user).may_operate

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[ExportJob]) -> None:
        self._each(request, queryset, services.cancel_export, "cancelled")

    @admin.action(description="Retry", permissions=["operate"])
    def retry(self, request: HttpRequest, queryset: QuerySet[ExportJob]) -> None:
        self._each(request, queryset, services.retry_export, "queued again")

    @admin.action(description="Delete file, and hide the export from its owner", permissions=["operate"])
    def delete_file(self, request: HttpRequest, queryset: QuerySet[ExportJob]) -> None:
        self._each(request, queryset, services.delete_export, "deleted")

    def _each(self, request: HttpRequest, jobs: Iterable[ExportJob], service: Callable[..., None], done: str) -> None:
        number, reason = 0, request.POST.get("reason", "")
        with acts.at_once():
            for job in jobs:
                try:
                    service(job, by=request.user, reason=reason)
                    number += 1
                except (errors.ExportError, PipelineError) as error:
                    self.message_user(request, f"Export {job.pk}: {error}", messages.WARNING)
        if number:
            self.message_user(request, f"{number} {'export' if number == 1 else 'exports'} {done}.", messages.SUCCESS)


def _shown(whole: ExportJob, allowed: access.Access) -> ExportJob:
    view = allowed.view(whole)
    shown = copy.copy(view.of(whole))
    mark_values(shown, view.values)
    if not allowed.owns(whole):
        columns, shown.filters = allowed.sight.seen(shown.resource, shown.columns, shown.filters)
        shown.columns = columns or []
    shown.error_trace = whole.error_trace  # for those with a permission of its own
    return shown


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
