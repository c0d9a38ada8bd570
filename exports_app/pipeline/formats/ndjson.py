"""NDJSON: a JSON object a line."""

from __future__ import annotations

from collections.abc import Sequence

from exports_app.pipeline.formats import jsonrows
from exports_app.pipeline.formats.plain import PlainEncoder
from exports_app.pipeline.types import Field, Format, Options, RowRenderer, SqlRows


def sql(fields: Sequence[Field], options: Options) -> SqlRows:
    return jsonrows.sql_rows(fields, options, joint="\n", end="\n")


def python(fields: Sequence[Field], options: Options) -> RowRenderer:
    return jsonrows.python_rows(fields, options, joint="\n", end="\n")


FORMAT = Format(
    name="ndjson",
    extension="ndjson",
    content_type="application/x-ndjson",
    sql=sql,
    python=python,
    encoder=PlainEncoder,
    options=jsonrows.OPTIONS,
    max_columns=jsonrows.MAX_COLUMNS,
)
