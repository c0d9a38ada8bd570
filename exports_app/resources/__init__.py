"""What a team declares: ``from exports_app.resources import Column, Resource, register``."""

from __future__ import annotations

from exports_app.resources.base import Resource
from exports_app.resources.columns import Column
from exports_app.resources.registry import register

__all__ = ["Column", "Resource", "register"]
