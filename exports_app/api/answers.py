"""Shapes of what the API answers, for its schema; ``serializers`` builds the very bodies."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from exports_app.choices import Status, Strategy
from exports_app.pipeline import errors as pipeline_errors
from exports_app.pipeline.formats import FORMATS
from exports_app.pipeline.types import Kind

JOB_CODES = sorted({each.code for each in pipeline_errors.every()})
PROGRESS = {
    "percent": 41.7,
    "rows": 417_000,
    "total_rows": 1_000_000,
    "bytes": 67_108_864,
    "rows_per_second": 402_113,
    "eta_seconds": 1.4,
    "queue_position": None,
}
STATUS = {
    "id": "0199f0a2-6b1e-4a6e-9f4c-0d7a3c1b2e55",
    "status": "running",
    "progress": PROGRESS,
    "attempt": 1,
    "max_attempts": 3,
    "next_attempt_at": None,
    "error": None,
    "row_count": None,
    "file_size": None,
}
_PATH = f"/api/v1/exports/{STATUS['id']}/"
JOB = {
    **STATUS,
    "resource": "transactions",
    "format": "csv",
    "compression": "gzip",
    "strategy": "background",
    "warnings": [],
    "columns": [{"name": "id", "label": "ID"}, {"name": "amount", "label": "Total"}],
    "filters": {"status": ["SETTLED"], "booked_at_after": "2024-01-01"},
    "ids": None,
    "limit": None,
    "parameters": {},
    "options": {"delimiter": ";", "bom": True, "header": True, "line_ending": "lf", "escape_formulas": True},
    "estimated_rows": 1_000_000,
    "estimate_exact": True,
    "file_name": "transactions-2026-02-26.csv.gz",
    "crc32": None,
    "rows_verified": None,
    "sheets": [],
    "snapshots": [{"at": "2026-02-26T12:00:00.250000+00:00", "after_key": None, "rows_before": 0}],
    "download_url": None,
    "download_url_expires_at": None,
    "created_at": "2026-02-26T12:00:00.120000+00:00",
    "started_at": "2026-02-26T12:00:00.240000+00:00",
    "completed_at": None,
    "expires_at": "2026-02-27T12:00:00.120000+00:00",
    "request_id": "5a4f3c0e-7a55-4c4f-a2a7-0d8e3b3f5b6c",
    "owner": "alice",
    "shared_with": ["bob"],
    "removed": None,
    "links": {"self": _PATH, "events": f"{_PATH}events/", "cancel": f"{_PATH}cancel/"},
}


class Answer(serializers.Serializer[Any]):
    """A body that is only ever sent: every field of it is always there."""


class PageSerializer(Answer):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


# A field may be named as an attribute of the serializer is: DRF takes the fields out of the class.


class ErrorSerializer(Answer):
    """Why a request was refused."""

    code = serializers.CharField(help_text="What went wrong, from a closed set.")
    detail = serializers.CharField(help_text="The same as a sentence for people.")
    errors = serializers.DictField(required=False, help_text="What is wrong with which field; nests as the body does.")  # type: ignore[assignment]


class ColumnSerializer(Answer):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    kind = serializers.ChoiceField(choices=[kind.value for kind in Kind])
    sensitive = serializers.BooleanField()


class ChoiceSerializer(Answer):
    value = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]


class FilterSerializer(Answer):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    kind = serializers.CharField(help_text="choice, text, number, date, datetime or boolean.")
    multiple = serializers.BooleanField(help_text="A list means any of.")
    choices = ChoiceSerializer(many=True)


class ParameterSerializer(Answer):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    kind = serializers.CharField()
    required = serializers.BooleanField()  # type: ignore[assignment]
    default = serializers.JSONField()
    help = serializers.CharField(allow_blank=True)


class LimitsSerializer(Answer):
    max_rows = serializers.IntegerField(allow_null=True)
    max_active = serializers.IntegerField(help_text="Exports queued or running at once; 0: no limit.")


class ResourceSerializer(Answer):
    """What you may export from one resource, and how."""

    name = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    columns = ColumnSerializer(many=True)
    filters = FilterSerializer(many=True)
    formats = serializers.ListField(child=serializers.ChoiceField(choices=list(FORMATS)))
    parameters = ParameterSerializer(many=True)
    limits = LimitsSerializer()


class ProgressSerializer(Answer):
    """How far an export is; what nobody knows is null."""

    percent = serializers.FloatField(min_value=0, max_value=100, allow_null=True, help_text="100 once it is proven.")
    rows = serializers.IntegerField(min_value=0)
    total_rows = serializers.IntegerField(min_value=0, allow_null=True, help_text="The estimate until the end.")
    bytes = serializers.IntegerField(min_value=0)
    rows_per_second = serializers.IntegerField(min_value=0, allow_null=True)
    eta_seconds = serializers.FloatField(min_value=0, allow_null=True)
    queue_position = serializers.IntegerField(min_value=1, allow_null=True)


class JobErrorSerializer(Answer):
    """Why an export failed, or waits for its next attempt."""

    code = serializers.CharField(help_text=f"One of {', '.join(JOB_CODES)}.")
    detail = serializers.CharField()


@extend_schema_serializer(examples=[OpenApiExample("running", value=STATUS, response_only=True)])
class StatusSerializer(Answer):
    """The part of an export that changes while it runs."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=Status.choices)
    progress = ProgressSerializer()
    attempt = serializers.IntegerField(min_value=1)
    max_attempts = serializers.IntegerField(min_value=1)
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    error = JobErrorSerializer(allow_null=True)
    row_count = serializers.IntegerField(min_value=0, allow_null=True)
    file_size = serializers.IntegerField(min_value=0, allow_null=True)


