"""The home page: my exports, newest first, narrowed by state and data."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from exports_app import access, clock, progress
from exports_app.access import Access
from exports_app.choices import Status
from exports_app.models import ExportJob
from exports_app.resources import registry
from exports_app.web.jobs import JobView
from exports_app.web.pages import page

PAGE_SIZE = 20


@page
@gzip_page
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """My exports and those shared with me; for operators, everybody's."""
    return render(request, "exports/home.html", _exports(request))


@page
@gzip_page
@require_safe
def rows(request: HttpRequest) -> HttpResponse:
    """The list of the home page alone, for its refresh."""
    return render(request, "exports/_list.html", _exports(request))


def _exports(request: HttpRequest) -> dict[str, Any]:
    user: Any = request.user
    allowed = access.of(user)
    everybody = allowed.is_operator and request.GET.get("scope") == "all"
    status = request.GET.get("status", "")
    status = status if status in Status.values else ""
    resource = request.GET.get("resource", "")
    resources = _resources(allowed, resource)
    resource = resource if any(is_chosen for _, _, is_chosen in resources) else ""
    listed = allowed.listed(everybodys=everybody)
    jobs = _narrowed(allowed.with_contents(listed) if resource else listed, status, resource)
    found = Paginator(jobs, PAGE_SIZE).get_page(request.GET.get("page"))
    now, places = clock.now(), progress.places(found)
    shown = [JobView(job, allowed, now, places) for job in found]
    kept = {"scope": "all" if everybody else "", "status": status, "resource": resource}
    query = urlencode({name: value for name, value in kept.items() if value} | {"page": ""})
    return {
        "jobs": shown,
        "found": found,
        "is_operator": allowed.is_operator,
        "everybody": everybody,
        "narrowed": bool(status or resource),
        "statuses": [(value, label, value == status) for value, label in Status.choices],
        "resources": resources,
        "query": query,
        "here": f"{reverse('exports:home')}?{query}{found.number}",
        "refresh": f"{reverse('exports:rows')}?{query}{found.number}",
        "is_live": any(each.is_active for each in shown),
    }


def _narrowed(jobs: QuerySet[ExportJob], status: str, resource: str) -> QuerySet[ExportJob]:
    """A file whose time is over counts as expired, whether or not the sweep came by; as the list shows it."""
    over = Q(status=Status.COMPLETED, expires_at__lte=Now())
    if status == Status.EXPIRED:
        jobs = jobs.filter(Q(status=status) | over)
    elif status:
        jobs = jobs.filter(status=status).exclude(over)
    return jobs.filter(resource=resource) if resource else jobs


def _resources(allowed: Access, chosen: str) -> list[tuple[str, str, bool]]:
    """What they may export; for operators everything that anybody exports."""
    names = registry.every() if allowed.is_operator else registry.allowed(allowed.user)
    return [(each.name, registry.title_of(each.name), each.name == chosen) for each in names]
