"""Shapes: what a request body may hold, and what a job and a resource look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from django.urls import reverse
from rest_framework import serializers

from exports_app import access, acts, clock, conf, errors, persons, presets, progress, services
from exports_app.access import Access
from exports_app.api.fields import MAX_OBJECT_BYTES, Anything, BoundedList, BoundedObject, ShortText
from exports_app.models import ExportJob
from exports_app.persons import Who
from exports_app.pipeline.formats import FORMATS
from exports_app.plan import Request, as_spelled
from exports_app.resources.base import Resource, User
from exports_app.resources.filters import allowed_filters
from exports_app.resources.queries import fields_of
from exports_app.sharing import MAX_SHARED
from exports_app.validation import MAX_COLUMNS, MAX_IDS, MAX_LABEL


class ColumnChoice(serializers.Field[Any, Any, Any, Any]):
    """``"name"`` or ``{"name": …, "label": …}``."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, str):
            return data
        if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
            raise serializers.ValidationError('Give a name, or {"name": …, "label": …}.')
        unknown = set(data) - {"name", "label"}
        if unknown:
            raise serializers.ValidationError(errors.unknown("field", str(min(unknown)), ["name", "label"]))
        label = data.get("label")
        if label is not None and (not isinstance(label, str) or len(label) > MAX_LABEL):
            raise serializers.ValidationError(f"The label must be a text of {MAX_LABEL} characters at most.")
        return dict(data)

    def to_representation(self, value: Any) -> Any:
        return value


class StrictSerializer(serializers.Serializer[Any]):
    """A body in which a name that nobody knows is an error, so that a typing mistake is not ignored."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise serializers.ValidationError({"body": ["Give a JSON object."]})
        known = set(self.fields)
        unknown = [name for name in data if name not in known]
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            raise serializers.ValidationError({**_dict(error.detail), **self._unknown(unknown)}) from error
        if unknown:
            raise serializers.ValidationError(self._unknown(unknown))
        return value

    def _unknown(self, names: list[str]) -> dict[str, list[str]]:
        return errors.unknown_names("field", names, sorted(self.fields))


class NotifySerializer(StrictSerializer):
    email = serializers.BooleanField(default=False)
    webhooks = serializers.BooleanField(default=False)


def sheet_names() -> BoundedList:
    return BoundedList(
        child=ShortText(max_length=100),
        required=False,
        allow_null=True,
        max_length=100,
        help_text="Related tables that the file shall hold, by resource; [] for none. Left out: all.",
    )


class ExportRequestSerializer(StrictSerializer):
    """Body of ``POST exports/``. Only ``resource`` is needed, or a ``preset``, whose fields the body's override."""

    preset = serializers.UUIDField(required=False, allow_null=True)
    resource = ShortText(max_length=100, required=False, help_text="Needed where no preset is named.")
    format = ShortText(max_length=20, default="csv")
    compression = ShortText(max_length=10, required=False, allow_null=True)
    columns = BoundedList(child=ColumnChoice(), required=False, allow_null=True, max_length=MAX_COLUMNS)
    filters = BoundedObject(required=False, default=dict)
    ids = BoundedList(child=Anything(), required=False, allow_null=True, max_length=MAX_IDS, min_length=1)
    limit = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=2**62, help_text="Rows of the resource itself."
    )
    sheets = sheet_names()
    parameters = BoundedObject(required=False, default=dict, max_bytes=MAX_OBJECT_BYTES)
    options = BoundedObject(required=False, default=dict)
    shared_with = BoundedList(child=ShortText(max_length=200), required=False, default=list, max_length=MAX_SHARED)
    notify = NotifySerializer(required=False, default=dict)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "resource" not in attrs and not attrs.get("preset"):
            raise serializers.ValidationError({"resource": ["This field is required."]})
        return attrs

    def to_request(self, user: Any) -> Request:
        """The validated body in the engine's words, on top of the preset that it names."""
        given = self.validated_data
        whole = {name: given[name] for name in presets.FIELDS if name in given}
        if given.get("preset"):
            named = {name: value for name, value in whole.items() if name in self.initial_data}
            whole = presets.completed(user, given["preset"], named)
        whole |= {name: given.get(name) for name in ("ids", "limit")}
        return as_spelled(Request(**whole))

    def to_extras(self, *, idempotency_key: str, request_id: str) -> services.Extras:
        """What comes with the request but does not change the file."""
        given = self.validated_data
        return services.Extras(
            shared_with=given["shared_with"],
            notify=dict(given["notify"]),
            idempotency_key=idempotency_key,
            request_id=request_id,
        )


class ReasonSerializer(StrictSerializer):
    """Body of an act on an export; on another's, its owner reads why."""

    reason = ShortText(max_length=acts.MAX_REASON, required=False, allow_blank=True, default="")


