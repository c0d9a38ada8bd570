"""Several sources one after the other: the sheets of one workbook, of one moment where one database has them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import datetime
from typing import Protocol, runtime_checkable

from exports_app.pipeline.sources.counting import Countable, HasCountable
from exports_app.pipeline.types import Chunk, Cursor, Source


class Bounded(Source, Protocol):
    """A source that knows its moment and where it ends."""

    moment: datetime
    last: Cursor | None
    """Its last key; None: no rows, or as many as come."""


@runtime_checkable
class SharesSnapshot(Protocol):
    """A source whose snapshot others can read from as well."""

    def share_snapshot(self) -> str: ...


class Open(Protocol):
    """Opens a source after a key, up to a last one, on a snapshot that an earlier source shares; each may be None."""

    def __call__(self, *, after: Cursor | None, last: Cursor | None, snapshot: str | None) -> Bounded: ...


class ChainSource:
    """Reads the sources in turn; a chunk's ``sheet`` is the number of its source, which also begins its cursor.

    All sources are opened at once, so that those of one database see the same moment and their ends are fixed: ``last``
    holds the last key of each as JSON. Those that ``after`` has passed are not opened again. ``databases``: where each
    reads, by any name; none: all in one.
    """

    def __init__(
        self,
        openers: Sequence[Open],
        databases: Sequence[str] = (),
        *,
        after: Cursor | None = None,
        last: Cursor | None = None,
    ) -> None:
        self._current = int(after[0]) if after else 0
        lasts: list[Cursor | None] = [_key(each) for each in last] if last else [None] * len(openers)
        self._sources: dict[int, Bounded] = {}
        snapshots: dict[str, str] = {}
        with ExitStack() as opened:  # all or none
            for number in range(self._current, len(openers)):
                begin = after[1:] if after and number == self._current else None
                database = databases[number] if databases else ""
                source = opened.enter_context(
                    closing(openers[number](after=begin, last=lasts[number], snapshot=snapshots.get(database)))
                )
                if database not in snapshots and isinstance(source, SharesSnapshot):
                    snapshots[database] = source.share_snapshot()
                self._sources[number] = source
                lasts[number] = source.last
            opened.pop_all()
        self.last: Cursor | None = tuple([json.dumps(each) for each in lasts])
        self.moment = min(source.moment for source in self._sources.values())

    def read(self, limit: int) -> Chunk | None:
        """The next ``limit`` rows at most, all of one source; None after the last one of the last source."""
        while limit > 0 and self._current in self._sources:
            number = self._current
            chunk = self._sources[number].read(limit)
            if chunk is not None:
                return replace(chunk, sheet=number, cursor=(str(number), *chunk.cursor))
            self._current += 1  # closed with the others: what it read can still be counted
        return None

    def countable(self) -> Sequence[Countable]:
        """Those of every table that is read; none where the rows of one cannot be counted."""
        found = [source.countable() for source in self._sources.values() if isinstance(source, HasCountable)]
        return [each for group in found for each in group] if len(found) == len(self._sources) else ()

    def close(self) -> None:
        """Close every source. May be called twice."""
        with ExitStack() as closed:
            for source in self._sources.values():
                closed.callback(source.close)


def bounds_up_to(upto: Cursor, last: Cursor | None) -> list[Cursor | None]:
    """Last key of each table among the rows up to ``upto``, from the first table on; None: all its rows."""
    lasts = [_key(each) for each in last or ()]
    return [*lasts[: int(upto[0])], upto[1:]]


def _key(text: str) -> Cursor | None:
    values = json.loads(text)
    return None if values is None else tuple(values)
