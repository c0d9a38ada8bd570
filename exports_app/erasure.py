"""What is forgotten of exports that were deleted."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Now

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
    ExportJob.objects.filter(pk=job_id).update(deleted_at=Now(), removal=removal, **_BLANK)
    ExportPart.objects.filter(job_id=job_id).delete()
