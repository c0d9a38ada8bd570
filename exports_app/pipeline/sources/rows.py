"""Rows that Python makes, rendered by the same format to the same bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from exports_app.pipeline import errors
from exports_app.pipeline.types import Chunk, Cursor, RowRenderer

BATCH_ROWS = 1_000
"""Rows of one chunk: Python's values are some hundred times larger than their bytes in a file."""

RowMaker = Callable[[tuple[Any, ...] | None], Iterator[Sequence[Any]]]
"""Gives the rows behind a key, in key order; None: all of them."""


class RowSource:
    """One run over rows from ``make``, whose values are in the order of ``columns`` of the declaration.

    ``picked`` are the positions of the file's columns in a row, ``keys`` those of the key. A key's values are
    integers or texts; ``moment``: when the rows begin to be made. Raises ``errors.BadKey`` where a key does not rise,
    since a run could not go on behind it.
    """

    last: Cursor | None = None

    def __init__(
        self,
        make: RowMaker,
        render: RowRenderer,
        *,
        picked: Sequence[int],
        keys: Sequence[int],
        moment: datetime,
        after: Cursor | None = None,
    ) -> None:
        self.moment = moment
        self._key = decode_key(after) if after is not None else None
        self._rows = make(self._key)
        self._render = render
        self._picked, self._keys = tuple(picked), tuple(keys)

    def read(self, limit: int) -> Chunk | None:
        """The next ``limit`` rows at most; None after the last one."""
        rows = list(islice(self._rows, max(0, min(limit, BATCH_ROWS))))
        if not rows:
            return None
        for row in rows:
            self._follow(tuple(row[position] for position in self._keys))
        data = self._render([[row[position] for position in self._picked] for row in rows])
        assert self._key is not None  # noqa: S101 - there was a row
        return Chunk(data=data, rows=len(rows), cursor=encode_key(self._key))

    def close(self) -> None:
        """Let a generator run its ``finally``."""
        close = getattr(self._rows, "close", None)
        if close is not None:
            close()

    def _follow(self, key: tuple[Any, ...]) -> None:
        if None in key or (self._key is not None and not key > self._key):
            raise errors.BadKey
        self._key = key


def encode_key(key: Sequence[Any]) -> Cursor:
    """A key as text that keeps the types of its values."""
    return tuple(json.dumps(value) for value in key)


def decode_key(cursor: Cursor) -> tuple[Any, ...]:
    """What ``encode_key`` was given."""
    return tuple(json.loads(value) for value in cursor)
