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
from typing import Any

import openpyxl
import pyarrow.parquet as pq

FORMULA = re.compile("^[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
Rows = list[list[Any]]
csv.field_size_limit(1 << 30)


def expected_csv(value: Any) -> str:
    if isinstance(value, str):
        return f"'{value}" if FORMULA.match(value) else value
    return _text(value)


def expected_json(value: Any) -> Any:
    if isinstance(value, bytes | datetime):
        return _text(value)
    return Decimal(repr(value)).normalize() if isinstance(value, float) else value


def expected_xlsx(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**15:
        return str(value)
    return _text(value) if isinstance(value, bytes) else value


def _text(value: Any) -> str:
    if value is None:
        return ""
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


def of_csv(data: bytes) -> Rows:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))[1:]


def of_json(data: bytes) -> Rows:
    return [_values(row) for row in json.loads(data, parse_float=Decimal)]


def of_ndjson(data: bytes) -> Rows:
    return [_values(json.loads(line, parse_float=Decimal)) for line in data.splitlines()]


def of_xlsx(data: bytes) -> Rows:
    sheet = openpyxl.load_workbook(io.BytesIO(data), read_only=True).active
    return [[_unescaped(cell) for cell in row] for row in sheet.iter_rows(min_row=2, values_only=True)]


def of_parquet(data: bytes) -> Rows:
    return [list(row.values()) for row in pq.read_table(io.BytesIO(data)).to_pylist()]


def _values(row: dict[str, Any]) -> list[Any]:
    return [value.normalize() if isinstance(value, Decimal) else value for value in row.values()]


def _unescaped(cell: Any) -> Any:
    return ESCAPED.sub(lambda found: chr(int(found[1], 16)), cell) if isinstance(cell, str) else cell


def expected(name: str, rows: Sequence[Sequence[Any]]) -> Rows:
    """The rows of a query as a file of the format should have them."""
    form = {"csv": expected_csv, "json": expected_json, "ndjson": expected_json, "xlsx": expected_xlsx}
    return [[form.get(name, lambda value: value)(value) for value in row] for row in rows]


def same(cell: Any, value: Any) -> bool:
    """Whether a cell is what was expected; readers of workbooks round moments to milliseconds."""
    if isinstance(cell, datetime) and isinstance(value, datetime):
        return abs(cell - value) <= timedelta(milliseconds=1)
    return bool(cell == value) and isinstance(cell, bool) == isinstance(value, bool)


READ = {"csv": of_csv, "json": of_json, "ndjson": of_ndjson, "xlsx": of_xlsx, "parquet": of_parquet}
