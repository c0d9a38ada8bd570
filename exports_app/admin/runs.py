"""Figures of finished exports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat

from exports_app import access
from exports_app.admin.readonly import NOTHING, ReadOnly, plain, rounded
from exports_app.models import ExportPerformance

if TYPE_CHECKING:  # Django's classes are generic in the stubs alone
    PerformanceAdmin = admin.ModelAdmin[ExportPerformance]
else:
    PerformanceAdmin = admin.ModelAdmin


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
        return super().get_queryset(request) & plain(access.of(request.user).performance())

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
        return " / ".join(rounded(value) for value in (run.chunk_p50_ms, run.chunk_p95_ms, run.chunk_max_ms))

    @admin.display(description="Peak MB", ordering="peak_memory_mb")
    def memory(self, run: ExportPerformance) -> str:
        return rounded(run.peak_memory_mb)

    @admin.display(description="Rows/s")
    def rows_per_second(self, run: ExportPerformance) -> str:
        return f"{run.rows / run.seconds:,.0f}" if run.seconds else NOTHING
