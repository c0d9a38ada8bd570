"""Exports as operators see them. Rows are read only; what can be done goes through the services."""

from __future__ import annotations

from exports_app.admin import jobs, keys, runs, webhooks

__all__ = ["jobs", "keys", "runs", "webhooks"]
