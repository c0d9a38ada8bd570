"""What a file of each format should have for a value of PostgreSQL, and what readers of others find in it.

Nothing here is the engine's: the expected texts follow the documented forms.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import openpyxl
import pyarrow
import pyarrow.parquet as pq
from pyarrow import csv as arrow_csv

FORMULA = re.compile("^[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
Rows = list[list[Any]]


class Found(NamedTuple):
    """What a reader makes of a file."""

    names: list[str]
    """The header; none in a file of JSON without rows."""
    rows: Rows


def expected_csv(value: Any) -> str | None:
    if isinstance(value, str):
        return f"'{value}" if FORMULA.match(value) else value
    return None if value is None else _text(value)


def expected_json(value: Any) -> Any:
    if isinstance(value, bytes | datetime):
        return _text(value)
    return Decimal(repr(value)).normalize() if isinstance(value, float) else value


def expected_xlsx(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**15:
        return str(value)
    return _text(value) if isinstance(value, bytes) else value


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return _trimmed(value.isoformat())
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return str(value)


def _trimmed(moment: str) -> str:
    """As PostgreSQL prints a fraction: without zeros at its end."""
    return moment.rstrip("0") if "." in moment else moment


def of_csv(data: bytes) -> Found:
    """Texts as they stand; NULL, which has no quotes, is None, and ``""`` an empty text."""
    (names,) = csv.reader([data.decode().partition("\n")[0]])
    table = arrow_csv.read_csv(
        io.BytesIO(data),
        read_options=arrow_csv.ReadOptions(block_size=1 << 24),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pyarrow.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return Found(table.column_names, [list(row.values()) for row in table.to_pylist()])


def of_json(data: bytes) -> Found:
    return _found(json.loads(data, parse_float=Decimal))


def of_ndjson(data: bytes) -> Found:
    return _found([json.loads(line, parse_float=Decimal) for line in data.splitlines()])


def of_xlsx(data: bytes) -> Found:
    sheet = openpyxl.load_workbook(io.BytesIO(data), read_only=True).active
    names, *rows = sheet.iter_rows(values_only=True)
    return Found(list(names), [[_unescaped(cell) for cell in row] for row in rows])


def of_parquet(data: bytes) -> Found:
    table = pq.read_table(io.BytesIO(data))
    return Found(table.column_names, [list(row.values()) for row in table.to_pylist()])


def _found(rows: list[dict[str, Any]]) -> Found:
    """``names`` of the first row; each row must have them in their order."""
    names = list(rows[0]) if rows else []
    assert all(list(row) == names for row in rows)
    return Found(names, [_values(row) for row in rows])


def _values(row: dict[str, Any]) -> list[Any]:
    return [value.normalize() if isinstance(value, Decimal) else value for value in row.values()]


def _unescaped(cell: Any) -> Any:
    return ESCAPED.sub(lambda found: chr(int(found[1], 16)), cell) if isinstance(cell, str) else cell


def expected(name: str, rows: Sequence[Sequence[Any]]) -> Rows:
    """The rows of a query as a file of the format should have them."""
    form = {"csv": expected_csv, "json": expected_json, "ndjson": expected_json, "xlsx": expected_xlsx}
    return [[form.get(name, lambda value: value)(value) for value in row] for row in rows]


def same(name: str, cell: Any, value: Any) -> bool:
    """Whether a cell is what was expected; a reader of workbooks rounds moments to milliseconds."""
    if name == "xlsx" and isinstance(cell, datetime) and isinstance(value, datetime):
        return abs(cell - value) <= timedelta(milliseconds=1)
    return bool(cell == value) and isinstance(cell, bool) == isinstance(value, bool)


READ = {"csv": of_csv, "json": of_json, "ndjson": of_ndjson, "xlsx": of_xlsx, "parquet": of_parquet}
