"""The figures as a page."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from benchmarks.__main__ import Figure

HEAD = """# Benchmarks

Written by `make bench`. One run on one machine; each line is the median of its pairs, a pair being our case and then
`psql \\copy` of the same rows, columns and order as CSV, so that a machine that slows down slows both. Seconds are
those of the work, without the interpreter's start. Memory is the process's peak, and in brackets what of it came after
everything was loaded. Lower ratios are better; 1.0 is what PostgreSQL's own client needs.

"""
PACKAGES = ("django", "psycopg", "boto3", "isal", "pyarrow", "openpyxl", "XlsxWriter", "django-import-export", "polars",
            "adbc-driver-postgresql")  # fmt: skip


def write(sections: Mapping[str, Sequence[Figure | str]]) -> str:
    """Markdown of all sections."""
    return HEAD + "\n".join(
        [
            _machine(),
            "## Formats\n\n12 columns (integer, uuid, text with quotes and line ends, decimals with NULLs, datetime, "
            "date, boolean), about 160 bytes of CSV a row, written to nowhere. gzip is isal's level 1.\n",
            _rows(sections["formats"]),
            "## Into S3\n\nThe same through multipart uploads into SeaweedFS on the same machine, proof included.\n",
            _rows(sections["storage"]),
            "## Peers\n\nSlow ones have fewer rows; compare rows per second. DuckDB's PostgreSQL reader is not here: "
            "it downloads its extension at run time.\n",
            _rows(sections["peers"]),
            "## Ten thousand to ten million rows\n\nCSV; microseconds per row.\n",
            _sizes(sections["sizes"]),
            "## Memory\n\nThe same at every size.\n",
            _memory(sections["memory"]),
        ]
    )


def _machine() -> str:
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        server = connection.execute("SHOW server_version").fetchone()
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 1024 // 1024
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{os.cpu_count()} cores, {memory} GiB of memory, {platform.system()}, Python {platform.python_version()}, "
        f"PostgreSQL {server[0] if server else ''} on the same machine; {packages}.\n"
    )


def _rows(figures: Sequence[Figure | str]) -> str:
    lines = ["| what | rows | seconds | rows/s | x psql | peak memory |", "|---|--:|--:|--:|--:|--:|"]
    for each in figures:
        if isinstance(each, str):
            lines.append(f"| {each} | | | | | |")
            continue
        lines.append(
            f"| {each.name} | {each.rows:,} | {each.seconds:.2f} | {each.rows / each.seconds:,.0f} | {each.ratio:.2f} "
            f"| {each.peak_mb:.0f} MB (+{each.growth_mb:.0f}) |"
        )
    return "\n".join(lines) + "\n"


def _sizes(figures: Sequence[Figure | str]) -> str:
    lines = ["| rows | seconds | µs per row | x psql |", "|--:|--:|--:|--:|"]
    lines += [
        f"| {each.rows:,} | {each.seconds:.3f} | {each.seconds / each.rows * 1e6:.2f} | {each.ratio:.2f} |"
        for each in figures
        if not isinstance(each, str)
    ]
    return "\n".join(lines) + "\n"


def _memory(figures: Sequence[Figure | str]) -> str:
    lines = ["| what | rows | peak memory | growth |", "|---|--:|--:|--:|"]
    lines += [
        f"| {each.name} | {each.rows:,} | {each.peak_mb:.0f} MB | {each.growth_mb:.0f} MB |"
        for each in figures
        if not isinstance(each, str)
    ]
    return "\n".join(lines) + "\n"
