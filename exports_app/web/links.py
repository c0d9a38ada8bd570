"""One-time links: the page that a mailed one opens, and what their maker does with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from exports_app import access, clock, downloads, errors, services
from exports_app.models import ExportToken
from exports_app.web import words
from exports_app.web.fetched import Fetched
from exports_app.web.jobs import JobView
from exports_app.web.pages import page


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a link does not work, and what to do."""

    what: str
    advice: str
    can_paste: bool = False
    """Another try with the same link may help."""


REFUSALS: dict[type[errors.ExportError], Refused] = {
    errors.LinkWrong: Refused(
        "This link is not complete",
        "Copy it whole, from https to its last character, and paste it here. If that does not help, ask for a new one.",
        can_paste=True,
    ),
    errors.LinkUsed: Refused(
        "This link was used already",
        "Each link gives the file once. If that was not you, tell whoever sent it; they can see when it was used and "
        "make you a new one.",
    ),
    errors.LinkExpired: Refused(
        "This link has expired",
        "Links live 24 hours. Ask whoever sent it for a new one, or sign in if the export is yours.",
    ),
    errors.LinkWithdrawn: Refused(
        "This link was withdrawn",
        "The export was deleted, its links were ended, or whoever sent it may not read the data any more. "
        "Ask them for a new one.",
    ),
}


@dataclass(frozen=True, slots=True)
class Offer:
    """What a link that works leads to."""

    file: JobView
    by: str
    ends: str
    """When the link does, as ``in 23 hours``."""

    @classmethod
    def of(cls, token: ExportToken) -> Offer:
        now = clock.now()
        file = JobView(token.job, access.of(token.created_by), now)
        return cls(file, token.created_by.get_username(), words.until(token.expires_at, now))


@never_cache
@csrf_exempt  # the token is the only right that counts here, and readers of mail may keep no cookies
@sensitive_post_parameters("token")
@sensitive_variables("token")
@require_http_methods(["GET", "HEAD", "POST"])
def link(request: HttpRequest, id: UUID) -> HttpResponse:
    """What a one-time link opens. It says nothing about the export before it has seen a token that works.

    The token stands behind the ``#``, which no browser sends: the page's script posts it, or a person pastes it.
    By POST: what the file is; with ``download``, the file, which uses the token up.
    """
    token, address = _token_in(request.POST.get("token", "")), downloads.address_of(request)
    try:
        services.require_enabled()
        if request.method != "POST":
            return _link_page(request, id)
        if "download" in request.POST:
            url = downloads.redeem(id, token, address=address)
            return HttpResponseRedirect(url, headers={"Referrer-Policy": "no-referrer"})
        return _link_page(request, id, token=token, offer=Offer.of(downloads.look_up(id, token)))
    except errors.ExportError as error:
        refused = REFUSALS.get(type(error)) or Refused(str(error), "Try it again in a while.", can_paste=True)
        return _link_page(request, id, status=error.status, refused=refused)


@page
@require_POST
def make(request: HttpRequest, id: UUID) -> HttpResponse:
    """A new link, shown this once."""
    job = services.get_export(request.user, id)
    made = downloads.make_token(job, request.user)
    view = JobView(job, access.of(request.user))
    context = {
        "export": view,
        "link": made,
        "ends": words.until(made.expires_at, clock.now()),
        "fetched": Fetched.of(job) if view.may_change else None,
    }
    return render(request, "exports/link_made.html", context, status=201)


@page
@require_POST
def withdraw(request: HttpRequest, id: UUID) -> HttpResponse:
    """End all links that were given out."""
    ended = downloads.withdraw(services.own_export(request.user, id), by=request.user)
    messages.success(request, f"{words.counted(ended, 'link')} ended." if ended else "No link was waiting.")
    return redirect("exports:detail", id=id)


def _link_page(request: HttpRequest, id: UUID, *, status: int = 200, **context: Any) -> HttpResponse:
    """A page that search engines leave alone.

    Other sites are not told where their visitors came from, as on every page. ``no-referrer`` would say no more, but
    have browsers send forms with ``Origin: null``, which is refused where it matters, as at signing out.
    """
    response = render(request, "exports/link.html", {"id": id, **context}, status=status)
    response["X-Robots-Tag"] = "noindex"
    return response


def _token_in(text: str) -> str:
    """The token of whatever was pasted: itself, or one of the two links with it."""
    return text.strip().rpartition("#")[2].rpartition("token=")[2]
