"""The pages of a new export: what there is, the form, its preview, and presets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from babel import Locale
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from exports_app import access, asking, attachments, direct, downloads, errors, presets, request_id, services
from exports_app.choices import Strategy
from exports_app.plan import Request
from exports_app.resources import faults, registry
from exports_app.resources.base import Resource
from exports_app.resources.filters import filter_names
from exports_app.resources.queries import fields_of
from exports_app.sharing import MAX_SHARED, leave_preset
from exports_app.validation import allowed_resource
from exports_app.web import options, words
from exports_app.web.forms import PRESET_NAME, ExportForm
from exports_app.web.pages import page, posted_text
from exports_app.web.preview import Preview

PAGE = "X-Export-Page"
MAX_PAGE = 64
MAX_VALUE = 65_536
"""Characters of one value of the form, the list of ids apart; a refused form shows what was typed."""
MOST_PRESETS = 5
"""Offered above the form; all of them stand on the page before it."""


@page
@require_safe
def new(request: HttpRequest) -> HttpResponse:
    """What there is to export."""
    return _choose(request)


@page
@require_http_methods(["GET", "HEAD", "POST"])
def create(request: HttpRequest, name: str) -> HttpResponseBase:
    """Choose rows, columns and format; by POST: start the export, show the first rows, or save a preset."""
    resource = _resource(request.user, name)
    if request.method != "POST":
        form = _form(resource, request, start=_start(request, resource.name))
        return _show(request, resource, form)
    form = _form(resource, request, request.POST)
    if "preview" in request.POST:
        return _show(request, resource, form, preview=Preview.of(request.user, form))
    if not form.is_valid():
        return _show(request, resource, form, status=400)
    try:
        if "save" in request.POST:
            return _save(request, form)
        return _export(request, form)
    except errors.ExportError as error:
        form.add_refusal(error)
        return _show(request, resource, form, status=error.status)


@page
@require_POST
def preview(request: HttpRequest, name: str) -> HttpResponse:
    """What the form as it stands comes to, for its refresh."""
    form = _form(_resource(request.user, name), request, request.POST)
    try:
        found = Preview.of(request.user, form, request.headers.get(PAGE, "")[:MAX_PAGE])
    except (errors.Throttled, asking.Superseded) as error:  # the page asks again, or has done so
        return HttpResponse(status=error.status, headers={"Retry-After": str(error.retry_after or 1)})
    return render(request, "exports/_preview.html", {"preview": found})


@page
@require_POST
def delete_preset(request: HttpRequest, id: UUID) -> HttpResponse:
    preset = presets.own_preset(request.user, id)
    preset.delete()
    messages.success(request, f"The preset {words.isolated(preset.name)} is deleted.")
    return redirect("exports:new")


@page
@require_POST
def share_preset(request: HttpRequest, id: UUID) -> HttpResponse:
    """With exactly these users; with nobody where the field is empty."""
    preset = presets.own_preset(request.user, id)
    typed = posted_text(request, "people")
    people = list(dict.fromkeys(name for each in typed.split(",") if (name := each.strip())))
    try:
        if len(people) > MAX_SHARED:
            raise errors.Invalid(f"A preset is shared with {MAX_SHARED} users at most.")
        presets.update_preset(request.user, preset, {"shared_with": people})
    except (errors.Invalid, errors.Throttled) as error:
        problem = " ".join((error.errors or {}).get("shared_with", [str(error)]))
        return _choose(request, {"id": str(id), "people": typed, "problem": problem})
    shared = f"shared with {', '.join(people)}" if people else "no longer shared"
    messages.success(request, f"The preset {words.isolated(preset.name)} is {shared}.")
    return redirect("exports:new")


@page
@require_POST
def leave(request: HttpRequest, id: UUID) -> HttpResponse:
    """Let go of a preset that somebody shared."""
    leave_preset(request.user, id)
    messages.success(request, "The preset is gone from your list.")
    return redirect("exports:new")


def _choose(request: HttpRequest, refused: dict[str, str] | None = None) -> HttpResponse:
    """``refused``: whom a preset could not be shared with, as it was typed, and why."""
    allowed = registry.allowed(request.user)
    cards = list(faults.working(allowed, lambda each: _card(each, request.user), asks_database=True))
    saved = [
        presets.shown(request.user, each) | {"title": registry.title_of(each.resource)}
        for each in presets.visible_presets(request.user)
    ]
    context = {"cards": cards, "presets": saved, "refused": refused}
    return render(request, "exports/new.html", context, status=400 if refused else 200)


def _card(resource: Resource, user: Any) -> dict[str, Any]:
    """Raises whatever the resource raises when it is asked for."""
    columns = fields_of(resource, user, resource.visible_columns(user))
    filter_names(resource, user)
    return {
        "name": resource.name,
        "title": resource.get_title(),
        "description": resource.get_description(),
        "columns": len(columns),
        "max_rows": _max_rows(resource),
    }


def _form(resource: Resource, request: HttpRequest, data: Any = None, start: Request | None = None) -> ExportForm:
    """Raises ``errors.BadQuery`` where the resource cannot be described, ``errors.Invalid`` for an overlong value."""
    for name, values in data.lists() if data else ():
        if name != "ids" and any(len(value) > MAX_VALUE for value in values):
            raise errors.Invalid(f"A value of {errors.cut(name)} has more than {MAX_VALUE:,} characters. Shorten it.")
    with faults.declared_by(resource):
        return ExportForm(resource, request.user, data, start=start)


def _export(request: HttpRequest, form: ExportForm) -> HttpResponseBase:
    """The file itself where it is small; else the page that shows how far it is."""
    services.require_enabled()
    wanted = form.to_request()
    extras = services.Extras(
        request_id=request_id.current(),
        notify={"email": True} if form.cleaned_data.get("email") else None,
    )
    order = services.check_request(request.user, wanted, extras)
    if order.estimate.strategy == Strategy.DIRECT and not extras.notify and "keep" not in request.POST:
        made = direct.build(request.user, order, downloads.address_of(request))
        if isinstance(made, direct.Download):
            return attachments.attachment(request, made)
        job, _ = made
    else:
        job, _ = services.accept(request.user, order)
    return redirect("exports:detail", id=job.pk)


def _save(request: HttpRequest, form: ExportForm) -> HttpResponse:
    name = form.cleaned_data[PRESET_NAME]
    if not name:
        raise errors.Invalid("The preset is not valid.", errors={"name": ["Give the preset a name."]})
    wanted = form.to_request()
    values = {each: getattr(wanted, each) for each in presets.FIELDS}
    preset = presets.create_preset(request.user, values | {"name": name})
    messages.success(request, f"The preset {words.isolated(preset.name)} is saved.")
    return redirect(f"{reverse('exports:create', args=[form.resource.name])}?preset={preset.pk}")


def _start(request: HttpRequest, name: str) -> Request | None:
    """The settings to begin with: of a preset, or of an earlier export; said where parts of them are hidden."""
    user, allowed = request.user, access.of(request.user)
    if preset_id := _uuid(request.GET.get("preset", "")):
        start = presets.stored_request(presets.get_preset(user, preset_id))
    elif job_id := _uuid(request.GET.get("again", "")):
        start = services.stored_request(allowed.shown(services.get_export(user, job_id)))
    else:
        return None
    if start.resource != name:
        return None
    columns, filters = allowed.sight.seen(name, start.columns, start.filters)
    if (columns, filters) != (start.columns, start.filters):
        messages.warning(request, "Some of its columns or filters are hidden from you, and left out here.")
    return replace(start, columns=columns, filters=filters)


def _show(
    request: HttpRequest, resource: Resource, form: ExportForm, *, preview: Preview | None = None, status: int = 200
) -> HttpResponse:
    applied = _uuid(request.GET.get("preset", ""))
    mine = [preset for preset in presets.visible_presets(request.user) if preset.resource == resource.name]
    mine.sort(key=lambda preset: preset.pk != applied)
    context: dict[str, Any] = {
        "form": form,
        "page_id": uuid4().hex,
        "resource": resource,
        "preview": preview,
        "presets": mine[:MOST_PRESETS],
        "more_presets": len(mine) > MOST_PRESETS,
        "preset_id": applied,
        "locales": [(code, Locale.parse(code).english_name) for code in options.LOCALES],
    }
    with faults.declared_by(resource):  # whose title and description the page asks for
        return render(request, "exports/create.html", context, status=status)


def _resource(user: Any, name: str) -> Resource:
    try:
        return allowed_resource(registry.spelled_name(name), user)
    except errors.Invalid:
        raise errors.NotFound("There is no such data to export.") from None


def _max_rows(resource: Resource) -> str:
    return words.number(resource.max_rows) if resource.max_rows else ""


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
