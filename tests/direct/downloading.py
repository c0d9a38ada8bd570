"""What the tests of downloads share."""

from __future__ import annotations

import threading
from typing import Any

from rest_framework.test import APIClient

from exports_app.models import ExportJob
from exportsite.samples.models import Customer

PATH = "/api/v1/exports/download/"


def download(api: APIClient, **body: Any) -> Any:
    return api.post(PATH, {"resource": "customers", "columns": ["id", "country_code"], **body})


def only_job() -> ExportJob:
    await_streams()
    return ExportJob.objects.get()


def await_streams() -> None:
    """Until no thread makes a file any more."""
    for thread in threading.enumerate():
        if thread.name.startswith("stream-"):
            thread.join(10)


def ids() -> list[int]:
    return list(Customer.objects.order_by("id").values_list("id", flat=True))
