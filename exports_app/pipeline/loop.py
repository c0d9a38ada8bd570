"""The one loop: chunks from a source, through a format's encoder, in parts into a sink."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from io import BytesIO
from itertools import zip_longest

from isal import isal_zlib

from exports_app.pipeline import errors
from exports_app.pipeline.parts import MAX_PARTS
from exports_app.pipeline.types import Chunk, Encoder, Part, Progress, Sink, Source, StoredPart, Warns

MAX_CHUNK_ROWS = 1_000_000
"""More than any source gives at once; stands for "no limit" where neither request nor format has one."""
TABLES = "tables"
"""Where a part's state has the rows of each table, if there are several."""


def run(
    source: Source,
    encoder: Encoder,
    sink: Sink,
    *,
    part_size: Callable[[int], int],
    equal_parts: bool = False,
    after: StoredPart | None = None,
    limit: int | None = None,
    max_rows: int | None = None,
    verify: Callable[[Sequence[int]], None] | None = None,
) -> Generator[Progress, None, None]:
    """Copy every row of ``source`` into ``sink``, reporting after each chunk and at the end.

    ``part_size`` gives the bytes of part *n*; parts are cut at the first chunk end behind it or, with ``equal_parts``,
    exactly there, and what the chunk has beyond begins the next part. ``after`` is the last part of an earlier run that
    this one continues: source, encoder and sink must stand right behind it. ``limit`` ends the file early,
    ``max_rows`` ends it with ``errors.TooManyRows``; both count rows of the first table. ``verify`` gets the rows that
    this run has written of each table before the file is ended, and raises where they are not all. The last report
    carries the sink's receipt. Closing the generator before leaves source and sink to the caller.
    """
    writer = _Writer(encoder, sink, part_size, after, equal=equal_parts)
    with closing(source):
        while True:
            room = _room(encoder, limit, max_rows if len(writer.tables) == 1 else None, writer.tables[0])
            begun = time.perf_counter()
            chunk = source.read(room)
            if chunk is None:
                break
            seconds = time.perf_counter() - begun
            if max_rows is not None and chunk.sheet == 0 and writer.tables[0] + chunk.rows > max_rows:
                raise errors.TooManyRows
            writer.write(encoder.write(chunk))
            writer.count(chunk)
            ended = writer.cut_if_full()
            yield writer.report(part_ended=ended, chunk_rows=chunk.rows, chunk_seconds=seconds)
        if verify is not None:
            verify(writer.written())
    writer.write(encoder.finish(writer.rows))
    writer.put(last=True)
    sink.flush()
    yield writer.report(part_ended=True)  # every part is on record before the object is made
    receipt = sink.complete()
    yield writer.report(part_ended=True, receipt=receipt)


def _room(encoder: Encoder, limit: int | None, max_rows: int | None, rows: int) -> int:
    """Rows to ask for: one more than allowed where there is a maximum, so that too many are noticed."""
    rooms = [MAX_CHUNK_ROWS]
    if limit is not None:
        rooms.append(limit - rows)
    if max_rows is not None:
        rooms.append(max_rows + 1 - rows)
    sheet = encoder.room()
    if sheet is not None:
        rooms.append(sheet)
    return min(rooms)


class _Writer:
    """Encoded bytes on their way into parts, and the running totals a part carries."""

    def __init__(
        self, encoder: Encoder, sink: Sink, part_size: Callable[[int], int], after: StoredPart | None, *, equal: bool
    ) -> None:
        self._encoder, self._sink, self._part_size, self._equal = encoder, sink, part_size, equal
        self._pending = BytesIO()  # its value is not copied again when the part is handed over
        self.rows = after.rows if after else 0
        self.tables: list[int] = [*after.state.get(TABLES, [after.rows])] if after else [0]
        """Rows of each table in the file so far, as far as there are any."""
        self._before = tuple(self.tables)
        self.cursor = after.cursor if after else None
        self._crc32 = after.crc32 if after else 0
        self._number = after.number if after else 0
        self._size = after.end if after else 0
        self.write(after.tail if after else encoder.start())

    def write(self, data: bytes) -> None:
        self._pending.write(data)

    def count(self, chunk: Chunk) -> None:
        self.rows += chunk.rows
        self.tables += [0] * (chunk.sheet + 1 - len(self.tables))
        self.tables[chunk.sheet] += chunk.rows
        self.cursor = chunk.cursor

    def written(self) -> list[int]:
        """Rows of each table that this run has written."""
        return [now - before for now, before in zip_longest(self.tables, self._before, fillvalue=0)]

    def cut_if_full(self) -> bool:
        if self._pending.tell() < self._part_size(self._number + 1):
            return False
        self.write(self._encoder.cut())
        self.put(last=False)
        return True

    def put(self, *, last: bool) -> None:
        """Hand the pending bytes to the sink: as one part, or as parts of one size, the rest of which waits."""
        if last and not self._pending.tell() and self._number:
            return
        data, self._pending = self._pending.getvalue(), BytesIO()
        pieces, tail = self._pieces(data, last=last) if self._equal else ([data], b"")
        state = self._tables() | (self._last_state() if last else self._encoder.state())
        del data  # each piece is let go of as soon as the sink has it
        while pieces:
            piece = pieces.pop(0)
            self._put(piece, state=state, tail=b"" if pieces else tail, inner=bool(pieces), last=last and not pieces)
        self.write(tail)

    def _pieces(self, data: bytes, *, last: bool) -> tuple[list[bytes], bytes]:
        """Parts of one size, and what is too little for another; at the end of the file that is a part too."""
        size = self._part_size(self._number + 1)
        end = len(data) if last else len(data) - len(data) % size
        return [data[begin : begin + size] for begin in range(0, end, size)] or [b""], data[end:]

    def _put(self, data: bytes, *, state: dict[str, object], tail: bytes, inner: bool, last: bool) -> None:
        self._number += 1
        if self._number > MAX_PARTS:
            raise errors.TooLarge
        self._crc32 = isal_zlib.crc32(data, self._crc32)
        part = Part(
            number=self._number,
            data=data,
            rows=self.rows,
            cursor=self.cursor,
            crc32=self._crc32,
            offset=self._size,
            state=state,
            tail=tail,
            inner=inner,
        )
        self._size += len(data)
        self._sink.put(part, last=last)

    def _tables(self) -> dict[str, object]:
        return {TABLES: list(self.tables)} if len(self.tables) > 1 else {}

    def _last_state(self) -> dict[str, object]:
        """Nothing goes on behind the last part, but what was to be said must outlive this process."""
        warnings = self._warnings()
        return {"warnings": list(warnings)} if warnings else {}

    def _warnings(self) -> tuple[str, ...]:
        return tuple(self._encoder.warnings()) if isinstance(self._encoder, Warns) else ()

    def report(self, **facts: object) -> Progress:
        return Progress(
            rows=self.rows,
            tables=tuple(self.tables),
            bytes=self._size + self._pending.tell(),
            parts=tuple(self._sink.stored()),
            crc32=self._crc32,
            warnings=self._warnings(),
            **facts,  # type: ignore[arg-type]  # the fields of Progress
        )
