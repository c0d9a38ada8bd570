"""The endpoints: shape in, service, shape out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import django_filters as df
from django.db.models import QuerySet
from django.http import HttpRequest, JsonResponse, QueryDict
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from exports_app import access, errors, keys, plan, request_id, services
from exports_app.access import Access
from exports_app.api.answers import (
    AcceptedJobSerializer,
    GoneJobSerializer,
    JobPageSerializer,
    JobSerializer,
    ResourceSerializer,
    StatusSerializer,
)
from exports_app.api.lists import PAGE_PARAMETERS, Pages, unknown_names
from exports_app.api.schema import IDEMPOTENCY_KEY, LOCATION, refusals
from exports_app.api.serializers import (
    ExportRequestSerializer,
    ReasonSerializer,
    iso,
    job_json,
    jobs_json,
    resource_json,
    status_json,
)
from exports_app.choices import Status
from exports_app.models import ExportJob
from exports_app.pipeline.formats import FORMATS
from exports_app.resources import faults, registry
from exports_app.resources.base import Resource, may_export
from exports_app.resources.spelling import spelled
from exports_app.resources.values import value_problem
from exports_app.sharing import leave_export

MAX_KEY = 200
NO_RESOURCE = "There is no such data, or you may not export it."
ACCEPTED = "The export was accepted. GET links.self says how far it is, and where the file is once it is completed."

MOMENTS = ("created_after", "created_before")
HELD = ("resource", "request_id")
"""Query parameters that ask for what is shown with the contents of an export alone."""


class ExportFilter(df.FilterSet):
    """Query parameters of the list of exports."""

    status = df.MultipleChoiceFilter(choices=Status.choices)
    resource = df.CharFilter()
    format = df.CharFilter()
    request_id = df.CharFilter()
    created_after = df.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_before = df.IsoDateTimeFilter(field_name="created_at", lookup_expr="lte")

    class Meta:
        model = ExportJob
        fields: list[str] = []


LIST_PARAMETERS = [
    OpenApiParameter("status", str, many=True, enum=Status.values, description="One or more of these."),
    OpenApiParameter("resource", str),
    OpenApiParameter("format", str),
    OpenApiParameter("request_id", str),
    OpenApiParameter("created_after", OpenApiTypes.DATETIME),
    OpenApiParameter("created_before", OpenApiTypes.DATETIME),
    *PAGE_PARAMETERS,
]


class ResourceListView(APIView):
    """What I may export."""

    @extend_schema(operation_id="resources_list", responses={200: ResourceSerializer(many=True)})
    def get(self, request: Request) -> Response:
        """Without those whose declaration is broken: the log says which, and why."""
        allowed = registry.allowed(request.user)
        shown = faults.working(allowed, lambda each: resource_json(each, request.user), asks_database=True)
        return Response(list(shown))


class ResourceView(APIView):
    """One resource."""

    @extend_schema(operation_id="resources_retrieve", responses={200: ResourceSerializer, **refusals(422)})
    def get(self, request: Request, name: str) -> Response:
        resource = get_resource(request.user, name)
        with faults.declared_by(resource):
            return Response(resource_json(resource, request.user))


def get_resource(user: Any, name: str) -> Resource:
    """Raises ``errors.NotFound``, also for what this user may not export."""
    declared = registry.get(registry.spelled_name(name))
    if declared is None or not keys.permit_of(user).allows_resource(declared.name):
        raise errors.NotFound(NO_RESOURCE)
    with faults.declared_by(declared):
        resource = declared()
        if not may_export(resource, user):
            raise errors.NotFound(NO_RESOURCE)
    return resource


def read_request(request: Request) -> tuple[plan.Request, services.Extras]:
    """What an export is asked for with. Raises ``ValidationError``, ``errors.Invalid``."""
    body = ExportRequestSerializer(data=request.data)
    body.is_valid(raise_exception=True)
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > MAX_KEY:
        raise errors.Invalid(f"The Idempotency-Key has {MAX_KEY} characters at most.")
    extras = body.to_extras(idempotency_key=key, request_id=request_id.current())
    return body.to_request(request.user), extras


def read_reason(request: Request) -> str:
    """Why somebody acts on another's export, where they say so. Raises ``errors.Invalid``."""
    body = ReasonSerializer(data=request.data)
    body.is_valid(raise_exception=True)
    return str(body.validated_data["reason"])


def answer_job(request: Request, job: ExportJob, created: bool) -> Response:
    """202 with a new job, 200 with that of an earlier request of the same key."""
    shown = job_json(job, request.user)
    headers = {"Location": shown["links"]["self"]}
    if not created:
        return Response(shown, headers=headers)
    return Response({"message": ACCEPTED, **shown}, status=status.HTTP_202_ACCEPTED, headers=headers)


