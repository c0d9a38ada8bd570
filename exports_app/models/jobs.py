"""The export itself: its row, its stored parts, and what is left of it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.functional import cached_property

from exports_app.choices import ACTIVE, Queue, Status, Strategy
from exports_app.pipeline.parts import MAX_PARTS
from exports_app.pipeline.types import StoredPart, Upload

UNREADABLE = Q(status=Status.EXPIRED) | Q(status=Status.COMPLETED, deleted_at__isnull=False)
"""Jobs whose file nobody may fetch any more."""
UNFINISHED = Q(status__in=(Status.CANCELLED, Status.FAILED))
"""Jobs that ended without a file."""
LEAVING = UNREADABLE | UNFINISHED
"""Jobs of which nothing shall stay in the storage."""


class Removable(models.Model):
    """A row that names a file which has to go, sooner or later."""

    discard_failures = models.PositiveSmallIntegerField(default=0, db_default=0)
    """Times that the storage refused to remove it."""
    discard_due_at = models.DateTimeField(null=True, blank=True)
    """Nobody tries to remove it before; also while somebody does."""

    class Meta:
        abstract = True


class ExportJob(Removable):
    """One export from request to expiry. This row is the only truth about it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="export_jobs")
    shared_with = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="shared_export_jobs", blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True)
    """When somebody deleted it; the row stays for limits and audit until it is pruned."""
    removal = models.JSONField(null=True, blank=True)
    """``{"person", "reason"}`` where somebody else than its owner deleted it; the site itself has no ``person``."""

    # What was asked for, as it was resolved
    resource = models.CharField(max_length=100)
    format = models.CharField(max_length=20)
    compression = models.CharField(max_length=10, blank=True, default="")
    columns = models.JSONField(default=list)
    """``[{"name", "label"}]``, in file order."""
    filters = models.JSONField(default=dict)
    ids = models.JSONField(null=True, blank=True)
    sheets = models.JSONField(null=True, blank=True)
    """Names of the related tables that the file shall hold; null: all that the resource has."""
    tables = models.JSONField(null=True, blank=True)
    """``[{"resource", "columns", "permissions", "rights"}]`` of every table of the file, the main one first: what it
    was made with. Null: a job of a version that did not record it."""
    row_limit = models.PositiveBigIntegerField(null=True, blank=True)
    parameters = models.JSONField(default=dict)
    options = models.JSONField(default=dict)
    """All options that the format heeds, defaults spelled out."""
    context = models.JSONField(default=dict)
    """Who asked and why, for resources that keep it."""
    notify = models.JSONField(default=dict)
    file_name = models.CharField(max_length=200)
    request_id = models.CharField(max_length=100, blank=True, default="")
    idempotency_key = models.CharField(max_length=200, null=True, blank=True)
    idempotency_hash = models.CharField(max_length=64, blank=True, default="")

    # How it is going
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    strategy = models.CharField(max_length=10, choices=Strategy.choices, default=Strategy.BACKGROUND)
    queue = models.CharField(max_length=20, choices=Queue.choices, default=Queue.SMALL)
    estimated_rows = models.PositiveBigIntegerField(null=True, blank=True)
    estimate_exact = models.BooleanField(default=False)
    rows_done = models.PositiveBigIntegerField(default=0)
    bytes_done = models.PositiveBigIntegerField(default=0)
    rows_per_second = models.FloatField(null=True, blank=True)
    warnings = models.JSONField(default=list)
    snapshots = models.JSONField(default=list)
    """``[{"at", "after_key", "rows_before"}]``: each moment the rows were read at."""
    last_key = models.JSONField(null=True, blank=True)
    """Key of the last row of the file, fixed by the first run."""
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    # Who has it
    claim = models.PositiveIntegerField(default=0)
    """Raised at every claim; everything a worker writes is guarded by it."""
    failures = models.PositiveSmallIntegerField(default=0)
    """Runs that failed in a way that may pass; the retry budget."""
    crashes = models.PositiveSmallIntegerField(default=0)
    """Leases lost in a row without a recorded part between."""
    max_attempts = models.PositiveSmallIntegerField(default=3)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    outage_since = models.DateTimeField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    rung_at = models.DateTimeField(null=True, blank=True)
    """When a message was last sent for it."""
    worker = models.CharField(max_length=200, blank=True, default="")

    # The file
    file_key = models.CharField(max_length=300, blank=True, default="")
    upload_number = models.PositiveIntegerField(default=0)
    """Raised at each upload that starts from the first byte; part of the object's key."""
    upload_id = models.CharField(max_length=1024, blank=True, default="")
    write_token = models.CharField(max_length=64, blank=True, default="")
    row_count = models.PositiveBigIntegerField(null=True, blank=True)
    """Of the resource's own rows; those of related tables are in ``sheet_rows``."""
    sheet_rows = models.JSONField(null=True, blank=True)
    """``[{"resource", "rows"}]`` of the related tables, in their order."""
    rows_counted = models.PositiveBigIntegerField(null=True, blank=True)
    """Rows of the file, up to the end of a part, that an independent count has confirmed."""
    rows_verified = models.BooleanField(null=True, blank=True)
    """True: an independent count agreed with the rows written. Null: there was none; ``warnings`` say why."""
    file_size = models.PositiveBigIntegerField(null=True, blank=True)
    crc32 = models.CharField(max_length=8, blank=True, default="")
    etag = models.CharField(max_length=200, blank=True, default="")

    # Why it failed
    error_code = models.CharField(max_length=40, blank=True, default="")
    error_detail = models.TextField(blank=True, default="")
    error_trace = models.TextField(blank=True, default="")
    """For operators; never shown to users."""

    class Meta:
        ordering = ["-created_at", "-id"]
        permissions = [
            ("download_others", "Can download others' exports"),
            ("view_error_trace", "Can view tracebacks of exports"),
            ("unlimited", "Can ask for any number of exports"),
        ]
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"], name="export_job_owner_v1"),
            models.Index(fields=["-created_at", "-id"], name="export_job_newest_v1"),
            models.Index(
                fields=["queue", "created_at"], name="export_job_queued_v1", condition=Q(status=Status.QUEUED)
            ),
            models.Index(
                "queue",
                "owner",
                models.Func(models.Value("UTC"), "created_at", function="timezone"),
                "id",
                name="export_job_due_v1",
                condition=Q(status=Status.QUEUED, next_attempt_at=None),
            ),
            models.Index(
                fields=["queue", "rung_at"],
                name="export_job_bell_v1",
                condition=Q(status=Status.QUEUED, next_attempt_at=None),
            ),
            models.Index(
                fields=["next_attempt_at"],
                name="export_job_later_v1",
                condition=Q(status=Status.QUEUED, next_attempt_at__isnull=False),
            ),
            models.Index(fields=["lease_expires_at"], name="export_job_lease_v1", condition=Q(status=Status.RUNNING)),
            models.Index(fields=["owner"], name="export_job_active_v1", condition=Q(status__in=ACTIVE)),
            models.Index(
                fields=["owner", "started_at"], name="export_job_served_v1", condition=Q(started_at__isnull=False)
            ),
            models.Index(fields=["expires_at"], name="export_job_expiry_v1", condition=Q(status=Status.COMPLETED)),
            models.Index(fields=["request_id"], name="export_job_request_v1", condition=~Q(request_id="")),
            models.Index(fields=["completed_at"], name="export_job_ended_v1"),
            models.Index(fields=["completed_at"], name="export_job_leaving_v1", condition=~Q(file_key="") & LEAVING),
            models.Index(fields=["discard_due_at"], name="export_job_refused_v1", condition=Q(discard_failures__gt=0)),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=Status.values), name="export_job_status"),
            models.CheckConstraint(condition=Q(queue__in=Queue.values), name="export_job_queue"),
            models.CheckConstraint(condition=Q(strategy__in=Strategy.values), name="export_job_strategy"),
            models.CheckConstraint(
                condition=~Q(status=Status.RUNNING) | Q(lease_expires_at__isnull=False, claim__gt=0),
                name="export_job_running_has_lease",
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.COMPLETED)
                | Q(row_count__isnull=False, file_size__isnull=False, completed_at__isnull=False),
                name="export_job_completed_has_file",
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.FAILED) | ~Q(error_code=""), name="export_job_failed_has_reason"
            ),
            models.UniqueConstraint(fields=["owner", "idempotency_key"], name="export_job_idempotency"),
        ]

    def __str__(self) -> str:
        """Nothing of what it holds: it is also read by who deletes its owner."""
        return f"Export {self.pk}"

    def contents(self) -> list[tuple[str, list[str]]]:
        """Resource and columns of each table of its file; of the main one alone where no others were recorded."""
        if self.tables is None:
            return [(self.resource, [column["name"] for column in self.columns])]
        return [(table["resource"], table["columns"]) for table in self.tables]

    def names(self) -> dict[str, str]:
        """What stands in every log line about it."""
        return {"job": str(self.pk), "resource": self.resource, "request_id": self.request_id}

    @cached_property
    def people(self) -> list[Any]:
        """Users it is shared with; of a whole list they are looked up at once (``Prefetch(to_attr="people")``)."""
        return list(self.shared_with.all())

    def has_expired(self, now: datetime) -> bool:
        """Whether the time of a finished file is over, whether or not the sweep came by."""
        return self.status == Status.COMPLETED and self.expires_at is not None and self.expires_at <= now

    @property
    def has_file(self) -> bool:
        """Whether there is one to fetch; that of a deleted export may still wait to be removed."""
        return bool(self.file_key) and self.deleted_at is None

    def upload(self) -> Upload:
        """What it writes to, or wrote to, as the storage knows it; only where ``file_key`` names one."""
        return Upload(key=self.file_key, token=self.write_token, id=self.upload_id or None)


