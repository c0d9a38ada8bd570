"""API keys: a person's own tokens. A new one is shown once; only its digest is kept."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from exports_app import errors
from exports_app.models import ApiToken
from exports_app.web import words
from exports_app.web.pages import page, posted_text

MAX_KEYS = 20
"""Keys that one user may have."""
MAX_NAME = 100
"""Characters of a key's name."""


@page
@require_http_methods(["GET", "HEAD", "POST"])
def keys(request: HttpRequest) -> HttpResponse:
    """My keys; by POST a new one, shown in this answer and never again."""
    mine = ApiToken.objects.filter(user=request.user)
    if request.method != "POST":
        return render(request, "exports/keys.html", {"keys": mine.order_by("-created")})
    name = posted_text(request, "name")
    problem, token = "", None
    if not name:
        problem = "Give the key a name, so that you know later what it is for."
    elif len(name) > MAX_NAME:
        problem = f"A name has {MAX_NAME} characters at most; this one has {len(name)}."
    elif mine.count() >= MAX_KEYS:
        problem = f"You have {MAX_KEYS} keys. Revoke one that is not used any more."
    else:
        _, token = ApiToken.objects.create(user=request.user, name=name)
    context = {"problem": problem, "token": token, "keys": mine.order_by("-created"), "name": name}
    return render(request, "exports/keys.html", context, status=400 if problem else 200)


@page
@require_POST
def revoke(request: HttpRequest, key: str) -> HttpResponse:
    """End one of my keys at once."""
    mine = ApiToken.objects.filter(user=request.user)
    token = next((each for each in mine if each.token_key == key), None)
    if token is None:
        raise errors.NotFound("There is no such key.")
    token.delete()
    messages.success(
        request, f"The key {words.isolated(str(token))} is revoked. Programs that use it are refused from now on."
    )
    return redirect("exports:keys")
