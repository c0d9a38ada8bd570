"""The related tables that a workbook may have, to be ticked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exports_app.pipeline.formats import get_format
from exports_app.resources import registry
from exports_app.resources.base import Resource


def offered(resource: Resource, user: Any) -> list[tuple[str, str]]:
    """Name and title of each related table that the user may export."""
    allowed = {each.name: each for each in registry.allowed(user)} if resource.sheets else {}
    return [
        (sheet.resource, sheet.title or allowed[sheet.resource].get_title())
        for sheet in resource.sheets
        if sheet.resource in allowed
    ]


def with_sheets(formats: Sequence[str]) -> list[str]:
    """Those of the formats that hold several tables."""
    return [name for name in formats if get_format(name).sheets]
