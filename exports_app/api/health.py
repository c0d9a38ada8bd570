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

from exports_app import access, clock, conf, errors, metrics, removals, upgrades
from exports_app.api import readiness
from exports_app.api.answers import HealthSerializer, ReadinessSerializer
from exports_app.api.negotiation import AnyAccept
from exports_app.api.permissions import BearerAuthentication
from exports_app.api.schema import refusals
from exports_app.choices import ACTIVE, Status
from exports_app.models import ExportJob, ExportPerformance

SCRAPER = "metrics token"
"""What ``request.auth`` is for who has the token of ``/metrics``."""


def sees_figures(request: Request) -> bool:
    """Whether more is told than that the site lives: to operators, and to who has the token of ``/metrics``."""
    if request.auth == SCRAPER:
        return True
    allowed = access.of(request.user)
    return allowed.is_operator and not allowed.permit.resources  # they are of all data


class OpenView(APIView):
    """For everybody; who is known to operate is told more."""

    permission_classes = (AllowAny,)
    content_negotiation_class = AnyAccept

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Named late: they stand below."""
        return [MetricsToken(), BearerAuthentication(), SessionAuthentication()]


class HealthView(OpenView):
    """Whether the site lives; to operators also what its exports do. 503 where the database does not answer."""

    @extend_schema(operation_id="health", tags=["health"], responses={200: HealthSerializer})
    def get(self, request: Request) -> Response:
        try:
            return Response({"status": "ok", **(_figures() if sees_figures(request) else _alive())})
        except DatabaseError as error:
            away = errors.Unavailable("The database does not answer.", retry_after=errors.DATABASE_RETRY_SECONDS)
            raise upgrades.explain(error) or away from error


def _alive() -> dict[str, Any]:
    ExportJob.objects.order_by().values("pk").first()
    return {}


def _figures() -> dict[str, Any]:
    """What waits and runs now, and what ended since midnight UTC."""
    since = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    ended = ExportJob.objects.order_by().filter(completed_at__gte=since)
    active = ExportJob.objects.order_by().filter(status__in=ACTIVE)
    now = active.aggregate(
        queued=Count("pk", filter=Q(status=Status.QUEUED)), running=Count("pk", filter=Q(status=Status.RUNNING))
    )
    today = ended.aggregate(
        processed=Count("pk", filter=Q(status__in=(Status.COMPLETED, Status.EXPIRED))),
        failed=Count("pk", filter=Q(status=Status.FAILED)),
        retried=Count("pk", filter=Q(failures__gt=0)),
    )
    seconds = ExportPerformance.objects.filter(created_at__gte=since).aggregate(mean=Avg("seconds"))["mean"]
    mean = round(seconds * 1000, 1) if seconds is not None else None
    figures = {**now, **today, "avg_duration_ms": mean, "since": since.isoformat()}
    return {**figures, "refused_removals": removals.refused()}


class ReadyView(OpenView):
    """Whether database, source, Redis, S3 and workers answer, within two seconds; which of them, to operators alone.

    503 without database or storage; without the others exports are accepted and wait: `degraded`.
    """

    @extend_schema(
        operation_id="health_ready", tags=["health"], responses={200: ReadinessSerializer, 503: ReadinessSerializer}
    )
    def get(self, request: Request) -> Response:
        found = readiness.look()
        told = found if _may_know(request) else {"status", "detail"}
        body = {name: value for name, value in found.items() if name in told}
        if found["status"] == "unavailable":
            return Response(body, status=503, headers={"Retry-After": "5"})
        return Response(body)

    def perform_authentication(self, request: Request) -> None:
        """Later: a database that is away must not hold up the answer that it is."""


def _may_know(request: Request) -> bool:
    try:
        return sees_figures(request)
    except DatabaseError:
        return False


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
        if sees_figures(request):
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
