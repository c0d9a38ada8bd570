"""The file: by login or by one-time token, and who has fetched it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.http import HttpResponse, HttpResponseRedirect
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from exports_app import downloads, persons, services
from exports_app.api.answers import Answer, PageSerializer
from exports_app.api.lists import PAGE_PARAMETERS, Pages, answer_rows
from exports_app.api.negotiation import AnyAccept
from exports_app.api.schema import refusals
from exports_app.api.serializers import iso
from exports_app.models import ExportEvent

TOKEN = OpenApiParameter("token", str, description="A one-time token; without it, the login decides.")
LOCATION = OpenApiParameter(
    "Location",
    str,
    OpenApiParameter.HEADER,
    response=[302],
    description="A link to the file that needs no login, valid for 15 minutes; it takes `Range`.",
)
LINK = {
    "token": "rU1p…f0k.Zx9Q…mEo",
    "download_url": "https://exports.example.com/api/v1/exports/0199f0a2-…/download/?token=rU1p…",
    "page_url": "https://exports.example.com/exports/0199f0a2-…/link/#rU1p…",
    "expires_at": "2026-02-27T12:00:00.120000+00:00",
}


class LinkSerializer(Answer):
    """A new one-time token; it is shown this once."""

    token = serializers.CharField()
    download_url = serializers.CharField(help_text="Redeems the token by GET.")
    page_url = serializers.CharField(help_text="A page whose button redeems the token: scanners of mail cannot.")
    expires_at = serializers.DateTimeField()


class DownloadSerializer(Answer):
    """One download of the file."""

    at = serializers.DateTimeField()
    by = serializers.CharField(help_text="Username; of a download by token, that of the token's maker.")
    via = serializers.ChoiceField(choices=[downloads.BY_LOGIN, downloads.BY_TOKEN])
    address = serializers.CharField(allow_blank=True, help_text="IP address that the request came from.")


class DownloadPageSerializer(PageSerializer):
    results = DownloadSerializer(many=True)


class DownloadPages(Pages):
    ordering = ("-at", "-id")


class SecretView(APIView):
    """Its address may hold a token: no other site is told of it, by refusals neither."""

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {**super().default_response_headers, "Referrer-Policy": "no-referrer"}


class TokenView(SecretView):
    """One-time links to the file."""

    @extend_schema(
        operation_id="exports_token_create",
        request=None,
        responses={201: LinkSerializer, **refusals(409, 410)},
        examples=[OpenApiExample("link", value=LINK, response_only=True, status_codes=[201])],
    )
    def post(self, request: Request, id: UUID) -> Response:
        """A new one; your file lives as long, but 7 days from its completion at most."""
        link = downloads.make_token(services.get_export(request.user, id), request.user)
        shown = {
            "token": link.token,
            "download_url": link.download_url,
            "page_url": link.page_url,
            "expires_at": iso(link.expires_at),
        }
        return Response(shown, status=status.HTTP_201_CREATED)

    @extend_schema(operation_id="exports_token_destroy", responses={204: None})
    def delete(self, request: Request, id: UUID) -> Response:
        """End all links that were given out and not used yet."""
        downloads.withdraw(services.own_export(request.user, id), by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class DownloadView(SecretView):
    """The file itself."""

    permission_classes = [AllowAny]  # the token, or the login that is asked for below
    content_negotiation_class = AnyAccept  # the file is what it is

    @extend_schema(
        operation_id="exports_download",
        parameters=[TOKEN, LOCATION],
        responses={302: OpenApiResponse(description="To the file."), **refusals(401, 403, 409, 410)},
    )
    def get(self, request: Request, id: UUID) -> HttpResponse:
        """To the file. It uses the token up, and is kept: who, when, from which address."""
        address = downloads.address_of(request._request)
        token = request.query_params.get("token")
        if token is not None:
            url = downloads.redeem(id, token, address=address)
        else:
            url = downloads.download(_signed_in(request), id, address=address)
        return HttpResponseRedirect(url)

    @extend_schema(exclude=True)
    def head(self, request: Request, id: UUID) -> HttpResponse:
        """What GET would lead to: nothing is used up or kept, and no link is given."""
        token = request.query_params.get("token")
        job = downloads.look_up(id, token).job if token is not None else downloads.get_file(_signed_in(request), id)
        return HttpResponse(headers=downloads.file_headers(job))


class DownloadListView(APIView):
    """Who fetched the file."""

    @extend_schema(
        operation_id="exports_downloads_list",
        parameters=PAGE_PARAMETERS,
        responses={200: DownloadPageSerializer, **refusals(400, 403)},
    )
    def get(self, request: Request, id: UUID) -> Response:
        """Every download, the last one first; for the owner."""
        job = services.own_export(request.user, id)
        return answer_rows(self, request, downloads.downloads_of(job), downloads_json, DownloadPages)


def downloads_json(events: Sequence[ExportEvent]) -> list[dict[str, Any]]:
    """Downloads as the API shows them."""
    return [
        {"at": iso(each.at), "by": who.name, "via": each.data.get("via", ""), "address": who.address}
        for each, who in persons.of_events(events)
    ]


def _signed_in(request: Request) -> Any:
    if not request.user.is_authenticated:
        raise NotAuthenticated
    return request.user
