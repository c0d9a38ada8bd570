"""Files made of raw queries and of Python rows, the way a worker makes them: source, encoder, loop, sink."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from hypothesis import strategies as st

from exports_app.pipeline import formats, loop
from exports_app.pipeline.formats.gzip import GzipEncoder
from exports_app.pipeline.sinks.memory import MemoryStore
from exports_app.pipeline.sources.sql import Query, SqlSource
from exports_app.pipeline.types import Chunk, Cursor, Encoder, Field, Options, StoredPart, Upload

ONE_PART = 1 << 40  # bytes; more than any test writes
UPLOAD = Upload(key="test", token="test")


def json_of(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """JSON values, nested a little, whose strings and keys are ``texts``."""
    return st.recursive(
        st.none() | st.booleans() | st.integers(-(10**9), 10**9) | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=6,
    )


def connect() -> psycopg.Connection[Any]:
    """A connection to the stack's database. Without one the test is skipped, or fails where ``CI`` is set."""
    url = os.environ.get("DATABASE_URL")
    if url:
        return psycopg.connect(url)
    message = "DATABASE_URL is not set: run under `python -m exportsite.stack run --services-only --`."
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def render(
    format_name: str,
    fields: Sequence[Field],
    query: str,
    keys: int = 1,
    options: Options | Mapping[str, Any] | None = None,
    *,
    gzip: bool = False,
    chunk_rows: int = 10_000,
    part_size: int = ONE_PART,
    resumed: bool = False,
    limit: int | None = None,
) -> bytes:
    """The file of ``query``, whose columns are those of ``fields`` and then ``keys`` key columns.

    ``part_size`` in bytes. With ``resumed`` each part is written by a new source and a new encoder that know
    nothing but the record of the part before.
    """
    run = _Run(
        format_name=format_name,
        fields=fields,
        options=_options(options),
        query=Query(text=query, columns=len(fields), keys=keys, proven_key=False),
        gzip=gzip,
        chunk_rows=chunk_rows,
        part_size=part_size,
        limit=limit,
    )
    return run.resumed() if resumed else run.undisturbed()


def render_python(
    format_name: str,
    fields: Sequence[Field],
    rows: Sequence[Sequence[Any]],
    options: Options | Mapping[str, Any] | None = None,
    *,
    gzip: bool = False,
    chunk_rows: int = 10_000,
) -> bytes:
    """The file of ``rows`` of Python values, in chunks as a source that is not SQL gives them."""
    given = _options(options)
    renderer = formats.get_format(format_name).python(fields, given)
    encoder = _encoder(format_name, fields, given, gzip, None)
    pieces = [encoder.start()]
    for begin in range(0, len(rows), chunk_rows):
        chunk = rows[begin : begin + chunk_rows]
        pieces.append(encoder.write(Chunk(data=renderer(chunk), rows=len(chunk), cursor=(str(begin),))))
    return b"".join([*pieces, encoder.finish(len(rows))])


def _options(options: Options | Mapping[str, Any] | None) -> Options:
    return options if isinstance(options, Options) else Options(**(options or {}))


def _encoder(
    name: str, fields: Sequence[Field], options: Options, gzip: bool, state: Mapping[str, Any] | None
) -> Encoder:
    encoder = formats.get_format(name).encoder(fields, options, state)
    return GzipEncoder(encoder, resumed=state is not None) if gzip else encoder


@dataclass(kw_only=True)
class _Run:
    format_name: str
    fields: Sequence[Field]
    options: Options
    query: Query
    gzip: bool
    chunk_rows: int
    part_size: int
    limit: int | None
    store: MemoryStore = field(default_factory=MemoryStore)
    last: Cursor | None = None

    def undisturbed(self) -> bytes:
        self._go_on((), to_the_end=True)
        return self.store.objects[UPLOAD.key]

    def resumed(self) -> bytes:
        stored: tuple[StoredPart, ...] = ()
        while UPLOAD.key not in self.store.objects:
            stored += self._go_on(stored, to_the_end=False)
        return self.store.objects[UPLOAD.key]

    def _go_on(self, after: Sequence[StoredPart], *, to_the_end: bool) -> tuple[StoredPart, ...]:
        """Write the parts behind ``after``: all of them, or one and leave the rest to another run."""
        last = after[-1] if after else None
        with self._source(last) as source, self.store.open(UPLOAD, after=after) as sink:
            encoder = self._encoder(last)
            stored: tuple[StoredPart, ...] = ()
            steps = loop.run(source, encoder, sink, part_size=lambda _: self.part_size, after=last, limit=self.limit)
            for progress in steps:
                stored += progress.parts
                if stored and not stored[-1].last and not to_the_end:
                    sink.detach()
                    break
        return stored

    def _encoder(self, last: StoredPart | None) -> Encoder:
        return _encoder(self.format_name, self.fields, self.options, self.gzip, dict(last.state) if last else None)

    def _source(self, last: StoredPart | None) -> closing[SqlSource]:
        connection = connect()
        try:
            source = SqlSource(
                connection,
                self.query,
                formats.get_format(self.format_name).sql(self.fields, self.options),
                after=last.cursor if last else None,
                last=self.last,
                chunk_rows=self.chunk_rows,
            )
        except BaseException:
            connection.close()
            raise
        self.last = source.last
        return closing(source)
