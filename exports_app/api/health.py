"""Is it alive, and what is it doing."""

from __future__ import annotations

from django.db import DatabaseError
from django.db.models import Avg, Count, Q
from django.http import HttpRequest, JsonResponse

from exports_app.choices import Status
from exports_app.models import ExportJob, ExportPerformance


def health(request: HttpRequest) -> JsonResponse:
    """200 with figures; 503 where the database does not answer."""
    try:
        jobs = ExportJob.objects.order_by().aggregate(
            queued=Count("pk", filter=Q(status=Status.QUEUED)),
            running=Count("pk", filter=Q(status=Status.RUNNING)),
            processed=Count("pk", filter=Q(status__in=(Status.COMPLETED, Status.EXPIRED))),
            failed=Count("pk", filter=Q(status=Status.FAILED)),
            retried=Count("pk", filter=Q(failures__gt=0)),
        )
        seconds = ExportPerformance.objects.aggregate(mean=Avg("seconds"))["mean"]
    except DatabaseError:
        body = {"status": "unavailable", "code": "unavailable", "detail": "The database does not answer."}
        return JsonResponse(body, status=503, headers={"Retry-After": "5"})
    duration = round(seconds * 1000, 1) if seconds is not None else None
    return JsonResponse({"status": "ok", **jobs, "avg_duration_ms": duration})
