"""What a small export spends its time on before the first row, and on the rows themselves."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import psycopg

from benchmarks.table import fields, query
from exports_app.pipeline import loop
from exports_app.pipeline.formats import get_format
from exports_app.pipeline.parts import part_size
from exports_app.pipeline.sinks.stream import StreamSink
from exports_app.pipeline.sources.sql import SqlSource
from exports_app.pipeline.types import Options

RUNS = 20


def measure(rows: int) -> Mapping[str, float]:
    """Milliseconds of each step of an export of ``rows`` rows as CSV, medians of 20 runs in one process."""
    runs = [_run(rows) for _ in range(RUNS)]
    return {step: median(run[step] for run in runs) * 1000 for step in runs[0]}


def _run(rows: int) -> dict[str, float]:
    format_, options = get_format("csv"), Options()
    at = [time.perf_counter()]
    connection = psycopg.connect(os.environ["DATABASE_URL"])
    at.append(time.perf_counter())
    source = SqlSource(connection, query(rows), format_.sql(fields(), options))
    at.append(time.perf_counter())
    with Path("/dev/null").open("wb") as file, StreamSink(file) as sink:
        for _ in loop.run(source, format_.encoder(fields(), options, None), sink, part_size=part_size):
            pass
    at.append(time.perf_counter())
    return {
        "connect and sign in, which psql does as well": at[1] - at[0],
        "snapshot, session settings, types, last key, plan of the first statement": at[2] - at[1],
        f"{rows:,} rows": at[3] - at[2],
    }
