"""What is forgotten: of exports that were deleted, and of people who leave."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models.functions import Now

from exports_app import lifecycle, orphans
from exports_app.choices import ACTIVE
from exports_app.logs import log
from exports_app.models import ExportJob, ExportPart
from exports_app.pipeline.errors import PipelineError

_BLANK: dict[str, Any] = {
    "filters": {},
    "ids": None,
    "parameters": {},
    "context": {},
    "snapshots": [],
    "last_key": None,
    "file_name": "",
    "error_detail": "",
    "error_trace": "",
    "warnings": [],
}
"""Of a job that was deleted."""


def remove(job_id: Any, *, removal: dict[str, str] | None) -> None:
    """Hide a job and blank what its request said; who asked for which data, when, and how much came of it stays.

    ``removal``: what its owner is told, where somebody else did it.
    """
    rows = ExportJob.objects.filter(pk=job_id)
    tables = rows.values_list("tables", flat=True).get()
    nobodys = tables and [{**table, "rights": None} for table in tables]  # which may name regions, accounts, people
    rows.update(deleted_at=Now(), removal=removal, tables=nobodys, **_BLANK)
    ExportPart.objects.filter(job_id=job_id).delete()


def remove_file(job: ExportJob) -> None:
    """Have the file and any unfinished upload of a row that goes removed with it, once that is committed."""
    if job.file_key:
        transaction.on_commit(lambda: _discard(job), robust=True)


def _discard(job: ExportJob) -> None:
    try:
        orphans.discard_all(job.upload())
    except PipelineError as error:
        log.warning("export.leftover", **job.names(), code=error.code)


def erase_user(user: Any) -> int:
    """Delete a user with all that is theirs; gives how many exports they had.

    Their runs end, their files, links, keys, presets and webhooks go; in the histories of others' exports they are a
    former user. Raises what deleting the user raises, and then nothing has changed.
    """
    with transaction.atomic():
        mine = ExportJob.objects.filter(owner=user)
        for job in mine.filter(status__in=ACTIVE):
            lifecycle.cancel(job.pk)
        exports = mine.count()
        get_user_model()._default_manager.get(pk=user.pk).delete()
    log.info("export.user.erased", exports=exports)
    return exports
