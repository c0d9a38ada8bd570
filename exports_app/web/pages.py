"""What every page has in common: who may see it, and how a refusal looks."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.db import Error
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRefresh

from exports_app import errors, services
from exports_app.logs import log

WAYS_OUT = {
    "permission_denied": "If you need to, ask an administrator for access.",
    "column_forbidden": "If you need to, ask an administrator for access.",
    "not_found": "It may have been deleted, or it is not shared with you.",
    "bad_query": "Other data is not affected.",
    "unavailable": "Nothing is lost. Try it again in a moment.",
    "exports_disabled": "An operator did that. Try it again in a while.",
}
"""What to do about a refusal whose sentence does not say."""

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
        except Error as error:
            if not errors.is_outage(error):
                raise
            log.exception("export.page.database_away")
            return refusal(errors.of_database(error) or errors.DatabaseAway())

    return guarded


def posted_text(request: HttpRequest, name: str) -> str:
    """What was typed there, without the spaces around it. Raises ``errors.Invalid`` for what no database stores."""
    text = request.POST.get(name, "").strip()
    if "\0" in text:
        raise errors.Invalid("The text holds a NUL character, which cannot be stored.")
    return text


def back(request: HttpRequest, otherwise: str) -> str:
    """The page the form stood on, if it is one of ours."""
    wanted = request.POST.get("next", "")
    return wanted if url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) else otherwise


def refusal(error: errors.ExportError, request: HttpRequest | None = None) -> HttpResponse:
    """The error as a page; without the request nothing of it reads the database."""
    what, _, way_out = str(error).partition(". ")
    context = {"error": error, "what": f"{what.rstrip('.')}.", "way_out": way_out or WAYS_OUT.get(error.code, "")}
    content = render_to_string("exports/error.html", context, request)
    response = HttpResponse(content, status=error.status)
    if error.retry_after:
        response["Retry-After"] = str(error.retry_after)
    return response


def _to_login(request: HttpRequest) -> HttpResponse:
    is_page = request.method in ("GET", "HEAD")
    return redirect_to_login(request.get_full_path() if is_page else reverse("exports:home"))
