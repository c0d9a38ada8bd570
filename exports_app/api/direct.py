"""``exports/download/``: the file in the answer to its request."""

from __future__ import annotations

from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from exports_app import attachments, direct, downloads
from exports_app.api.answers import AcceptedJobSerializer, JobSerializer
from exports_app.api.schema import IDEMPOTENCY_KEY, LOCATION, refusals
from exports_app.api.serializers import ExportRequestSerializer
from exports_app.api.views import answer_job, read_request
from exports_app.pipeline.formats import FORMATS, content_type

ANY_FILE = ("application/octet-stream", "application/json")
"""What a client may accept without knowing the format; JSON is what jobs and refusals are in."""
FILE_TYPES = (
    "text/csv",
    "application/x-ndjson",
    "application/gzip",
    "application/vnd.apache.parquet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
)
"""For the schema, which shall not load the formats; JSON comes as a job too."""
FILE = OpenApiResponse(OpenApiTypes.BINARY, description="The file.")
HEADERS = [
    OpenApiParameter(
        name, {"type": "string", **schema}, OpenApiParameter.HEADER, response=[200], description=description
    )
    for name, schema, description in (
        ("X-Export-Strategy", {"enum": ["direct", "stream"]}, "Built first, or sent as it was made."),
        ("X-Export-Id", {"format": "uuid"}, "The export's id; `GET exports/{id}/` has its rows, bytes and CRC-32."),
        ("Content-Disposition", {}, "The file's name."),
    )
]


class AnyFile(DefaultContentNegotiation):
    """The body must be JSON; what ``Accept`` names is looked at once the format is known."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class DirectDownloadView(APIView):
    """The file in the answer: built first where it is small, sent as it is made where it is larger."""

    content_negotiation_class = AnyFile

    @extend_schema(
        operation_id="exports_direct_download",
        request=ExportRequestSerializer,
        responses={
            **{(200, type_): FILE for type_ in FILE_TYPES},
            (200, "application/json"): OpenApiResponse(
                JobSerializer,
                description="The file where its format is json; the job of an earlier request of the key.",
            ),
            202: OpenApiResponse(AcceptedJobSerializer, description="Too many rows to send at once: a job."),
            **refusals(409, 422, 429),
        },
        parameters=[IDEMPOTENCY_KEY, LOCATION, *HEADERS],
    )
    def post(self, request: Request) -> HttpResponseBase:
        """The file, or the job where it has too many rows. A connection that breaks off is a file that is not whole."""
        asked, extras = read_request(request)
        _check_accept(request, asked.format, asked.compression)
        address = downloads.address_of(request._request)
        made = direct.request_download(request.user, asked, extras, address=address, streams=_tells_ends(request))
        if not isinstance(made, direct.Download):
            return answer_job(request, *made)
        return attachments.attachment(request._request, made)


def _check_accept(request: Request, format_: str, compression: str | None) -> None:
    if format_ not in FORMATS:
        return  # refused by name in a moment
    media_type = content_type(format_, compression).partition(";")[0]
    if not any(request._request.accepts(each) for each in (media_type, *ANY_FILE)):
        raise NotAcceptable


def _tells_ends(request: Request) -> bool:
    """Whether an answer of unknown length can end as broken off: HTTP/1.0 has only the end of the connection."""
    plain = request._request
    version = plain.scope["http_version"] if isinstance(plain, ASGIRequest) else plain.META.get("SERVER_PROTOCOL", "")
    return not str(version).endswith("1.0")
