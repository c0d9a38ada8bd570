"""``exports/performance/``: how fast recent exports were."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from exports_app import access
from exports_app.api.answers import Answer, PageSerializer
from exports_app.api.lists import PAGE_PARAMETERS, answer_page
from exports_app.api.schema import refusals
from exports_app.api.serializers import iso
from exports_app.choices import Strategy
from exports_app.models import ExportPerformance


class PerformanceSerializer(Answer):
    """What one run wrote, and how long it took; an export of several runs has several."""

    job = serializers.UUIDField(allow_null=True, help_text="null once the export is pruned.")
    owner = serializers.CharField()
    resource = serializers.CharField()
    format = serializers.CharField()
    strategy = serializers.ChoiceField(choices=Strategy.choices)
    rows = serializers.IntegerField(min_value=0)
    bytes = serializers.IntegerField(min_value=0)
    seconds = serializers.FloatField(min_value=0)
    rows_per_second = serializers.IntegerField(min_value=0, allow_null=True)
    chunk_p50_ms = serializers.FloatField(allow_null=True)
    chunk_p95_ms = serializers.FloatField(allow_null=True)
    chunk_max_ms = serializers.FloatField(allow_null=True)
    peak_memory_mb = serializers.FloatField(allow_null=True)
    created_at = serializers.DateTimeField()


class PerformancePageSerializer(PageSerializer):
    results = PerformanceSerializer(many=True)


class PerformanceView(APIView):
    """Recent runs that ended with a file, newest first: mine; everybody's for operators."""

    @extend_schema(
        operation_id="exports_performance",
        parameters=PAGE_PARAMETERS,
        responses={200: PerformancePageSerializer, **refusals(400)},
    )
    def get(self, request: Request) -> Response:
        return answer_page(self, request, access.of(request.user).performance(), performance_json)


def performance_json(run: ExportPerformance) -> dict[str, Any]:
    """One run as the API shows it."""
    return {
        "job": str(run.job_id) if run.job_id else None,
        "owner": run.owner.get_username(),
        "resource": run.resource,
        "format": run.format,
        "strategy": run.strategy,
        "rows": run.rows,
        "bytes": run.bytes,
        "seconds": run.seconds,
        "rows_per_second": round(run.rows / run.seconds) if run.seconds else None,
        "chunk_p50_ms": run.chunk_p50_ms,
        "chunk_p95_ms": run.chunk_p95_ms,
        "chunk_max_ms": run.chunk_max_ms,
        "peak_memory_mb": run.peak_memory_mb,
        "created_at": iso(run.created_at),
    }
