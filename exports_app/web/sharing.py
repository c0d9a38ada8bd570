"""Sharing an export with other users, and ending that."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from exports_app import errors, services
from exports_app.sharing import leave_export
from exports_app.web import words
from exports_app.web.pages import page, posted_text


@page
@require_POST
def share(request: HttpRequest, id: UUID) -> HttpResponse:
    name = posted_text(request, "username")
    try:
        services.share_export(services.get_export(request.user, id), name, by=request.user)
        messages.success(request, f"Shared with {words.isolated(name)}.")
    except (errors.Invalid, errors.Throttled) as error:
        messages.warning(request, str(error))
    return _back(id)


@page
@require_POST
def unshare(request: HttpRequest, id: UUID) -> HttpResponse:
    name = posted_text(request, "username")
    services.unshare_export(services.get_export(request.user, id), name, by=request.user)
    messages.success(request, f"No longer shared with {words.isolated(name)}.")
    return _back(id)


@page
@require_POST
def leave(request: HttpRequest, id: UUID) -> HttpResponse:
    """Let go of an export that somebody shared."""
    leave_export(request.user, id)
    messages.success(request, "The export is gone from your list.")
    return redirect("exports:home")


def _back(id: UUID) -> HttpResponse:
    return redirect(f"{reverse('exports:detail', args=[id])}#sharing")
