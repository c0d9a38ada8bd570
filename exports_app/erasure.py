"""What is forgotten: of exports that were deleted, and of people who leave."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models.functions import Now

from exports_app import lifecycle, removals
from exports_app.choices import ACTIVE
from exports_app.logs import log
from exports_app.models import ExportJob, ExportPart

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


def remove_files() -> None:
    """Have the files of rows that go removed with them, once that is committed: the last of them then, all soon."""
    if not any(call is removals.bury_at_once for _, call, *_ in connection.run_on_commit):  # of many users, once
        transaction.on_commit(removals.bury_at_once, robust=True)


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
