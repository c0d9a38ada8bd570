"""Requests with a name, to be used again. What somebody may not see stands in no preset that they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from exports_app import access, errors, locks
from exports_app.access import Access
from exports_app.locks import Lock
from exports_app.models import ExportPreset
from exports_app.plan import Request, as_spelled, make_plan
from exports_app.resources import registry
from exports_app.sharing import users_named

MAX_PRESETS = 200
"""Presets that one user may own."""
FIELDS = ("resource", "columns", "filters", "format", "compression", "options", "parameters", "sheets")
"""What a preset gives to a request; each is overridden as a whole where the request names it."""
DEFAULTS: dict[str, Any] = {
    "format": "csv",
    "compression": None,
    "columns": None,
    "filters": {},
    "options": {},
    "parameters": {},
    "sheets": None,
    "shared_with": [],
}
"""What a preset is where its owner says nothing."""


def visible_presets(user: Any) -> QuerySet[ExportPreset]:
    """The user's own presets, and those shared with them whose data they may export; by name."""
    return _whole(access.of(user).presets())


def get_preset(user: Any, preset_id: Any) -> ExportPreset:
    """One of them. Raises ``errors.NotFound``."""
    found = visible_presets(user).filter(pk=preset_id).first()
    if found is None:
        raise errors.NotFound("There is no such preset.")
    return found


def own_preset(user: Any, preset_id: Any) -> ExportPreset:
    """A preset that this user may change. Raises ``errors.NotFound`` and ``errors.PermissionDenied``."""
    preset = get_preset(user, preset_id)
    if not access.of(user).may_change(preset):
        raise errors.PermissionDenied("Only its owner may change this preset.")
    return preset


def create_preset(user: Any, values: Mapping[str, Any]) -> ExportPreset:
    """Store a request under a name. Raises what the request itself would be refused with, and ``errors.Conflict``."""
    people = _people(user, values)
    with transaction.atomic():
        locks.take(Lock.PRESETS, user)
        if ExportPreset.objects.filter(owner=user).count() >= MAX_PRESETS:
            raise errors.Conflict(f"You have {MAX_PRESETS} presets. Delete one of them first.")
        return _store(user, ExportPreset(owner=user), values, people)


def update_preset(user: Any, preset: ExportPreset, values: Mapping[str, Any]) -> ExportPreset:
    """Change what ``values`` name. The preset as a whole is checked again."""
    people = _people(user, values)
    with transaction.atomic():
        locked = ExportPreset.objects.select_for_update().filter(pk=preset.pk).first()
        if locked is None:
            raise errors.NotFound("There is no such preset.")
        return _store(user, locked, values, people)


def completed(user: Any, preset_id: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request that names a preset: those ``given``, the preset's where it gives none.

    Raises ``errors.Invalid`` where the user has no such preset, and ``errors.ColumnForbidden``, without a name, where
    it holds what is hidden from them: the export is refused instead of being made without it.
    """
    try:
        preset = get_preset(user, preset_id)
    except errors.NotFound as error:
        raise errors.Invalid.of("preset", str(error)) from error
    stored = _fields(preset)
    seen = shown(user, preset)
    for name, what in (("columns", "columns"), ("filters", "filters on columns"), ("sheets", "related tables")):
        if name not in given and stored[name] != seen[name] and stored["resource"] in _allowed(user):
            raise errors.ColumnForbidden(f"The preset has {what} that you may not export. Give {name} of your own.")
    return {**stored, **given}


def stored_request(preset: ExportPreset) -> Request:
    """What the preset asks for, whoever may see it."""
    return Request(**_fields(preset))


def shown(user: Any, preset: ExportPreset) -> dict[str, Any]:
    """The preset as ``user`` may see it: without the columns, filters and tables that are hidden from them."""
    return shown_all(user, [preset])[0]


def shown_all(user: Any, presets: Sequence[ExportPreset]) -> list[dict[str, Any]]:
    """The same for a list, what its presets have in common looked up once."""
    allowed = access.of(user)
    return [_shown(allowed, preset) for preset in presets]


def _shown(allowed: Access, preset: ExportPreset) -> dict[str, Any]:
    columns, filters = allowed.sight.seen(preset.resource, preset.columns, preset.filters)
    return {
        "id": str(preset.pk),
        "name": preset.name,
        **_fields(preset),
        "columns": columns,
        "filters": filters,
        "sheets": allowed.sight.seen_tables(preset.sheets),
        "shared_with": [person.get_username() for person in preset.shared_with.all()],
        "owner": preset.owner.get_username(),
    }


def _allowed(user: Any) -> list[str]:
    return [each.name for each in registry.allowed(user)]


def _whole(presets: QuerySet[ExportPreset]) -> QuerySet[ExportPreset]:
    return presets.select_related("owner").prefetch_related("shared_with")


def _people(user: Any, values: Mapping[str, Any]) -> list[Any] | None:
    """Whom to share with, looked up before anything is stored: names that nobody has count as well."""
    return users_named(values["shared_with"], by=user) if "shared_with" in values else None


def _store(user: Any, preset: ExportPreset, values: Mapping[str, Any], people: Sequence[Any] | None) -> ExportPreset:
    for name, value in values.items():
        if name != "shared_with":
            setattr(preset, name, "" if name == "compression" and value is None else value)
    request = as_spelled(stored_request(preset))
    preset.resource, preset.format = request.resource, request.format
    make_plan(request, user)
    try:
        with transaction.atomic():
            preset.updated_at = Now()
            preset.save()
    except IntegrityError as error:
        message = "There is a preset of this name already. Choose another name."
        raise errors.Invalid("The preset is not valid.", errors={"name": [message]}) from error
    if people is not None:
        preset.shared_with.set(people)
    return _whole(ExportPreset.objects.all()).get(pk=preset.pk)


def _fields(preset: ExportPreset) -> dict[str, Any]:
    return {name: getattr(preset, name) for name in FIELDS} | {"compression": preset.compression or None}
