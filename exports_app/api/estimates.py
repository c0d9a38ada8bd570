"""What an export would be, before it is asked for."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from exports_app import asking, errors, plan, previews, services
from exports_app.api.answers import Answer
from exports_app.api.schema import refusals
from exports_app.api.serializers import ExportRequestSerializer
from exports_app.api.views import get_resource
from exports_app.choices import Strategy
from exports_app.pipeline.types import Kind
from exports_app.resources import registry

ESTIMATE = {
    "estimated_rows": 1_234_567,
    "estimate_exact": False,
    "strategy": "background",
    "estimated_bytes": 102_469_143,
    "warnings": [
        "This would be about 1,234,567 rows, and Transactions allows 500,000: narrow the filters, or set a limit."
    ],
    "preview": {
        "columns": [
            {"name": "id", "label": "ID", "kind": "integer"},
            {"name": "booked_at", "label": "Booked at", "kind": "datetime"},
            {"name": "merchant", "label": "Merchant", "kind": "text"},
        ],
        "rows": [["1", "2024-01-01T00:03:12+00:00", "Blue Bottle"], ["2", "2024-01-01T00:05:40.5+00:00", None]],
    },
}


class EstimateRequestSerializer(ExportRequestSerializer):
    """Body of ``POST resources/{name}/estimate/``: that of ``POST exports/``, its ``resource`` left out or the same."""

    def validate_resource(self, value: str) -> str:
        """The path says it already."""
        if registry.spelled_name(value) != self.context["resource"]:
            raise serializers.ValidationError(f"The path names {self.context['resource']}. Leave resource out.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return super().validate({**attrs, "resource": self.context["resource"]})

    def to_request(self, user: Any) -> plan.Request:
        """Raises ``errors.Invalid`` for another resource's preset."""
        request = super().to_request(user)
        if request.resource != self.context["resource"]:
            raise errors.Invalid.of("preset", f"This preset is one of {request.resource}.")
        return request


class PreviewColumnSerializer(Answer):
    name = serializers.CharField()
    label = serializers.CharField(help_text="As in the file's header, where the format has one.")  # type: ignore[assignment]
    kind = serializers.ChoiceField(choices=[kind.value for kind in Kind])


class PreviewSerializer(Answer):
    """The first 20 rows as they will stand in the file."""

    columns = PreviewColumnSerializer(many=True)
    rows = serializers.ListField(
        child=serializers.ListField(child=serializers.JSONField(allow_null=True)),
        help_text="Cells in the order of the columns: texts, of json and ndjson their own values; null is an empty "
        "cell. Long texts are cut at 1,000 characters.",
    )


@extend_schema_serializer(examples=[OpenApiExample("a large table", value=ESTIMATE, response_only=True)])
class EstimateSerializer(Answer):
    """What an export would be."""

    estimated_rows = serializers.IntegerField(
        min_value=0, allow_null=True, help_text="Null: not known, since the database does not answer in time."
    )
    estimate_exact = serializers.BooleanField(help_text="False: the planner's estimate, since a count takes too long.")
    strategy = serializers.ChoiceField(choices=Strategy.choices, help_text="How `POST exports/download/` would do it.")
    estimated_bytes = serializers.IntegerField(min_value=0, allow_null=True)
    warnings = serializers.ListField(child=serializers.CharField(), help_text="A sentence each.")
    preview = PreviewSerializer(allow_null=True)


PAGE = "X-Export-Page"
MAX_PAGE = 64
PAGE_HEADER = OpenApiParameter(
    PAGE,
    {"type": "string", "maxLength": MAX_PAGE},
    OpenApiParameter.HEADER,
    description="Whatever tells one open page from others: a newer question of the same page ends the older, with 409.",
)


class EstimateView(APIView):
    """Rows, size, strategy, warnings and the first rows of an export that nobody has asked for yet."""

    @extend_schema(
        operation_id="resources_estimate",
        request=EstimateRequestSerializer,
        responses={200: EstimateSerializer, **refusals(409, 422, 429)},
        parameters=[PAGE_HEADER],
    )
    def post(self, request: Request, name: str) -> Response:
        services.require_enabled()
        context = {"resource": get_resource(request.user, name).name}
        body = EstimateRequestSerializer(data=request.data, context=context)
        body.is_valid(raise_exception=True)
        with asking.turn(request.user, request.headers.get(PAGE, "")[:MAX_PAGE]):
            planned = plan.make_plan(body.to_request(request.user), request.user)
            forecast = previews.forecast(planned)
        return Response(forecast_json(forecast))


def forecast_json(forecast: previews.Forecast) -> dict[str, Any]:
    """The body of the answer."""
    return {
        "estimated_rows": forecast.estimate.rows,
        "estimate_exact": forecast.estimate.exact,
        "strategy": forecast.estimate.strategy,
        "estimated_bytes": forecast.bytes,
        "warnings": forecast.warnings,
        "preview": _preview_json(forecast.preview) if forecast.preview else None,
    }


def _preview_json(preview: previews.Preview) -> dict[str, Any]:
    columns = [{"name": each.name, "label": each.label, "kind": each.kind.value} for each in preview.columns]
    return {"columns": columns, "rows": preview.rows}
