"""Every error of the API as ``{"code", "detail", "errors"?}``."""

from __future__ import annotations

from typing import Any

import psycopg
from django.conf import settings
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig
from django.db import DataError
from django.http import Http404
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.views import set_rollback

from exports_app import errors, traces, upgrades
from exports_app.logs import log

_CODES: tuple[tuple[type[Exception], type[errors.ExportError]], ...] = (
    (Http404, errors.NotFound),
    (drf.NotFound, errors.NotFound),
    (DjangoPermissionDenied, errors.PermissionDenied),
    (drf.PermissionDenied, errors.PermissionDenied),
)


def handle(exc: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler; what nobody foresaw is an answer too, with its traceback in the log."""
    set_rollback()
    exc = _of_database(exc)
    if isinstance(exc, RequestDataTooBig):  # where Django looked at the body before the parser did
        exc = errors.TooLarge.of(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    if isinstance(exc, errors.ExportError):
        return _response(exc.status, exc.code, str(exc), exc.errors, exc.retry_after)
    for seen, known in _CODES:
        if isinstance(exc, seen):
            return _response(known.status, known.code, (known.__doc__ or "").strip(), None, None)
    if isinstance(exc, drf.ValidationError):
        nested = exc.detail if isinstance(exc.detail, dict) else {"body": exc.detail}
        return _response(400, "invalid", "The request is not valid.", nested, None)
    if isinstance(exc, drf.NotAuthenticated | drf.AuthenticationFailed):
        response = _response(401, "not_authenticated", str(exc.detail), None, None)
        response["WWW-Authenticate"] = getattr(exc, "auth_header", "Bearer")
        return response
    if isinstance(exc, drf.APIException):
        code = _HTTP_CODES.get(exc.status_code, exc.default_code)
        return _response(exc.status_code, code, str(exc.detail), None, getattr(exc, "wait", None))
    log.error("export.api.failed", exc_info=exc)
    return _response(500, errors.ExportError.code, BUG, None, None)


def _of_database(exc: Exception) -> Exception:
    """What the site's own database answered; a value that it cannot take is a request that is not valid."""
    if isinstance(exc, DataError | psycopg.DataError | OverflowError):
        log.warning("export.api.value_refused", error=traces.said(exc))
        return errors.Invalid("The database cannot take a value of this request.")
    if unmade := upgrades.explain(exc):
        log.error("export.api.not_migrated", missing=upgrades.missing())
        return unmade
    if isinstance(exc, errors.OF_CLIENTS) or errors.is_outage(exc):
        log.error("export.api.database_away", exc_info=exc)
        return errors.of_database(exc) or exc
    return exc


MOST_DETAIL = 2_000
"""Bytes of the sentence that an answer begins with."""
BUG = "Something went wrong here, and an operator has to look. Give them the X-Request-ID of this answer."

_HTTP_CODES = {
    400: "invalid",
    405: "method_not_allowed",
    406: "not_acceptable",
    415: "unsupported_media_type",
    429: "throttled",
}


def _response(status: int, code: str, detail: str, nested: Any, retry_after: float | None) -> Response:
    body: dict[str, Any] = {"code": code, "detail": errors.cut(detail, MOST_DETAIL)}
    if nested:
        body["errors"], is_whole = errors.few(nested)
        if not is_whole:
            body["detail"] += f" Only the first {errors.MOST_PROBLEMS} problems are named."
    response = Response(body, status=status)
    if retry_after:
        response["Retry-After"] = str(int(retry_after))
    return response