def job_json(job: ExportJob, user: Any) -> dict[str, Any]:
    """The job as the API shows it."""
    return jobs_json([job], user)[0]


def jobs_json(jobs: Sequence[ExportJob], user: Any) -> list[dict[str, Any]]:
    """The same for a list, with what its jobs have in common looked up once."""
    places, allowed, base = progress.places(jobs), access.of(user), reverse("api:export-list")
    removed = persons.of_entries([job.removal or {} for job in jobs])
    return [_job_json(job, allowed, places, who, base) for job, who in zip(jobs, removed, strict=True)]


def _job_json(whole: ExportJob, allowed: Access, places: progress.Places, who: Who, base: str) -> dict[str, Any]:
    path = f"{base}{whole.pk}/"
    url = services.download_url(allowed, whole)
    job = allowed.shown(whole)
    columns, filters = allowed.sight.seen(job.resource, job.columns, job.filters)
    return {
        **status_json(job, places),
        "resource": job.resource,
        "format": job.format,
        "compression": job.compression or None,
        "strategy": job.strategy,
        "warnings": job.warnings,
        "columns": columns,
        "filters": filters,
        "ids": job.ids,
        "limit": job.row_limit,
        "parameters": job.parameters,
        "options": job.options,
        "estimated_rows": job.estimated_rows,
        "estimate_exact": job.estimate_exact,
        "file_name": job.file_name,
        "crc32": job.crc32 or None,
        "rows_verified": job.rows_verified,
        "sheets": [each for each in job.sheet_rows or () if allowed.sight.rights(each["resource"])],
        "snapshots": job.snapshots,
        "download_url": url,
        "download_url_expires_at": iso(clock.now() + services.LINK_LIFE) if url else None,
        "created_at": iso(job.created_at),
        "started_at": iso(job.started_at),
        "completed_at": iso(job.completed_at),
        "expires_at": iso(job.expires_at),
        "request_id": job.request_id,
        "owner": job.owner.get_username(),
        "shared_with": [person.get_username() for person in job.people],
        "removed": removal_json(job, who),
        "links": {"self": path, "events": f"{path}events/", "cancel": f"{path}cancel/"},
    }


def removal_json(job: ExportJob, who: Who) -> dict[str, Any] | None:
    """By whom it was removed, where that was not its owner."""
    if job.removal is None:
        return None
    return {"by": who.name, "at": iso(job.deleted_at), "reason": job.removal["reason"]}


def status_json(job: ExportJob, places: progress.Places | None = None) -> dict[str, Any]:
    """The part of a job that changes while it runs; ``places`` of a whole list, where there is one."""
    error = {"code": job.error_code, "detail": job.error_detail} if job.error_code else None
    how_far = progress.of(job, progress.places([job]) if places is None else places)
    return {
        "id": str(job.pk),
        "status": job.status,
        "progress": asdict(how_far),
        "attempt": job.failures + 1,
        "max_attempts": job.max_attempts,
        "next_attempt_at": iso(job.next_attempt_at),
        "error": error,
        "row_count": job.row_count,
        "file_size": job.file_size,
    }


def resource_json(resource: Resource, user: User) -> dict[str, Any]:
    """What this user may export from a resource, and how."""
    columns = resource.visible_columns(user)
    kinds = fields_of(resource, user, columns)
    return {
        "name": resource.name,
        "title": resource.get_title(),
        "description": resource.get_description(),
        "columns": [
            {"name": field.name, "label": field.label, "kind": field.kind.value, "sensitive": bool(column.sensitive)}
            for column, field in zip(columns, kinds, strict=True)
        ],
        "filters": [
            {
                "name": each.name,
                "label": each.label,
                "kind": each.kind,
                "multiple": each.multiple,
                "choices": [{"value": value, "label": label} for value, label in each.choices],
            }
            for each in allowed_filters(resource, user)
        ],
        "formats": list(resource.formats or FORMATS),
        "parameters": _parameters_json(resource),
        "limits": {"max_rows": resource.max_rows, "max_active": conf.settings.MAX_ACTIVE},
    }


def _parameters_json(resource: Resource) -> list[dict[str, Any]]:
    declared = resource.get_parameters_class()
    if declared is None:
        return []
    return [
        {
            "name": name,
            "label": str(field.label or name),
            "kind": type(field).__name__.removesuffix("Field").lower(),
            "required": field.required,
            "default": None if field.default is serializers.empty else field.get_default(),
            "help": str(field.help_text or ""),
        }
        for name, field in declared().fields.items()
    ]


def iso(moment: Any) -> str | None:
    """UTC with microseconds and offset, or None."""
    return moment.isoformat() if moment is not None else None


def _dict(detail: Any) -> dict[str, Any]:
    return detail if isinstance(detail, dict) else {"body": detail}
