"""Rows that PostgreSQL gives in key order and Python finishes, a batch at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from exports_app.pipeline.sources.counting import Countable
from exports_app.pipeline.sources.sql import TARGET_CHUNK_BYTES, SqlSource
from exports_app.pipeline.types import Chunk, Cursor, RowRenderer, SqlRows

BATCH_ROWS = 500
"""Rows that are finished at once, with the objects and all that is fetched beside them: some kilobytes each."""
NULL = b"\\N"

Record = list[bytes | None]
"""One row, each column as PostgreSQL prints it."""
Finish = Callable[[Sequence[Record]], Sequence[Sequence[object]]]
"""Rows of PostgreSQL's texts to rows of the file's values."""

_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_CONTROL = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def as_records(expressions: Sequence[str]) -> SqlRows:
    """How PostgreSQL sends rows that ``records`` reads."""
    return SqlRows(
        expressions=tuple(expressions), copy_options="FORMAT text", delimiter=b"\t", joint=b"\n", end=b"", null=NULL
    )


def records(data: bytes) -> list[Record]:
    """The rows of a chunk."""
    return [[None if text == NULL else _plain(text) for text in line.split(b"\t")] for line in data.split(b"\n")]


class FinishedSource:
    """One run over the rows of ``source``, in its order, from its snapshot, with its cursors.

    ``source`` gives records, and ``types`` are OIDs of the columns of finished rows, 0 for what Python makes. Raises
    what ``source`` and ``finish`` raise.
    """

    def __init__(
        self,
        source: SqlSource,
        finish: Finish,
        render: RowRenderer,
        *,
        types: Sequence[int],
        close: Callable[[], None] | None = None,
    ) -> None:
        self._source, self._finish, self._render, self._close = source, finish, render, close
        self.types = types
        self._batch = BATCH_ROWS
        self.moment: datetime = source.moment
        self.last: Cursor | None = source.last

    def read(self, limit: int) -> Chunk | None:
        """The next ``limit`` rows at most (fewer where rows are wide); None after the last one."""
        chunk = self._source.read(min(limit, self._batch))
        if chunk is None:
            return None
        data = self._render(self._finish(records(chunk.data)))
        fitting = TARGET_CHUNK_BYTES * chunk.rows // max(1, len(data))
        self._batch = max(1, min(BATCH_ROWS, fitting, self._batch * 2))
        return replace(chunk, data=data)

    def share_snapshot(self) -> str:
        """A name under which another source reads what this one reads."""
        return self._source.share_snapshot()

    def countable(self) -> Sequence[Countable]:
        """What gives the rows: whoever finishes them, their number is PostgreSQL's."""
        return self._source.countable()

    def close(self) -> None:
        """Close all connections. May be called twice."""
        try:
            if self._close is not None:
                self._close()
        finally:
            self._source.close()


def _plain(text: bytes) -> bytes:
    return _ESCAPED.sub(lambda match: _CONTROL.get(match[1], match[1]), text) if b"\\" in text else text
