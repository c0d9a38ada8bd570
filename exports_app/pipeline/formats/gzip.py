"""gzip around a text format: one member a part, so that another run can go on behind any of them."""

from __future__ import annotations

from typing import Any

from exports_app.pipeline.formats.deflate import Deflate
from exports_app.pipeline.types import Chunk, Encoder, Warns

GZIP_WBITS = 31


class GzipEncoder:
    """Compresses what another encoder gives. ``cut`` ends a member (RFC 1952 §2.2 joins members)."""

    def __init__(self, inner: Encoder, *, resumed: bool = False) -> None:
        self._inner = inner
        self._member: Deflate | None = None
        self._empty = not resumed

    def start(self) -> bytes:
        return self._compress(self._inner.start())

    def write(self, chunk: Chunk) -> bytes:
        return self._compress(self._inner.write(chunk))

    def cut(self) -> bytes:
        return self._compress(self._inner.cut()) + self._end_member()

    def finish(self, rows: int) -> bytes:
        data = self._compress(self._inner.finish(rows))
        if self._empty:
            self._begin_member()  # a file of no bytes is no gzip file; one empty member is
        return data + self._end_member()

    def state(self) -> dict[str, Any]:
        return self._inner.state()

    def room(self) -> int | None:
        return self._inner.room()

    def warnings(self) -> list[str]:
        return self._inner.warnings() if isinstance(self._inner, Warns) else []

    def _compress(self, data: bytes) -> bytes:
        if not data:
            return b""
        return (self._member or self._begin_member()).compress(data)

    def _begin_member(self) -> Deflate:
        self._member = Deflate(GZIP_WBITS)
        self._empty = False
        return self._member

    def _end_member(self) -> bytes:
        if self._member is None:
            return b""
        end = self._member.flush()
        self._member = None
        return end
