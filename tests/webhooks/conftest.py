"""A server that hears webhooks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.receiver import Receiver


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.EXPORTS_WEBHOOK_ALLOW_PRIVATE = True
    with Receiver() as server:
        yield server
