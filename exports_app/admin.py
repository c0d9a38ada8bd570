"""Exports as operators see them. Rows are read only; what can be done goes through the services."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename, get_user_model
from django.db.models import Model, Q, QuerySet, Window
from django.db.models.functions import RowNumber
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html

from exports_app import access, errors, keys, progress, services
from exports_app.models import ApiKey, ExportEvent, ExportJob, ExportNotification, ExportPart, ExportPerformance
from exports_app.pipeline import errors as pipeline_errors
from exports_app.pipeline.errors import PipelineError

if TYPE_CHECKING:  # Django's classes are generic in the stubs alone
    JobAdmin = admin.ModelAdmin[ExportJob]
    JobInline = admin.TabularInline[Any, ExportJob]
    PerformanceAdmin = admin.ModelAdmin[ExportPerformance]
    KeyAdmin = admin.ModelAdmin[ApiKey]
else:
    JobAdmin = PerformanceAdmin = KeyAdmin = admin.ModelAdmin
    JobInline = admin.TabularInline

SHOWN = 100
"""Parts and events of one export on its page; a large export has thousands of parts."""
NOTHING = "-"
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


class Unchangeable:
    """To look at and to delete. Who may is Django's ``view`` and ``delete`` permission."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """By that permission alone: where nothing can be changed, ``change`` opens nothing."""
        options: Any = self.opts  # type: ignore[attr-defined]  # of the admin class beside this one
        codename = get_permission_codename("view", options)
        return bool(request.user.has_perm(f"{options.app_label}.{codename}"))


class ReadOnly(Unchangeable):
    """To look at alone, for operators."""

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return access.of(request.user).is_operator

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Not by themselves; but with their user, where that page asks."""
        match = request.resolver_match
        return match is not None and not str(match.url_name).startswith(ExportJob._meta.app_label)


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


class EventInline(LastRows):
    model = ExportEvent
    verbose_name_plural = f"Events (the last {SHOWN})"
    fields = ("at", "kind", "data")
    readonly_fields = fields


class NotificationInline(LastRows):
    model = ExportNotification
    ordering = ("-created_at",)
    verbose_name_plural = "Mails and webhooks"
    fields = ("created_at", "channel", "event", "status", "attempts", "response_status", "error", "sent_at")
    readonly_fields = fields


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
        return super().get_queryset(request) & (_plain(allowed.exports()) | _plain(allowed.removed()))

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
        number = 0
        for job in jobs:
            try:
                service(job, by=request.user)
                number += 1
            except (errors.ExportError, PipelineError) as error:
                self.message_user(request, f"Export {job.pk}: {error}", messages.WARNING)
        if number:
            self.message_user(request, f"{number} {'export' if number == 1 else 'exports'} {done}.", messages.SUCCESS)


@admin.register(ExportPerformance)
class ExportPerformanceAdmin(ReadOnly, PerformanceAdmin):
    list_display = (
        "created_at",
        "owner",
        "resource",
        "format",
        "strategy",
        "rows_written",
        "size",
        "took",
        "rows_per_second",
        "chunks",
        "memory",
    )
    list_filter = ("format", "strategy", "created_at", "resource")
    list_select_related = ("owner",)
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExportPerformance]:
        return super().get_queryset(request) & _plain(access.of(request.user).performance())

    @admin.display(description="Rows", ordering="rows")
    def rows_written(self, run: ExportPerformance) -> str:
        return f"{run.rows:,}"

    @admin.display(description="Seconds", ordering="seconds")
    def took(self, run: ExportPerformance) -> str:
        return f"{run.seconds:,.2f}"

    @admin.display(description="Size", ordering="bytes")
    def size(self, run: ExportPerformance) -> str:
        return filesizeformat(run.bytes)

    @admin.display(description="Chunk ms: p50 / p95 / max")
    def chunks(self, run: ExportPerformance) -> str:
        return " / ".join(_rounded(value) for value in (run.chunk_p50_ms, run.chunk_p95_ms, run.chunk_max_ms))

    @admin.display(description="Peak MB", ordering="peak_memory_mb")
    def memory(self, run: ExportPerformance) -> str:
        return _rounded(run.peak_memory_mb)

    @admin.display(description="Rows/s")
    def rows_per_second(self, run: ExportPerformance) -> str:
        return f"{run.rows / run.seconds:,.0f}" if run.seconds else NOTHING


@admin.register(ApiKey)
class ApiKeyAdmin(Unchangeable, KeyAdmin):
    """Keys can be revoked here; they are made where they can be shown once."""

    list_display = (
        "prefix",
        "name",
        "user",
        "may",
        "data",
        "created_at",
        "expires_at",
        "last_used_at",
        "last_used_from",
        "id",
    )
    list_display_links = None
    list_filter = ("created_at", "expires_at", "last_used_at")
    list_select_related = ("user",)
    search_help_text = "Name of a key or of its user"

    @admin.display(description="Scopes")
    def may(self, key: ApiKey) -> str:
        return keys.in_words(key.scopes)

    @admin.display(description="Data")
    def data(self, key: ApiKey) -> str:
        return ", ".join(key.resources) or "All"

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return ("name", f"user__{get_user_model().USERNAME_FIELD}")

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Revoking is deleting, under its own name."""
        actions: dict[str, Any] = super().get_actions(request)
        if delete := actions.get("delete_selected"):
            actions["delete_selected"] = (*delete[:2], "Revoke selected API keys")
        return actions

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """The list, but no page of one key: that would show its digest."""
        return obj is None and super().has_view_permission(request)


def _plain(rows: QuerySet[Any]) -> QuerySet[Any]:
    """The same rows as a query that others combine with, however a project's ``Access`` finds them."""
    found: QuerySet[Any] = rows
    if rows.query.distinct or rows.query.combinator:
        found = rows.model._default_manager.filter(pk__in=rows.values("pk"))
    return found


def _rounded(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f}"


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
