"""What the tests of the pages share: exports in any state, and pages as they are read."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from exports_app.choices import Status
from exports_app.models import ExportJob

HOUR = timedelta(hours=1)
COMPLETED = {"row_count": 1_234_567, "file_size": 67_108_864, "crc32": "9f3a01bc", "file_key": "exports/1/x.csv"}


def make_job(owner: User, status: str = Status.QUEUED, **values: Any) -> ExportJob:
    """An export as it stands in the table, in any state."""
    now = timezone.now()
    given: dict[str, Any] = {
        "resource": "customers",
        "format": "csv",
        "columns": [{"name": "id", "label": "ID"}, {"name": "email", "label": "E-mail"}],
        "file_name": "customers-2026-02-26.csv",
        "expires_at": now + 24 * HOUR,
    }
    if status == Status.RUNNING:
        given |= {"claim": 1, "lease_expires_at": now + HOUR, "started_at": now}
    if status in (Status.COMPLETED, Status.EXPIRED):
        given |= {**COMPLETED, "started_at": now, "completed_at": now + timedelta(seconds=3.2)}
    if status == Status.FAILED:
        given |= {"error_code": "internal", "error_detail": "The export could not be made."}
    return ExportJob.objects.create(owner=owner, status=status, **given | values)


def text(response: Any) -> str:
    """What a reader sees, in one line."""
    body = re.sub(r"<(script|style|head)\b.*?</\1>", "", response.content.decode(), flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", body).replace("\N{NO-BREAK SPACE}", " ").replace("&#x27;", "'").split())


def controls(response: Any) -> list[str]:
    return re.findall(r'data-testid="([^"]+)"', response.content.decode())
