"""The Celery app. ``celery -A workers.celery worker -Q exports`` runs it; settings are Django's ``CELERY_*``."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging

from workers import broker  # noqa: F401 - mends the transport

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exportsite.settings")

app = Celery("exports")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["workers"])


@setup_logging.connect
def configure_logging(**_: Any) -> None:
    """Django's ``LOGGING`` stands in workers too, in place of Celery's own."""
    from logging.config import dictConfig

    from django.conf import settings

    dictConfig(settings.LOGGING)


@app.on_after_configure.connect
def schedule_upkeep(sender: Celery, **_: Any) -> None:
    """What beat rings for; every task is safe to run twice at once."""
    from exports_app import conf

    # Expiry is judged by the worker's clock, so it must be longer than clocks are apart; it bounds what piles up.
    options = {"queue": "maintenance", "expires": 3_600}
    sender.conf.beat_schedule = {
        "sweep": {
            "task": "exports.sweep",
            "schedule": float(conf.settings.SWEEP_SECONDS),
            "options": options,
        },
        "prune": {
            "task": "exports.prune",
            "schedule": 300.0,
            "options": options,
        },
        "orphans": {
            "task": "exports.sweep_orphans",
            "schedule": 3_600.0,
            "options": options,
        },
    }
