"""Measure everything in one run, each case in pairs with ``psql \\copy``, and write docs/benchmarks.md.

``python -m benchmarks [--quick] [--rows N] [--sizes N,N,N]``; needs the services of
``exportsite.stack run --services-only``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from statistics import median
from typing import Any, NamedTuple

from benchmarks import command, start, table
from benchmarks.page import PAGE
from benchmarks.report import write

MILLION = 1_000_000
PAIRS = 3
SMALL = {"django-import-export csv": 50_000, "django-import-export xlsx": 20_000, "openpyxl write-only": 50_000,
         "XlsxWriter constant_memory": 50_000}  # fmt: skip
"""Rows for peers that would take minutes; rows per second are compared."""
OURS = ("csv", "csv, guard off", "csv, German", "csv.gz", "ndjson", "ndjson.gz", "json", "json.gz", "parquet", "xlsx")
TO_S3 = ("csv to S3", "csv.gz to S3", "xlsx to S3")
PEERS = (
    "psycopg rows + csv.writer",
    "Django values_list + csv.writer",
    "django-import-export csv",
    "django-import-export xlsx",
    "openpyxl write-only",
    "XlsxWriter constant_memory",
    "ADBC + pyarrow csv",
    "polars (ADBC) parquet",
)


class Figure(NamedTuple):
    """Medians of the pairs."""

    name: str
    rows: int
    seconds: float
    psql: float
    """Seconds of ``psql \\copy`` of as many rows."""
    ratio: float
    """To it, pair by pair."""
    peak_mb: float
    growth_mb: float
    file_mb: float | None


class Memory(NamedTuple):
    """Of one run."""

    name: str
    rows: int
    peak_mb: float
    growth_mb: float


def psql(rows: int) -> float:
    """Seconds that the server's own client takes to copy the same rows as CSV."""
    return command.psql(table.plain_select(rows))


def case(name: str, rows: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cases", name, str(rows)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip().splitlines()[-1]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(name: str, rows: int, pairs: int = PAIRS) -> Figure | str:
    """The figure, or why there is none."""
    limits, found = [], []
    try:
        for _ in range(pairs):
            limits.append(psql(rows))
            found.append(case(name, rows))
    except RuntimeError as error:
        return str(error)
    seconds = [each["seconds"] for each in found]
    return Figure(
        name=name,
        rows=rows,
        seconds=median(seconds),
        psql=median(limits),
        ratio=median(mine / limit for mine, limit in zip(seconds, limits, strict=True)),
        peak_mb=max(each["peak_mb"] for each in found),
        growth_mb=max(each["growth_mb"] for each in found),
        file_mb=found[0]["file_mb"],
    )


def memory(name: str, rows: int) -> Memory | str:
    """The figure, or why there is none."""
    try:
        found = case(name, rows)
    except RuntimeError as error:
        return str(error)
    return Memory(name, rows, found["peak_mb"], found["growth_mb"])


def measure_all(names: Iterable[str], rows: int, pairs: int = PAIRS) -> list[Figure | str]:
    figures = []
    for name in names:
        figure = measure(name, SMALL.get(name, rows), pairs)
        print(figure if isinstance(figure, str) else f"{figure.name}: {figure.seconds:.2f} s, {figure.ratio:.2f} x")
        figures.append(figure)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, one pair; only printed")
    parser.add_argument("--rows", type=int, help="rows of the formats and peers; only printed")
    parser.add_argument("--sizes", help="rows of the other tables, from small to large; only printed")
    given = parser.parse_args()
    busy = os.getloadavg()[0]
    rows, pairs = (MILLION // 10, 1) if given.quick else (MILLION, PAIRS)
    sizes = [10_000, 100_000, MILLION] if given.quick else [10_000, 100_000, MILLION, 10 * MILLION]
    rows, sizes = given.rows or rows, [int(size) for size in given.sizes.split(",")] if given.sizes else sizes
    table.make(max(rows, sizes[-1]))
    sections: dict[str, list[Any]] = {
        "formats": measure_all(OURS, rows, pairs),
        "storage": measure_all(TO_S3, rows, pairs),
        "peers": measure_all(PEERS, rows, 1),
        "sizes": [measure("csv", size, 5 if size <= MILLION else 1) for size in sizes],
        "command": [command.measure(rows, pairs)],
        "memory": [
            memory(name, size)
            for name in ("csv", "csv.gz", "ndjson", "json", "parquet", "xlsx", "csv to S3")
            for size in (min(100_000, sizes[-1]), sizes[-1] // 2)
        ],
    }
    text = write(sections, start.measure(sizes[0]), busy)
    print(text)
    if not (given.quick or given.rows or given.sizes):
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
