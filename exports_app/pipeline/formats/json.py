"""JSON: one array, a row a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from exports_app.pipeline.formats import jsonrows
from exports_app.pipeline.formats.plain import PlainEncoder
from exports_app.pipeline.types import Chunk, Field, Format, Options, RowRenderer, SqlRows

JOINT = ",\n"


def sql(fields: Sequence[Field], options: Options) -> SqlRows:
    return jsonrows.sql_rows(fields, options, joint=JOINT, end="")


def python(fields: Sequence[Field], options: Options) -> RowRenderer:
    return jsonrows.python_rows(fields, options, joint=JOINT, end="")


class JsonEncoder(PlainEncoder):
    """Brackets around the rows and commas between chunks. To go on it must know whether a row was written."""

    def __init__(self, fields: Sequence[Field], options: Options, state: Mapping[str, Any] | None) -> None:
        self._has_rows = bool(state and state["has_rows"])

    def start(self) -> bytes:
        return b"["

    def write(self, chunk: Chunk) -> bytes:
        if not chunk.rows:
            return b""
        joint = JOINT.encode() if self._has_rows else b"\n"
        self._has_rows = True
        return joint + chunk.data

    def finish(self, rows: int) -> bytes:
        return b"\n]\n" if self._has_rows else b"]\n"

    def state(self) -> dict[str, Any]:
        return {"has_rows": self._has_rows}


FORMAT = Format(
    name="json",
    extension="json",
    content_type="application/json",
    sql=sql,
    python=python,
    encoder=JsonEncoder,
    options=jsonrows.OPTIONS,
    max_columns=jsonrows.MAX_COLUMNS,
)
