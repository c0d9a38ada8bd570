"""What a team declares: ``from exports_app.resources import Column, Resource, Sheet, register``."""

from __future__ import annotations

from exports_app.resources.base import Resource, Sheet
from exports_app.resources.columns import Column
from exports_app.resources.registry import register
from exports_app.resources.retry import RetryPolicy

__all__ = ["Column", "Resource", "RetryPolicy", "Sheet", "register"]