class JobColumnSerializer(Answer):
    name = serializers.CharField()
    label = serializers.CharField(allow_null=True)  # type: ignore[assignment]


class SnapshotSerializer(Answer):
    """A moment that rows were read at, and where in the file they begin."""

    at = serializers.DateTimeField()
    after_key = serializers.ListField(child=serializers.CharField(), allow_null=True)
    rows_before = serializers.IntegerField(min_value=0)


class SheetRowsSerializer(Answer):
    """Rows of a related table; those of the resource itself are ``row_count``."""

    resource = serializers.CharField()
    rows = serializers.IntegerField(min_value=0)


class RemovalSerializer(Answer):
    """An export that somebody else than its owner deleted, as its owner sees it."""

    by = serializers.CharField()
    at = serializers.DateTimeField()
    reason = serializers.CharField(allow_blank=True)


class LinksSerializer(Answer):
    self = serializers.CharField()
    events = serializers.CharField()
    cancel = serializers.CharField()


@extend_schema_serializer(examples=[OpenApiExample("running", value=JOB, response_only=True)])
class JobSerializer(StatusSerializer):
    """One export. Without the permission for its data you see its state alone, all else empty."""

    resource = serializers.CharField(allow_blank=True)
    format = serializers.CharField()
    compression = serializers.CharField(allow_null=True)
    strategy = serializers.ChoiceField(choices=Strategy.choices)
    warnings = serializers.ListField(child=serializers.JSONField())
    columns = JobColumnSerializer(many=True)
    filters = serializers.DictField()
    ids = serializers.ListField(child=serializers.JSONField(), allow_null=True)
    limit = serializers.IntegerField(allow_null=True)
    parameters = serializers.DictField()
    options = serializers.DictField()
    estimated_rows = serializers.IntegerField(min_value=0, allow_null=True)
    estimate_exact = serializers.BooleanField()
    file_name = serializers.CharField(allow_blank=True)
    crc32 = serializers.CharField(allow_null=True, help_text="Of the file's bytes, 8 hexadecimal digits.")
    rows_verified = serializers.BooleanField(
        allow_null=True, help_text="True: a count apart from the reading agreed. Null: not counted; `warnings` say why."
    )
    sheets = SheetRowsSerializer(many=True, help_text="Rows of the related tables of a finished workbook.")
    snapshots = SnapshotSerializer(many=True)
    download_url = serializers.CharField(allow_null=True, help_text="Made afresh at each read, valid for 15 minutes.")
    download_url_expires_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    completed_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    request_id = serializers.CharField()
    owner = serializers.CharField()
    shared_with = serializers.ListField(child=serializers.CharField())
    removed = RemovalSerializer(allow_null=True)
    links = LinksSerializer()


class AcceptedJobSerializer(JobSerializer):
    """An export that was just asked for."""

    message = serializers.CharField(help_text="A sentence for people.")


class GoneJobSerializer(JobSerializer):
    """An export whose file has expired, with the error beside it."""

    code = serializers.CharField()
    detail = serializers.CharField()


class JobPageSerializer(PageSerializer):
    results = JobSerializer(many=True)


class HealthSerializer(Answer):
    """The figures are for operators."""

    status = serializers.ChoiceField(choices=["ok"])
    queued = serializers.IntegerField(required=False, help_text="Now.")
    running = serializers.IntegerField(required=False, help_text="Now.")
    processed = serializers.IntegerField(required=False, help_text="Completed since midnight UTC.")
    failed = serializers.IntegerField(required=False)
    retried = serializers.IntegerField(required=False, help_text="Of those that ended, in how many a run failed.")
    avg_duration_ms = serializers.FloatField(required=False, allow_null=True)
    since = serializers.DateTimeField(required=False)
    refused_removals = serializers.IntegerField(
        required=False, help_text="Files that the storage refused to remove so far; each is tried again."
    )


class CheckSerializer(Answer):
    ok = serializers.BooleanField()
    ms = serializers.FloatField()


class ChecksSerializer(Answer):
    database = CheckSerializer()
    migrations = CheckSerializer()
    source = CheckSerializer()  # type: ignore[assignment]
    redis = CheckSerializer()
    s3 = CheckSerializer()
    workers = CheckSerializer()


class ReadinessSerializer(Answer):
    status = serializers.ChoiceField(choices=["ok", "degraded", "unavailable"])
    detail = serializers.CharField(required=False, help_text="What to do, where the database is not migrated.")
    checks = ChecksSerializer(required=False, help_text="For operators.")
