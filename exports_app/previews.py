"""What an export would be, before it is asked for: its rows, its size, its first lines, and what to mind."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import psycopg
from django.db.models.functions import Now

from exports_app import conf, equal_parts, errors
from exports_app.estimates import UNKNOWN, Estimate, estimate_rows
from exports_app.models import ExportPerformance
from exports_app.pipeline.errors import DatabaseBusy, DatabaseUnavailable, PipelineError
from exports_app.pipeline.formats import get_format, reading
from exports_app.pipeline.formats.formulas import guard, is_formula
from exports_app.pipeline.parts import MAX_PARTS, equal_part_size
from exports_app.pipeline.types import Chunk, Field, Format, Kind, Options, Warns
from exports_app.plan import Plan
from exports_app.resources import faults

PREVIEW_ROWS = 20
PREVIEW_SECONDS = 0.2
"""For one statement: a preview is not worth sorting a million rows."""
FORECAST_SECONDS = 0.4
"""For preview and count together."""
SIZES = {"gzip": 0.33, "xlsx": 0.5, "parquet": 0.26}
"""Bytes of a compressed file for each byte of its text, as measured on the rows of docs/benchmarks.md."""
CONTAINERS = {"xlsx": 6_000, "parquet": 2_000}
"""Bytes of a file without rows."""
CELL_CHARACTERS = 1_000
"""What a preview shows of a longer text."""
MEASURED_ROWS = 1_000
"""Rows from which on a finished export says what a row takes."""
MEASURED_LIFE = timedelta(days=30)
DOUBT = 10
"""Times that a planner's estimate may be too low."""
GIB = 1024**3
NO_PREVIEW = "There is no preview, since the first rows take too long to find."
NO_ROWS = "How many rows there are is not known: the database does not answer in time, as while a table is changed."
MEASURED_RUNS = 50
"""Finished exports that are looked at for some of the same columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The first rows, as they will stand in the file."""

    columns: list[Field]
    rows: list[reading.Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What an export would be."""

    estimate: Estimate
    bytes: int | None
    """Of the file; None: nobody knows."""
    warnings: list[str]
    """A sentence each."""
    preview: Preview | None
    """None: the first rows could not be found in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """A file of the first rows, in the format itself or, where that is no text, in csv."""

    preview: Preview
    too_long: Field | None
    """A column with a text that no cell of the format holds."""
    bytes_around: int
    """Header and footer."""
    bytes_per_row: float
    warnings: tuple[str, ...]
    """What the encoder says of the first rows."""


def forecast(plan: Plan) -> Forecast:
    """Look at the first rows and count the others. Raises ``errors.DatabaseAway``."""
    ends = time.monotonic() + FORECAST_SECONDS
    sample, trouble, estimate = None, [], None
    try:
        with faults.declared_by(plan.resource):
            sample = _sample(plan)
    except DatabaseBusy as busy:
        trouble = [NO_PREVIEW]
        if not isinstance(busy.__cause__, psycopg.errors.QueryCanceled):
            estimate = UNKNOWN  # somebody holds the table, or others ask too much: a count would wait as well
    except DatabaseUnavailable as error:
        raise errors.DatabaseAway() from error
    except PipelineError as error:
        trouble = [str(error)]  # the export would end with it too
    if estimate is None:
        with faults.declared_by(plan.resource):
            estimate = estimate_rows(plan, seconds=ends - time.monotonic())
    if estimate.rows is None:
        trouble.append(NO_ROWS)
    preview = sample.preview if sample else None
    size = _bytes(plan, estimate.rows, sample)
    return Forecast(
        estimate=estimate,
        bytes=size,
        warnings=[
            *trouble,
            *_limits(plan, estimate),
            *_parts(size, estimate),
            *_cuts(plan, sample),
            *_untyped(plan),
            *_surprises(plan, preview),
            *(sample.warnings if sample else ()),
        ],
        preview=preview,
    )


# The first rows


def _sample(plan: Plan) -> _Sample:
    """Workbooks and Parquet hold typed values, which a person reads as csv has them, the same options heeded."""
    readable = plan.format.name in reading.READERS
    format_ = plan.format if readable else get_format("csv")
    options = plan.options if readable else replace(plan.options, escape_formulas=False)
    table = plan.tables[0]
    rows = min(PREVIEW_ROWS, plan.limit or PREVIEW_ROWS)
    chunk = table.peek(format_, options, rows=rows, timeout=PREVIEW_SECONDS)
    chunk = chunk or Chunk(data=b"", rows=0, cursor=())
    encoder = format_.encoder(table.fields, options, None)
    rows_read = reading.READERS[format_.name](chunk, table.fields, options)
    start, body, end = encoder.start(), encoder.write(chunk), encoder.finish(chunk.rows)
    return _Sample(
        preview=Preview(
            columns=[_as_headed(field, format_, options) for field in table.fields],
            rows=[[_shortened(cell) for cell in row] for row in rows_read],
        ),
        too_long=_too_long(table.fields, rows_read, plan.format.cell_units),
        bytes_around=len(start) + len(end),
        bytes_per_row=len(body) / max(1, chunk.rows),
        warnings=tuple(encoder.warnings()) if readable and isinstance(encoder, Warns) else (),
    )


def _as_headed(field: Field, format_: Format, options: Options) -> Field:
    guarded = format_.guards_formulas and options.escape_formulas is not False
    return replace(field, label=guard(field.label)) if guarded else field


def _too_long(fields: Sequence[Field], rows: Sequence[reading.Row], units: int | None) -> Field | None:
    """``units``: of UTF-16, that a cell holds."""
    if units is None:
        return None
    cells = [(field, row[n]) for n, field in enumerate(fields) for row in rows]
    texts = [(field, cell) for field, cell in cells if isinstance(cell, str) and 2 * len(cell) > units]
    return next((field for field, text in texts if len(text.encode("utf-16-le")) > 2 * units), None)


def _shortened(cell: Any) -> Any:
    text = json.dumps(cell, ensure_ascii=False) if isinstance(cell, dict | list) else cell
    return f"{text[:CELL_CHARACTERS]}…" if isinstance(text, str) and len(text) > CELL_CHARACTERS else cell


# The size


def file_size(plan: Plan, rows: int | None) -> int | None:
    """Bytes of a file of so many rows; None: nobody knows, or not at once."""
    try:
        return _bytes(plan, rows, _sample(plan)) if rows is not None else None
    except PipelineError:
        return None


def _bytes(plan: Plan, rows: int | None, sample: _Sample | None) -> int | None:
    """Of text: the first rows' size for each row. Of a compressed file: what a row took in recent exports of the same
    columns, else the usual share of the text's size."""
    if rows is None:
        return None
    container = plan.compression or plan.format.name
    if container in SIZES and (measured := _measured(plan)):
        return round(CONTAINERS.get(container, 0) + measured * rows)
    if sample is None:
        return None
    text = sample.bytes_around + sample.bytes_per_row * rows
    return round(CONTAINERS.get(container, 0) + SIZES.get(container, 1.0) * text)


def _measured(plan: Plan) -> float | None:
    """Bytes that a row took in the last export of the same columns in this format."""
    runs = ExportPerformance.objects.filter(
        resource=plan.resource.name,
        format=plan.format.name,
        job__compression=plan.compression or "",
        rows__gte=MEASURED_ROWS,
        created_at__gt=Now() - MEASURED_LIFE,
    )
    names = [field.name for field in plan.fields]
    for rows, size, columns in runs.values_list("rows", "bytes", "job__columns")[:MEASURED_RUNS]:
        if [column["name"] for column in columns] == names:
            return float(size / rows)
    return None


# What to mind


def _limits(plan: Plan, estimate: Estimate) -> Iterator[str]:
    """What this many rows meet."""
    rows, maximum = estimate.rows, plan.resource.max_rows
    about = "" if estimate.exact else "about "
    if maximum is not None and rows is not None and rows > maximum:
        yield (
            f"This would be {about}{rows:,} rows, and {plan.resource.get_title()} allows {maximum:,}: "
            "narrow the filters, or set a limit."
        )
    most = plan.format.sheet_rows
    if most is not None and rows is not None and rows > most:
        yield f"A sheet holds {most:,} rows, so that the rows go on in further sheets."
    if not plan.format.resumable:
        yield f"{plan.format.name} is written in one piece, which may take 30 minutes at most; csv has no such limit."
    slow = [name for table in plan.tables if table.finish for name in table.finish.names]
    if slow:
        yield f"Columns computed in Python make this export slower: {', '.join(slow)}."


def _parts(size: int | None, estimate: Estimate) -> Iterator[str]:
    """Whether as many parts of one size as a storage takes may be too few, where it demands them."""
    if not equal_parts.wanted():
        return
    most = MAX_PARTS * equal_part_size(size, conf.settings.PART_SIZE)
    if size is None or size * (1 if estimate.exact else DOUBT) > most:
        yield (
            f"This storage takes {MAX_PARTS:,} parts of one size, so that a file of more than {most // GIB:,} GiB "
            "would fail: narrow the filters, or set a limit."
        )


def _cuts(plan: Plan, sample: _Sample | None) -> Iterator[str]:
    """What a text meets that is longer than a cell."""
    if sample is None or sample.too_long is None:
        return
    longest = f"“{sample.too_long.label}” has a text of more than {plan.format.cell_units:,} characters"
    if plan.options.truncate_cells:
        yield f"{longest}, which {plan.format.name} cuts there."
    else:
        yield f"{longest}: {plan.format.name} would fail. Choose another format, or truncate_cells=true to have it cut."


ZEROS = re.compile(r"'?[+-]?0\d+")
NUMBER = re.compile(r"[+-]?[\d.,]+")
EXCEL_DIGITS = 15
TEXTS = frozenset({Kind.TEXT, Kind.CHOICE})
NUMBERS = frozenset({Kind.INTEGER, Kind.DECIMAL})


def _untyped(plan: Plan) -> Iterator[str]:
    """Columns of which nobody says what they hold."""
    for field in plan.fields:
        if field.untyped and plan.resource.model is not None:
            yield f"“{field.label}” has no declared type, and is written as text: its output_field is missing."


def _surprises(plan: Plan, preview: Preview | None) -> Iterator[str]:
    """What a spreadsheet makes of csv, where the first rows show a case of it."""
    if preview is None or plan.format.name != "csv":
        return
    cells = [(column, row[n]) for n, column in enumerate(preview.columns) for row in preview.rows if row[n]]
    if len(preview.columns) == 1 and any(row[0] == "" for row in preview.rows):
        yield 'In a file of one column an empty value is written "", as the empty text is: readers skip empty lines.'
    zeros = [column for column, cell in cells if column.kind in TEXTS and ZEROS.fullmatch(cell)]
    if zeros:
        yield f"Opened in Excel, “{zeros[0].label}” loses its leading zeros; xlsx keeps them."
    long = [column for column, cell in cells if column.kind in TEXTS | NUMBERS and _is_long(cell)]
    if long:
        yield f"Opened in Excel, “{long[0].label}” loses the digits after the 15th; xlsx keeps them."
    if plan.options.escape_formulas is not False:
        marked = [column for column, cell in cells if column.guarded and cell[0] == "'" and is_formula(cell[1:])]
        if marked:
            yield f"Text that a spreadsheet would run gets a ' in front, as in “{marked[0].label}”."


def _is_long(cell: str) -> bool:
    """Whether a spreadsheet would take it for a number of more digits than it keeps."""
    return bool(NUMBER.fullmatch(cell)) and sum(map(str.isdigit, cell)) > EXCEL_DIGITS
