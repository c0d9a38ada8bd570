"""The pages of one export: look it up, ask a service, show it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from exports_app import access, downloads, errors, services
from exports_app.choices import Status
from exports_app.web.fetched import Fetched
from exports_app.web.jobs import JobView
from exports_app.web.pages import back, page, posted_text
from exports_app.web.timeline import timeline


@page
@require_safe
def detail(request: HttpRequest, id: UUID) -> HttpResponse:
    """One export."""
    return render(request, "exports/detail.html", _export(request, id))


@page
@require_safe
def progress(request: HttpRequest, id: UUID) -> HttpResponse:
    """What of the detail page changes, for its refresh."""
    return render(request, "exports/_export.html", _export(request, id))


@page
@require_safe
def download(request: HttpRequest, id: UUID) -> HttpResponse:
    """To a fresh link to the file."""
    if request.method == "HEAD":
        return HttpResponse(headers=downloads.file_headers(downloads.get_file(request.user, id)))
    return HttpResponseRedirect(downloads.download(request.user, id, address=downloads.address_of(request)))


@page
@require_POST
def cancel(request: HttpRequest, id: UUID) -> HttpResponse:
    return _change(request, id, services.cancel_export)


@page
@require_POST
def retry(request: HttpRequest, id: UUID) -> HttpResponse:
    return _change(request, id, services.retry_export)


@page
@require_POST
def delete(request: HttpRequest, id: UUID) -> HttpResponse:
    job = services.get_export(request.user, id)
    services.delete_export(job, by=request.user, reason=posted_text(request, "reason"))
    messages.success(request, "The export and its file are deleted.")
    return redirect(back(request, reverse("exports:home")))


def _change(request: HttpRequest, id: UUID, service: Callable[..., None]) -> HttpResponse:
    job = services.get_export(request.user, id)
    try:
        service(job, by=request.user, reason=posted_text(request, "reason"))
    except (errors.Conflict, errors.Throttled) as error:  # since the person last saw the page
        messages.warning(request, str(error))
    return redirect(back(request, reverse("exports:detail", args=[id])))


def _export(request: HttpRequest, id: UUID) -> dict[str, Any]:
    view = JobView(services.get_export(request.user, id), access.of(request.user))
    fetched = Fetched.of(view.job) if view.may_change and view.status in (Status.COMPLETED, Status.EXPIRED) else None
    return {
        "export": view,
        "is_live": view.is_active,
        "fetched": fetched,
        "moments": [] if view.is_concealed else timeline(view.job, details=view.view.details),
        "here": reverse("exports:detail", args=[id]),
    }