class ExportPart(models.Model):
    """A checkpoint: one stored part of a job's upload, and all that is needed to go on behind it."""

    job = models.ForeignKey(ExportJob, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    etag = models.CharField(max_length=200)
    offset = models.PositiveBigIntegerField()
    size = models.PositiveBigIntegerField()
    rows = models.PositiveBigIntegerField()
    """Rows of the file up to the end of this part."""
    cursor: models.JSONField[Any, Any] = models.JSONField(null=True)
    crc32 = models.PositiveBigIntegerField()
    """CRC-32 of the file up to the end of this part."""
    state = models.JSONField(default=dict)
    tail = models.BinaryField(default=b"", db_default=b"")
    """Bytes of the file behind this part that ``rows``, ``cursor`` and ``state`` are beyond; kept of the newest."""
    inner = models.BooleanField(default=False, db_default=False)
    """No run can go on behind it."""
    last = models.BooleanField(default=False)
    """Nothing comes behind it: another run only has to complete the upload."""
    claim = models.PositiveIntegerField()
    stored_at = models.DateTimeField(db_default=Now(), editable=False)

    KEPT_TAILS = 3
    """Parts, the newest ones, that a run can go on behind where parts have one size; a tail may have a megabyte."""

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="export_part_number"),
            models.CheckConstraint(condition=Q(number__gte=1, number__lte=MAX_PARTS), name="export_part_range"),
        ]

    @classmethod
    def of(cls, job: ExportJob, part: StoredPart, *, lasting: bool) -> ExportPart:
        """``lasting``: another run can go on behind it, and needs what it has to know."""
        return cls(
            job=job,
            number=part.number,
            etag=part.etag,
            offset=part.offset,
            size=part.size,
            rows=part.rows,
            cursor=list(part.cursor) if part.cursor is not None else None,
            crc32=part.crc32,
            state=part.state,
            tail=part.tail if lasting else b"",
            inner=part.inner,
            last=part.last,
            claim=job.claim,
        )

    @classmethod
    def forget_tails(cls, job: ExportJob, parts: Sequence[StoredPart]) -> None:
        """Keep of all but the newest that ``parts``, just recorded, end with no more than what they prove."""
        if not any(part.tail or (part.last and part.number > 1) for part in parts):
            return
        end = parts[-1].number if parts[-1].last else parts[-1].number - cls.KEPT_TAILS
        cls.objects.filter(job=job, number__lte=end).exclude(tail=b"").update(tail=b"", inner=True)


class ExportStore(models.Model):
    """What was found out about a store of files; every worker reads it."""

    name = models.CharField(max_length=500, unique=True)
    """Address and bucket."""
    equal_parts = models.BooleanField(default=False, db_default=False)
    """It takes parts of one size only."""

    def __str__(self) -> str:
        return self.name


class ExportTombstone(Removable):
    """Where a file may be whose export's row is gone; made by a trigger, whatever deleted the row."""

    file_key = models.CharField(max_length=300)
    write_token = models.CharField(max_length=64)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.file_key

    def upload(self) -> Upload:
        """As the storage knows it; the id of an unfinished upload is to be looked up."""
        return Upload(key=self.file_key, token=self.write_token)
