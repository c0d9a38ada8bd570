"""The pages: look something up, ask a service, show it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

import structlog
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Paginator
from django.db import InterfaceError, OperationalError
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRefresh

from exports_app import downloads, errors, request_id, services
from exports_app import progress as progress_of
from exports_app.models import ExportJob
from exports_app.resources import registry
from exports_app.resources.base import Resource
from exports_app.web import words
from exports_app.web.forms import ExportForm
from exports_app.web.jobs import JobView

log = structlog.get_logger("exports")

PAGE_SIZE = 20
View = Callable[..., HttpResponseBase]


def page(view: View) -> View:
    """Signed-in users only; refusals become pages. A fragment's answer to either is to load the page anew."""

    @never_cache
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        is_fragment = "HX-Request" in request.headers
        try:
            if not request.user.is_authenticated:
                return HttpResponseClientRefresh() if is_fragment else _to_login(request)
            services.require_enabled()
            return view(request, *args, **kwargs)
        except errors.ExportError as error:
            return HttpResponseClientRefresh() if is_fragment else refusal(error, request)
        except (OperationalError, InterfaceError):
            log.exception("export.page.database_away")
            return refusal(errors.Unavailable("The database is away at the moment.", retry_after=5))

    return guarded


@page
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """My exports and those shared with me; for staff, everybody's."""
    return render(request, "exports/home.html", _exports(request))


@page
@require_safe
def rows(request: HttpRequest) -> HttpResponse:
    """The list of the home page alone, for its refresh."""
    return render(request, "exports/_list.html", _exports(request))


@page
@require_safe
def new(request: HttpRequest) -> HttpResponse:
    """What there is to export."""
    declared = [resource() for resource in registry.every()]
    allowed = [each for each in declared if each.is_allowed(request.user)]
    cards = [
        {"resource": each, "columns": len(each.visible_columns(request.user)), "max_rows": _max_rows(each)}
        for each in allowed
    ]
    return render(request, "exports/new.html", {"cards": cards})


@page
@require_http_methods(["GET", "HEAD", "POST"])
def create(request: HttpRequest, name: str) -> HttpResponse:
    """Choose format, filters and columns; by POST, start the export."""
    resource = _resource(request.user, name)
    form = ExportForm(resource, request.user, request.POST if request.method == "POST" else None)
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                extras = services.Extras(request_id=request_id.current())
                job, _ = services.request_export(request.user, form.to_request(), extras)
                return redirect("exports:detail", id=job.pk)
            except errors.ExportError as error:
                form.add_refusal(error)
                status = error.status
    return render(request, "exports/create.html", {"form": form, "resource": resource}, status=status)


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
    return HttpResponseRedirect(downloads.download(request.user, id, address=request.META.get("REMOTE_ADDR", "")))


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
    services.delete_export(services.own_export(request.user, id))
    messages.success(request, "The export and its file are deleted.")
    return redirect(_back(request, reverse("exports:home")))


def _change(request: HttpRequest, id: UUID, service: Callable[[ExportJob], None]) -> HttpResponse:
    job = services.own_export(request.user, id)
    try:
        service(job)
    except errors.Conflict as error:  # it ended while the person was looking at the button
        messages.warning(request, str(error))
    return redirect(_back(request, reverse("exports:detail", args=[id])))


def _exports(request: HttpRequest) -> dict[str, Any]:
    user: Any = request.user
    jobs = services.visible_exports(user)
    everybody = user.is_staff and request.GET.get("scope") == "all"
    if not everybody:
        shared = ExportJob.shared_with.through.objects.filter(user_id=user.pk).values("exportjob_id")
        jobs = jobs.filter(Q(owner_id=user.pk) | Q(pk__in=shared))
    found = Paginator(jobs, PAGE_SIZE).get_page(request.GET.get("page"))
    now, places = timezone.now(), progress_of.places(found)
    shown = [JobView(job, request.user, now, places) for job in found]
    scope = "scope=all&" if everybody else ""
    return {
        "jobs": shown,
        "found": found,
        "everybody": everybody,
        "scope": scope,
        "here": f"{reverse('exports:home')}?{scope}page={found.number}",
        "refresh": f"{reverse('exports:rows')}?{scope}page={found.number}",
        "is_live": any(each.is_active for each in shown),
    }


def _export(request: HttpRequest, id: UUID) -> dict[str, Any]:
    view = JobView(services.get_export(request.user, id), request.user)
    return {"export": view, "is_live": view.is_active, "here": reverse("exports:detail", args=[id])}


def _resource(user: Any, name: str) -> Resource:
    declared = registry.get(name)
    if declared is None:
        raise errors.NotFound("There is no such data to export.")
    resource = declared()
    if not resource.is_allowed(user):
        raise errors.PermissionDenied(f"You may not export {resource.get_title()}.")
    return resource


def _max_rows(resource: Resource) -> str:
    return words.number(resource.max_rows) if resource.max_rows else ""


def _back(request: HttpRequest, otherwise: str) -> str:
    """The page the form stood on, if it is one of ours."""
    wanted = request.POST.get("next", "")
    return wanted if url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) else otherwise


def _to_login(request: HttpRequest) -> HttpResponse:
    is_page = request.method in ("GET", "HEAD")
    return redirect_to_login(request.get_full_path() if is_page else reverse("exports:home"))


def refusal(error: errors.ExportError, request: HttpRequest | None = None) -> HttpResponse:
    """The error as a page; without the request nothing of it reads the database."""
    content = render_to_string("exports/error.html", {"error": error}, request)
    response = HttpResponse(content, status=error.status)
    if error.retry_after:
        response["Retry-After"] = str(error.retry_after)
    return response
