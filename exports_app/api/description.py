"""The schema and its page: for people who signed in, unless ``EXPORTS_PUBLIC_SCHEMA`` opens them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.views import redirect_to_login
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotAuthenticated
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from exports_app import conf


class MayReadSchema(IsAuthenticated):
    """Who signed in, or everybody where the setting says so."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return conf.settings.PUBLIC_SCHEMA or super().has_permission(request, view)


class _Unstored(APIView):
    """No cache keeps what the next person may not see."""

    def finalize_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(*args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response


class SchemaView(_Unstored, SpectacularAPIView):
    """OpenAPI 3."""

    permission_classes = [MayReadSchema]
    content_negotiation_class = DefaultContentNegotiation


class DocsView(_Unstored, SpectacularSwaggerSplitView):
    """The schema as a page; a browser that is not signed in is led to the login."""

    permission_classes = [MayReadSchema]
    url_name = "schema"
    template_name = "docs.html"

    def handle_exception(self, exc: Exception) -> Any:
        if isinstance(exc, NotAuthenticated):
            return redirect_to_login(self.request.get_full_path())
        return super().handle_exception(exc)
