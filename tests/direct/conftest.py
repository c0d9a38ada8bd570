"""Borders that a few rows reach."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def small(settings: Any) -> None:
    """Ten rows and fewer are built, twenty and fewer streamed."""
    settings.EXPORTS_DIRECT_MAX_ROWS, settings.EXPORTS_STREAM_MAX_ROWS = 10, 20
