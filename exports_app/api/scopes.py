"""Which scope a call by API key needs. Whatever has no line here is closed to keys.

Sessions are not asked: what a person may is for permissions alone to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rest_framework.request import Request

from exports_app import errors
from exports_app.choices import Scope
from exports_app.keys import Permit

READ, EXPORT, MANAGE = Scope.READ, Scope.EXPORT, Scope.MANAGE

SCOPES: Final[Mapping[str, Mapping[str, Scope]]] = {
    "resource-list": {"GET": READ},
    "resource-detail": {"GET": READ},
    "resource-estimate": {"POST": EXPORT},
    "export-list": {"GET": READ, "POST": EXPORT},
    "export-direct": {"POST": EXPORT},
    "export-performance": {"GET": READ},
    "export-list-events": {"GET": READ},
    "export-detail": {"GET": READ, "DELETE": MANAGE},
    "export-status": {"GET": READ},
    "export-events": {"GET": READ},
    "export-cancel": {"POST": EXPORT},
    "export-retry": {"POST": EXPORT},
    "export-leave": {"POST": MANAGE},
    "export-token": {"POST": EXPORT, "DELETE": EXPORT},
    "export-download": {"GET": EXPORT},
    "export-downloads": {"GET": READ},
    "preset-list": {"GET": MANAGE, "POST": MANAGE},
    "preset-detail": {"GET": MANAGE, "PUT": MANAGE, "PATCH": MANAGE, "DELETE": MANAGE},
    "preset-leave": {"POST": MANAGE},
    "webhook-list": {"GET": MANAGE, "POST": MANAGE},
    "webhook-detail": {"GET": MANAGE, "PUT": MANAGE, "PATCH": MANAGE, "DELETE": MANAGE},
    "webhook-rotate": {"POST": MANAGE},
    "webhook-test": {"POST": MANAGE},
    "webhook-deliveries": {"GET": MANAGE},
    "schema": {"GET": READ},
    "docs": {"GET": READ},
    "health": {"GET": READ},
    "ready": {"GET": READ},
    "metrics": {"GET": READ},
}
"""By the name of the path and the method."""

OF_ALL_DATA: Final = frozenset(
    {"webhook-list", "webhook-detail", "webhook-rotate", "webhook-test", "webhook-deliveries", "metrics"}
)
"""Calls that tell of all exports, whatever data they are of: closed to keys that are limited to some."""

_SAME: Final = {"HEAD": "GET"}


def scope_of(path: str, method: str) -> Scope | None:
    """The scope that this call needs; None: it is closed to keys."""
    return SCOPES.get(path, {}).get(_SAME.get(method, method))


def require(permit: Permit, request: Request) -> None:
    """Raises ``errors.PermissionDenied`` where a key with this permit may not make this call."""
    match, method = request._request.resolver_match, str(request.method)
    path = (match.url_name or "") if match else ""
    view = request.parser_context.get("view")
    if method == "OPTIONS" or not hasattr(view, method.lower()):
        return  # nothing is done: the answer is what may be asked, or that this method may not
    scope = scope_of(path, method)
    if scope is None:
        raise errors.PermissionDenied("This cannot be done by an API key.")
    permit.require(scope)
    if permit.resources and path in OF_ALL_DATA:
        raise errors.PermissionDenied("This API key is limited to some data, and this call tells of all exports.")
