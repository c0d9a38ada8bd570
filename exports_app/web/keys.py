"""API keys: a person's own. A new one is shown once; only its digest is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from exports_app import api_keys, clock, errors, keys, passwords, proof
from exports_app.choices import Scope
from exports_app.models import ApiKey
from exports_app.resources import registry
from exports_app.web import words
from exports_app.web.pages import page, posted_text

USUAL_SCOPES = (Scope.READ.value, Scope.EXPORT.value)
UNPROVEN = {
    True: "The password was not accepted. Check it; after several wrong ones, wait a while first.",
    False: "Your sign-in is more than ten minutes old. Sign in again, then make the key.",
}
"""Why no key is made, for those who have a password and those who sign in elsewhere."""


@dataclass(frozen=True, slots=True)
class Form:
    """What was asked for, as it stands in the form."""

    name: str = ""
    scopes: Sequence[str] = USUAL_SCOPES
    resources: Sequence[str] = ()
    days: str = ""

    @classmethod
    def posted(cls, request: HttpRequest) -> Form:
        scopes, resources = request.POST.getlist("scopes"), request.POST.getlist("resources")
        return cls(posted_text(request, "name"), scopes, resources, posted_text(request, "days"))

    def values(self) -> dict[str, Any]:
        """For ``api_keys.create``. Raises ``errors.Invalid``."""
        days = self.days or str(api_keys.usual_days())
        if not (days.isascii() and days.isdigit() and len(days) < 10):
            raise errors.Invalid.of("days", "Give a number of days.")
        return {"name": self.name, "scopes": self.scopes, "resources": self.resources, "days": int(days)}


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key as its user sees it."""

    key: ApiKey
    scopes: str
    data: str
    ended: str
    """Why it works no more; empty: it does."""

    @classmethod
    def of(cls, key: ApiKey, now: datetime) -> KeyView:
        data = ", ".join(words.isolated(registry.title_of(name)) for name in key.resources) or "all data"
        fits = passwords.fits(key.user, key.password_mark)
        ended = "expired" if key.has_expired(now) else "" if fits else "ended with your former password"
        return cls(key, keys.in_words(key.scopes), data, ended)


@sensitive_post_parameters("password")
@page
@require_http_methods(["GET", "HEAD", "POST"])
def key_list(request: HttpRequest) -> HttpResponse:
    """My keys; by POST a new one, shown in this answer and never again."""
    if request.method != "POST":
        return _page(request, Form())
    form = Form.posted(request)
    try:
        values = form.values()
        api_keys.check(request.user, **values)
        user = proof.prove(request, request.POST.get("password", ""))
        if user is None:
            return _page(request, form, problem=UNPROVEN[proof.asks_password(request.user)], at="proof", status=403)
        made, secret = api_keys.create(user, **values)
    except errors.ExportError as error:
        at = next(iter(error.errors or {}), "name")
        return _page(request, form, problem=errors.first_sentence(error), at=at, status=error.status)
    return _page(request, Form(), secret=secret, made=made)


@page
@require_POST
def revoke(request: HttpRequest, id: UUID) -> HttpResponse:
    """End one of my keys at once."""
    key = api_keys.revoke(request.user, id)
    messages.success(
        request, f"The key {words.isolated(str(key))} is revoked. Programs that use it are refused from now on."
    )
    return redirect("exports:keys")


@page
@require_POST
def sign_in_again(request: HttpRequest) -> HttpResponse:
    """A fresh proof for those who have no password here: end the session, and come back by the project's sign-in."""
    logout(request)
    return redirect_to_login(reverse("exports:keys"))


@sensitive_variables("secret")
def _page(request: HttpRequest, form: Form, *, status: int = 200, **context: Any) -> HttpResponse:
    now, user = clock.now(), cast(Any, request.user)
    mine = ApiKey.objects.filter(user=user).select_related("user")
    context |= {
        "form": form,
        "keys": [KeyView.of(key, now) for key in mine],
        "scopes": Scope.choices,
        "resources": registry.allowed(user),
        "usual_days": api_keys.usual_days(),
        "longest_days": api_keys.longest_days(),
        "asks_password": proof.asks_password(user),
        "is_fresh": proof.is_fresh(request),
    }
    return render(request, "exports/keys.html", context, status=status)
