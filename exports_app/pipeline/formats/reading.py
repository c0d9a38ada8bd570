"""The text formats read back into cells, for a look at what the file holds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from exports_app.pipeline.types import Chunk, Field, Options


class Written(float):
    """A number that knows how it stands in the file: ``560.00``, not ``560.0``."""

    digits: str


Row = list[Any]
"""Cells in the order of the columns, each plain JSON."""
Reader = Callable[[Chunk, Sequence[Field], Options], list[Row]]


def csv_rows(chunk: Chunk, fields: Sequence[Field], options: Options) -> list[Row]:
    """Cells as text; None where the file has nothing between two delimiters, ``""`` where it has two quotes."""
    delimiter = re.escape(options.delimiter)
    cell = re.compile(rf'(?:"((?:[^"]+|"")*)"|([^{delimiter}"\r\n]*))({delimiter}|\r\n|\n)')
    rows: list[Row] = [[]]
    for match in cell.finditer(chunk.data.decode()):
        quoted, plain, end = match.groups()
        rows[-1].append(quoted.replace('""', '"') if quoted is not None else plain or None)
        if end != options.delimiter:
            rows.append([])
    return rows[:-1]


def json_rows(chunk: Chunk, fields: Sequence[Field], options: Options) -> list[Row]:
    """Values of JSON's own types."""
    return _values(json.loads(b"[" + chunk.data + b"]", parse_float=_number), fields)


def ndjson_rows(chunk: Chunk, fields: Sequence[Field], options: Options) -> list[Row]:
    """Values of JSON's own types."""
    return _values([json.loads(line, parse_float=_number) for line in chunk.data.split(b"\n")[:-1]], fields)


READERS: dict[str, Reader] = {"csv": csv_rows, "json": json_rows, "ndjson": ndjson_rows}
"""Format to its reader; what other formats hold is no text."""


def _values(rows: list[dict[str, Any]], fields: Sequence[Field]) -> list[Row]:
    return [[row[field.name] for field in fields] for row in rows]


def _number(digits: str) -> Written | str:
    """A number that Python's floats would round stays as its digits."""
    number = Written(digits)
    number.digits = digits
    return number if Decimal(repr(number)) == Decimal(digits) else digits
