"""Rows as JSON objects, for every format that is made of them.

A row is sent as alternating columns, a key and its value, between delimiters that the source takes out again:
``COPY`` joins them at less than the cost of any SQL function, prints NULL as ``null``, and knows no limit of 100
arguments (``json_build_object``) or of 63 bytes for a key (``row_to_json``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exports_app.pipeline.formats.jsonforms import json_string, python_member, sql_json
from exports_app.pipeline.literals import quote
from exports_app.pipeline.types import Field, Options, RowRenderer, SqlRows

DELIMITER = b"\x02"
"""A character that JSON never holds raw."""
MAX_COLUMNS = 800
"""PostgreSQL sends 1,664 columns at most: two for each of ours, one for the last brace, and the key."""
OPTIONS = frozenset({"choice_labels", "decimal_strings", "timezone"})


def sql_rows(fields: Sequence[Field], options: Options, *, joint: str, end: str) -> SqlRows:
    """Rows between which stands ``joint``, with ``end`` behind the last of a chunk."""
    pieces: list[str] = []
    for before, (number, field) in zip(["{"] + [","] * len(fields), enumerate(fields, 1), strict=False):
        pieces += [quote(f"{before}{json_string(field.name)}:"), sql_json(field, f"c{number}", options)]
    return SqlRows(
        expressions=(*pieces, quote("}")),
        copy_options=r"FORMAT text, DELIMITER E'\x02', NULL 'null'",
        delimiter=DELIMITER,
        removed=DELIMITER,
        null=b"null",
        joint=joint.encode(),
        end=end.encode(),
        escaped=True,
    )


def python_rows(fields: Sequence[Field], options: Options, *, joint: str, end: str) -> RowRenderer:
    """The same rows from Python's values."""
    members = [(f"{json_string(field.name)}:", python_member(field, options)) for field in fields]

    def line(row: Sequence[Any]) -> str:
        texts = [key + form(value) for value, (key, form) in zip(row, members, strict=True)]
        return "{" + ",".join(texts) + "}"

    return lambda rows: (joint.join([line(row) for row in rows]) + end).encode()
