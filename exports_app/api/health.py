"""Is it alive, can it work, and what is it doing: for load balancers, monitoring and operators."""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError
from django.db.models import Avg, Count, Q
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from exports_app import access, conf, errors, metrics
from exports_app.api import readiness
from exports_app.api.answers import HealthSerializer, ReadinessSerializer
from exports_app.api.negotiation import AnyAccept
from exports_app.api.permissions import BearerAuthentication
from exports_app.api.schema import refusals
from exports_app.choices import Status
from exports_app.models import ExportJob, ExportPerformance

SCRAPER = "metrics token"
"""What ``request.auth`` is for who has the token of ``/metrics``."""


class HealthView(APIView):
    """Whether the site lives, and figures of its exports. 503 where the database does not answer."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    content_negotiation_class = AnyAccept

    @extend_schema(operation_id="health", tags=["health"], responses={200: HealthSerializer})
    def get(self, request: Request) -> Response:
        try:
            return Response({"status": "ok", **_figures()})
        except DatabaseError as error:  # also one whose tables are not there yet
            raise errors.Unavailable(
                "The database does not answer.", retry_after=errors.DATABASE_RETRY_SECONDS
            ) from error


def _figures() -> dict[str, Any]:
    jobs = ExportJob.objects.order_by().aggregate(
        queued=Count("pk", filter=Q(status=Status.QUEUED)),
        running=Count("pk", filter=Q(status=Status.RUNNING)),
        processed=Count("pk", filter=Q(status__in=(Status.COMPLETED, Status.EXPIRED))),
        failed=Count("pk", filter=Q(status=Status.FAILED)),
        retried=Count("pk", filter=Q(failures__gt=0)),
    )
    seconds = ExportPerformance.objects.aggregate(mean=Avg("seconds"))["mean"]
    return {**jobs, "avg_duration_ms": round(seconds * 1000, 1) if seconds is not None else None}


class ReadyView(APIView):
    """Whether database, Redis, S3 and workers answer, within two seconds.

    503 without database or storage; without Redis or workers exports are accepted and wait: `degraded`.
    """

    authentication_classes = ()
    permission_classes = (AllowAny,)
    content_negotiation_class = AnyAccept

    @extend_schema(
        operation_id="health_ready", tags=["health"], responses={200: ReadinessSerializer, 503: ReadinessSerializer}
    )
    def get(self, request: Request) -> Response:
        body = readiness.look()
        if body["status"] == "unavailable":
            return Response(body, status=503, headers={"Retry-After": "5"})
        return Response(body)


class MetricsToken(BaseAuthentication):
    """``Authorization: Bearer`` with ``EXPORTS_METRICS_TOKEN``, as Prometheus sends it."""

    def authenticate(self, request: Request) -> Any:
        words = get_authorization_header(request).split()
        known = conf.settings.METRICS_TOKEN.encode()
        if known and len(words) == 2 and words[0].lower() == b"bearer" and secrets.compare_digest(words[1], known):
            return AnonymousUser(), SCRAPER
        return None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class MayReadMetrics(BasePermission):
    """Who has the token, and operators; at a desk without a token, everybody."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.auth == SCRAPER or access.of(request.user).is_operator:
            return True
        return settings.DEBUG and not conf.settings.METRICS_TOKEN


class MetricsView(APIView):
    """Prometheus' figures."""

    authentication_classes = (MetricsToken, BearerAuthentication, SessionAuthentication)
    permission_classes = (MayReadMetrics,)
    content_negotiation_class = AnyAccept

    @extend_schema(operation_id="metrics", tags=["health"], responses={(200, "text/plain"): str, **refusals(403)})
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(metrics.page(), content_type=CONTENT_TYPE_PLAIN_1_0_0)
