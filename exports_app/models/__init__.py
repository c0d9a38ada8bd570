"""Rows of the engine. What may never be is a constraint of the database; state moves only in ``lifecycle``."""

from __future__ import annotations

from exports_app.models.history import ExportCounter, ExportEvent, ExportPerformance, ExportPerson, ExportShare
from exports_app.models.jobs import ExportJob, ExportPart, ExportStore, ExportTombstone
from exports_app.models.keys import ApiKey, ExportPreset, ExportToken
from exports_app.models.notices import ExportNotification, ExportWebhook
from exports_app.models.turns import ExportSlot, ExportSweep, ExportTurn

__all__ = [
    "ApiKey",
    "ExportCounter",
    "ExportEvent",
    "ExportJob",
    "ExportNotification",
    "ExportPart",
    "ExportPerformance",
    "ExportPerson",
    "ExportPreset",
    "ExportShare",
    "ExportSlot",
    "ExportStore",
    "ExportSweep",
    "ExportToken",
    "ExportTombstone",
    "ExportTurn",
    "ExportWebhook",
]
