"""What most encoders have in common: nothing around the rows but what a format adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from exports_app.pipeline.types import Chunk, Field, Options


class PlainEncoder:
    """Chunks as they come. A part may end anywhere, and nothing has to be known to go on."""

    def __init__(self, fields: Sequence[Field], options: Options, state: Mapping[str, Any] | None) -> None:
        """For formats whose rows say it all."""

    def start(self) -> bytes:
        return b""

    def write(self, chunk: Chunk) -> bytes:
        return chunk.data

    def cut(self) -> bytes:
        return b""

    def finish(self, rows: int) -> bytes:
        return b""

    def state(self) -> dict[str, Any]:
        return {}

    def room(self) -> int | None:
        return None
