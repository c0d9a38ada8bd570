"""NDJSON: a JSON object a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from exports_app.pipeline.formats import jsonrows
from exports_app.pipeline.types import Chunk, Field, Format, Options, RowRenderer, SqlRows


def sql(fields: Sequence[Field], options: Options) -> SqlRows:
    return jsonrows.sql_rows(fields, options, joint="\n", end="\n")


def python(fields: Sequence[Field], options: Options) -> RowRenderer:
    return jsonrows.python_rows(fields, options, joint="\n", end="\n")


class NdjsonEncoder:
    """Nothing but the lines; nothing has to be known to go on."""

    def __init__(self, fields: Sequence[Field], options: Options, state: Mapping[str, Any] | None) -> None:
        """The lines say it all."""

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


FORMAT = Format(
    name="ndjson",
    extension="ndjson",
    content_type="application/x-ndjson",
    sql=sql,
    python=python,
    encoder=NdjsonEncoder,
    options=jsonrows.OPTIONS,
    max_columns=jsonrows.MAX_COLUMNS,
)