class ExportListView(APIView):
    """My exports and those shared with me; a new one by POST."""

    @extend_schema(
        operation_id="exports_list", parameters=LIST_PARAMETERS, responses={200: JobPageSerializer, **refusals(400)}
    )
    def get(self, request: Request) -> Response:
        jobs = _filtered(request, access.of(request.user))
        pages = Pages()
        page = pages.paginate_queryset(jobs, request, view=self) or []
        return pages.get_paginated_response(jobs_json(page, request.user))

    @extend_schema(
        operation_id="exports_create",
        request=ExportRequestSerializer,
        responses={202: AcceptedJobSerializer, 200: JobSerializer, **refusals(409, 422, 429)},
        parameters=[IDEMPOTENCY_KEY, LOCATION],
    )
    def post(self, request: Request) -> Response:
        asked, extras = read_request(request)
        return answer_job(request, *services.request_export(request.user, asked, extras))


class ExportView(APIView):
    """One export."""

    @extend_schema(operation_id="exports_retrieve", responses={200: JobSerializer, 410: GoneJobSerializer})
    def get(self, request: Request, id: UUID) -> Response:
        job = services.get_export(request.user, id)
        shown = job_json(job, request.user)
        if job.status == Status.EXPIRED:
            gone = {"code": errors.Gone.code, "detail": f"The file expired at {iso(job.expires_at)}."}
            return Response(gone | shown, status=status.HTTP_410_GONE)
        return Response(shown)

    @extend_schema(operation_id="exports_destroy", responses={204: None})
    def delete(self, request: Request, id: UUID) -> Response:
        services.delete_export(services.get_export(request.user, id), by=request.user, reason=read_reason(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class StatusView(APIView):
    """The part of an export that changes while it runs."""

    @extend_schema(operation_id="exports_status", responses={200: StatusSerializer})
    def get(self, request: Request, id: UUID) -> Response:
        return Response(status_json(access.of(request.user).shown(services.get_export(request.user, id))))


class CancelView(APIView):
    """Stop a queued or running export."""

    @extend_schema(
        operation_id="exports_cancel", request=ReasonSerializer, responses={200: JobSerializer, **refusals(409)}
    )
    def post(self, request: Request, id: UUID) -> Response:
        job = services.get_export(request.user, id)
        services.cancel_export(job, by=request.user, reason=read_reason(request))
        return _again(request, job)


class RetryView(APIView):
    """Start a failed or cancelled export again."""

    @extend_schema(
        operation_id="exports_retry", request=ReasonSerializer, responses={200: JobSerializer, **refusals(409, 429)}
    )
    def post(self, request: Request, id: UUID) -> Response:
        job = services.get_export(request.user, id)
        services.retry_export(job, by=request.user, reason=read_reason(request))
        return _again(request, job)


class LeaveView(APIView):
    """Let go of an export that somebody shared."""

    @extend_schema(operation_id="exports_leave", request=None, responses={204: None})
    def post(self, request: Request, id: UUID) -> Response:
        leave_export(request.user, id)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _again(request: Request, job: ExportJob) -> Response:
    return Response(job_json(services.get_export(request.user, job.pk), request.user))


def _filtered(request: Request, allowed: Access) -> QuerySet[ExportJob]:
    jobs = allowed.listed(everybodys=True)
    if any(request.query_params.get(name) for name in HELD):
        jobs = allowed.with_contents(jobs)
    wrong = unknown_names(request, ExportFilter.base_filters)
    wrong |= {name: ["Enter a date and a time."] for name in MOMENTS if request.query_params.get(name) == ""}
    filters = ExportFilter(data=_as_spelled(request.query_params), queryset=jobs)
    if not filters.is_valid():
        wrong |= {name: list(messages) for name, messages in filters.errors.items()}
    values = {name: filters.form.cleaned_data.get(name) for name in MOMENTS}
    wrong |= {name: [problem] for name, value in values.items() if (problem := value_problem(value))}
    if wrong:
        raise errors.Invalid("The query is not valid.", errors=wrong)
    return filters.qs


def _as_spelled(given: QueryDict) -> QueryDict:
    known = {"status": Status.values, "format": list(FORMATS), "resource": [each.name for each in registry.every()]}
    data = given.copy()
    for name, names in known.items():
        if name in data:
            data.setlist(name, [spelled(value, names) for value in data.getlist(name)])
    return data


@csrf_exempt
def no_such_path(request: HttpRequest) -> JsonResponse:
    """Whatever no other path of the API fits, an id that is none included: refused as the API refuses."""
    hint = "" if request.path.endswith("/") else " Every path of the API ends with a slash."
    return JsonResponse({"code": errors.NotFound.code, "detail": f"There is no such address.{hint}"}, status=404)
