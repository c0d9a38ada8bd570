"""The figures as a page."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks.page import others

if TYPE_CHECKING:
    from benchmarks.__main__ import Figure, Memory
    from benchmarks.command import Timing

HEAD = """# Benchmarks

Written by `make bench`. One run on one machine; each line is the median of its pairs, a pair being `psql \\copy` of the
same rows, columns and order as CSV and then our case, so that a machine that slows down slows both. Seconds are those
of the work, without the interpreter's start and the loading of libraries. Memory is the process's peak, and in brackets
by how much that is above the idle process, libraries included: what a worker grows by. Lower ratios are better; 1.0 is
what PostgreSQL's own client needs. The sections about the API and the event streams are of a whole site on the same
machine, clients and workers included.

"""
PACKAGES = ("django", "psycopg", "boto3", "isal", "pyarrow", "openpyxl", "XlsxWriter", "django-import-export", "polars",
            "adbc-driver-postgresql")  # fmt: skip
OUR_FORMAT = {
    "django-import-export xlsx": "xlsx",
    "openpyxl write-only": "xlsx",
    "XlsxWriter constant_memory": "xlsx",
    "polars (ADBC) parquet": "parquet",
}
"""What a peer is compared with; others with csv."""
SIZES = """## Ten thousand to ten million rows

CSV; seconds in all, then microseconds per row. A run has a fixed cost, most of it the connection's, and psql has the
same: it shows at ten thousand rows and nowhere else. What each further row costs, from one size to the next, is what
grows with the data.
"""


def write(sections: Mapping[str, Sequence[Any]], start: Mapping[str, float], busy: float) -> str:
    """Markdown of all sections; ``busy`` is the machine's load average before the run."""
    return HEAD + "\n".join(
        [
            _machine(busy),
            "## Formats\n\n12 columns (integer, uuid, text with quotes and line ends, decimals with NULLs, datetime, "
            "date, boolean), about 160 bytes of CSV a row, written to nowhere. gzip is isal's level 1. "
            "German: decimal commas, dates as 31.12.2024, clocks of Berlin.\n",
            _rows(sections["formats"]),
            "## Into S3\n\nThe same through multipart uploads into SeaweedFS on the same machine, proof included.\n",
            _rows(sections["storage"]),
            "## Peers\n\nSlow ones have fewer rows, so rows per second are compared, with ours of the same format. "
            "DuckDB's PostgreSQL reader is not here: it downloads its extension at run time.\n",
            _peers(sections["peers"], sections["formats"]),
            SIZES,
            _sizes(sections["sizes"]),
            _start(start),
            "## The command\n\n`manage.py export customers --output /dev/null` beside `psql \\copy` of the same "
            "columns and order, both from the prompt to the end of the process; 7 columns. Seconds.\n",
            _command(sections["command"]),
            "## Memory\n\nThe same at every size.\n",
            _memory(sections["memory"]),
        ]
    )


def _machine(busy: float) -> str:
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        server = connection.execute("SHOW server_version").fetchone()
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 1024 // 1024
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{os.cpu_count()} cores ({_processor()}), {memory} GiB of memory, {platform.system()}, "
        f"Python {platform.python_version()}, PostgreSQL {server[0] if server else ''} on the same machine; {packages}."
        f"{others(busy)}\n"
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _rows(figures: Sequence[Figure | str]) -> str:
    lines = ["| what | rows | seconds | rows/s | x psql | peak memory | file |", "|---|--:|--:|--:|--:|--:|--:|"]
    for each in figures:
        if isinstance(each, str):
            lines.append(f"| {each} | | | | | | |")
            continue
        size = f"{each.file_mb:.0f} MB" if each.file_mb else ""
        lines.append(f"{_line(each)} {size} |")
    return "\n".join(lines) + "\n"


def _peers(figures: Sequence[Figure | str], ours: Sequence[Figure | str]) -> str:
    lines = ["| what | rows | seconds | rows/s | x psql | peak memory | ours is |", "|---|--:|--:|--:|--:|--:|--:|"]
    speeds = {each.name: each.rows / each.seconds for each in ours if not isinstance(each, str)}
    for each in figures:
        if isinstance(each, str):
            lines.append(f"| {each} | | | | | | |")
            continue
        mine = speeds.get(OUR_FORMAT.get(each.name, "csv"))
        faster = f"{mine * each.seconds / each.rows:.1f} x as fast" if mine else ""
        lines.append(f"{_line(each)} {faster} |")
    return "\n".join(lines) + "\n"


def _line(figure: Figure) -> str:
    return (
        f"| {figure.name} | {figure.rows:,} | {figure.seconds:.2f} | {figure.rows / figure.seconds:,.0f} "
        f"| {figure.ratio:.2f} | {figure.peak_mb:.0f} MB (+{figure.growth_mb:.0f}) |"
    )


def _sizes(figures: Sequence[Figure | str]) -> str:
    lines = [
        "| rows | seconds | µs per row | of each further row | psql | of each further row | x psql |",
        "|--:|--:|--:|--:|--:|--:|--:|",
    ]
    before: Figure | None = None
    for each in figures:
        if isinstance(each, str):
            lines.append(f"| {each} | | | | | | |")
            continue
        ours, psql = _further(each, before)
        lines.append(
            f"| {each.rows:,} | {each.seconds:.3f} | {_micros(each.seconds, each.rows)} | {ours} "
            f"| {_micros(each.psql, each.rows)} | {psql} | {each.ratio:.2f} |"
        )
        before = each
    return "\n".join(lines) + "\n"


def _further(figure: Figure, before: Figure | None) -> tuple[str, str]:
    """Cost of a row beyond those of the size before, ours and psql's."""
    if before is None:
        return "", ""
    rows = figure.rows - before.rows
    return _micros(figure.seconds - before.seconds, rows), _micros(figure.psql - before.psql, rows)


def _micros(seconds: float, rows: int) -> str:
    return f"{seconds / rows * 1e6:.2f}"


def _start(steps: Mapping[str, float]) -> str:
    lines = ["| step of the smallest | milliseconds |", "|---|--:|"]
    lines += [f"| {step} | {milliseconds:.1f} |" for step, milliseconds in steps.items()]
    return "\n".join(lines) + "\n"


def _command(timings: Sequence[Timing]) -> str:
    lines = ["| rows | psql | whole process | x psql | by its own clock | x psql |", "|--:|--:|--:|--:|--:|--:|"]
    lines += [
        f"| {each.rows:,} | {each.psql:.2f} | {each.whole:.2f} | {each.ratio:.2f} | {each.inner:.2f} "
        f"| {each.inner_ratio:.2f} |"
        for each in timings
    ]
    return "\n".join(lines) + "\n"


def _memory(figures: Sequence[Memory | str]) -> str:
    lines = ["| what | rows | peak memory | growth |", "|---|--:|--:|--:|"]
    lines += [
        f"| {each} | | | |"
        if isinstance(each, str)
        else f"| {each.name} | {each.rows:,} | {each.peak_mb:.0f} MB | {each.growth_mb:.0f} MB |"
        for each in figures
    ]
    return "\n".join(lines) + "\n"
