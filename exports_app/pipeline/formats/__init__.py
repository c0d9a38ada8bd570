"""The formats by name. A format's code, and what it imports, loads when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from exports_app.pipeline.types import Format

FORMATS = {
    "csv": "exports_app.pipeline.formats.csv",
    "json": "exports_app.pipeline.formats.json",
    "ndjson": "exports_app.pipeline.formats.ndjson",
    "parquet": "exports_app.pipeline.formats.parquet",
    "xlsx": "exports_app.pipeline.formats.xlsx",
}
"""Name to module; the module's ``FORMAT`` says everything else."""


def get_format(name: str) -> Format:
    """The format of this name. Raises ``KeyError`` where there is none."""
    return cast(Format, import_module(FORMATS[name]).FORMAT)


def content_type(name: str, compression: str | None) -> str:
    """Media type of a file of this format; ``compression``: gzip, or nothing."""
    return "application/gzip" if compression else get_format(name).content_type
