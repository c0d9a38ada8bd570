"""How the API describes itself: what every endpoint may answer is said here once, the rest beside each view.

A view names its own answers and refusals::

    @extend_schema(operation_id="exports_cancel", request=None, responses={200: JobSerializer, **refusals(409)})

and gets by itself what the request can always be refused for: 401, 403, 406, 500 and 503, 400, 413 and 415 with a body,
404 with a name or an id in its path; the headers that come with them; and the scope that an API key needs for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
)
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import build_object_type
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework.permissions import AllowAny

from exports_app.api.answers import ErrorSerializer
from exports_app.api.negotiation import AnyAccept
from exports_app.api.scopes import scope_of
from exports_app.choices import Scope

WITH_BODY = ("POST", "PUT", "PATCH")

REFUSALS: Mapping[int, tuple[str, Mapping[str, Any]]] = {
    400: (
        "Malformed, or an unknown column, filter or option. `errors` nests as the body does.",
        {
            "code": "invalid",
            "detail": "The filters are not valid.",
            "errors": {"filters": {"statsu": ["Unknown filter statsu. Did you mean status?"]}},
        },
    ),
    401: ("No API key, or a wrong one.", {"code": "not_authenticated", "detail": "Invalid token."}),
    403: (
        "You may not, or the API key may not: it lacks the scope (`x-key-scope`).",
        {"code": "permission_denied", "detail": "This API key lacks the scope export, which this needs."},
    ),
    404: ("There is none, or it is another's.", {"code": "not_found", "detail": "There is no such export."}),
    406: (
        "The Accept header leaves out the type of the answer.",
        {"code": "not_acceptable", "detail": "Could not satisfy the request Accept header."},
    ),
    409: (
        "It is in a state that does not allow this, there are too many, or the Idempotency-Key came with another body.",
        {"code": "conflict", "detail": "This export is completed; only a queued or running one can be cancelled."},
    ),
    410: ("It has expired.", {"code": "gone", "detail": "The file of this export has expired."}),
    413: ("The body is too large.", {"code": "too_large", "detail": "The request has more than 1,048,576 bytes."}),
    415: (
        "The body is not JSON.",
        {"code": "unsupported_media_type", "detail": 'Unsupported media type "text/csv" in request.'},
    ),
    422: (
        "More rows than may be exported at once, or the database refuses the query (`bad_query`).",
        {
            "code": "too_many_rows",
            "detail": "Export would contain 1,234,567 rows, which exceeds the maximum of 500,000. "
            "Please narrow your filters.",
        },
    ),
    429: (
        "Too many exports at once, or in the last hour.",
        {
            "code": "throttled",
            "detail": "You have 5 exports queued or running; 5 are allowed at once. Wait for one of them or cancel it.",
        },
    ),
    500: (
        "A bug; the log has the reason under the X-Request-ID.",
        {
            "code": "internal",
            "detail": "Something went wrong here, and an operator has to look. "
            "Give them the X-Request-ID of this answer.",
        },
    ),
    503: (
        "The database is away, or exports are switched off (`exports_disabled`).",
        {"code": "unavailable", "detail": "The database is away at the moment."},
    ),
}
"""What each status means here, with an example of its body."""

LOCATION = OpenApiParameter(
    "Location", str, OpenApiParameter.HEADER, response=[200, 202], description="Path of the export."
)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "maxLength": 200},
    OpenApiParameter.HEADER,
    description="Any text of up to 200 characters. For 24 hours the same key and body give the same export (200).",
    examples=[OpenApiExample("a UUID", value="8e03978e-40d5-43e8-bc93-6894a57f9324")],
)

KEYS = "An API key. It needs the scope that `x-key-scope` of an operation names: " + "; ".join(
    f"`{scope}` ({said[0].lower()}{said[1:]})" for scope, said in Scope.choices
)

_REQUEST_ID = {
    "description": "Stands in every log line of this request and its export: yours, where X-Request-ID held one.",
    "schema": {"type": "string", "maxLength": 100},
}
_RETRY_AFTER = {"description": "Seconds after which it may work.", "schema": {"type": "integer", "minimum": 1}}
_AUTHENTICATE = {"description": "How to authenticate.", "schema": {"type": "string"}}


def refusals(*statuses: int) -> dict[int, OpenApiResponse]:
    """Answers for ``extend_schema(responses=…)``: the statuses, each with the body and example of an error."""
    return {status: _refusal(status) for status in statuses}


def _refusal(status: int) -> OpenApiResponse:
    description, body = REFUSALS[status]
    code = str(body["code"])
    return OpenApiResponse(
        ErrorSerializer,
        description=description,
        examples=[OpenApiExample(code, value=body, response_only=True, status_codes=[status])],
    )


def _patterns() -> list[Any]:
    """The API's own paths, which import their views, which import this."""
    from exports_app.api import urls

    return urls.urlpatterns


class ExportsSchema(AutoSchema):
    """Adds to each endpoint what every one like it may answer."""

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        for status in self._usual_refusals():
            if str(status) not in bodies:
                bodies[str(status)] = self._get_response_for_code(  # type: ignore[no-untyped-call]
                    _refusal(status), str(status), ["application/json"], direction
                )
        return dict(sorted(bodies.items()))

    def get_extensions(self) -> dict[str, Any]:
        """The scope that a key needs."""
        names = (each.name for each in _patterns() if getattr(each.callback, "cls", None) is type(self.view))
        scope = scope_of(str(next(names, "")), self.method)
        return super().get_extensions() | ({"x-key-scope": scope.value} if scope else {})

    def _usual_refusals(self) -> list[int]:
        statuses = [500, 503]
        if self.view.content_negotiation_class is not AnyAccept:
            statuses.append(406)
        if not all(isinstance(each, AllowAny) for each in self.view.get_permissions()):
            statuses += [401, 403]
        if self.method in WITH_BODY and self.get_request_serializer() is not None:
            statuses += [400, 413, 415]
        if "{" in self.path:
            statuses.append(404)
        return statuses

    def _get_response_headers_for_code(self, status_code: str, direction: Any = "response") -> Any:
        headers = {"X-Request-ID": _REQUEST_ID, **super()._get_response_headers_for_code(status_code, direction)}
        if status_code in ("429", "503"):
            headers["Retry-After"] = _RETRY_AFTER
        if status_code == "401":
            headers["WWW-Authenticate"] = _AUTHENTICATE
        return headers


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    """``Authorization: Bearer <key>``."""

    target_class = "exports_app.api.permissions.BearerAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "exk_…", "description": KEYS}


class MetricsScheme(BearerScheme):  # type: ignore[no-untyped-call]  # registers itself
    """``Authorization: Bearer <EXPORTS_METRICS_TOKEN>``."""

    target_class = "exports_app.api.health.MetricsToken"
    name = "metricsToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class ColumnChoiceField(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # registers itself
    """A column by its name, or with a header of its own."""

    target_class = "exports_app.api.serializers.ColumnChoice"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        labelled = build_object_type(
            properties={"name": {"type": "string"}, "label": {"type": "string", "maxLength": 200, "nullable": True}},
            required=["name"],
            additionalProperties=False,
        )
        return {"oneOf": [{"type": "string"}, labelled]}


class StrictObject(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # registers itself
    """A body in which an unknown name is an error says so."""

    target_class = "exports_app.api.serializers.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> Any:
        mapped = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**mapped, "additionalProperties": False}
