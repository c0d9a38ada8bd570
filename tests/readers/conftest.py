"""The files that readers get, and JavaScript's readers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exports_app.pipeline.types import Field, Kind
from tests.readers import table
from tests.rendering import connect, render

HERE = Path(__file__).parent
WIDE = 705
"""Columns of the wide table: past AZ and past ZZ."""
LONG = 25
"""Rows of the long table, whose sheets hold ten each, the header included."""

Node = Callable[..., list[list[list[list[Any]]]]]


@pytest.fixture(scope="package")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder: ``all.*`` in every format, and the workbooks ``texts``, ``wide`` and ``long``."""
    folder = tmp_path_factory.mktemp("files")
    with connect() as connection:
        table.make(connection)
        for name in ("csv", "json", "ndjson", "parquet", "xlsx"):
            options = {"escape_formulas": False} if name == "csv" else {}
            (folder / f"all.{name}").write_bytes(render(name, table.FIELDS, table.QUERY, options=options))
        number, value = (
            Field(name=name, label=name, kind=kind) for name, kind in (("id", Kind.INTEGER), ("value", Kind.TEXT))
        )
        (folder / "texts.xlsx").write_bytes(render("xlsx", [number, value], "SELECT id, value, id FROM readers_texts"))
        wide = [Field(name=f"c{n}", label=f"column {n}", kind=Kind.INTEGER) for n in range(1, WIDE + 1)]
        # Every third cell is empty, the last one of the second row too.
        values = ", ".join([f"CASE WHEN (n + {n}) % 3 <> 0 THEN n * 1000 + {n} END" for n in range(1, WIDE + 1)])
        query = f"SELECT {values}, n FROM generate_series(1, 3) AS n"
        (folder / "wide.xlsx").write_bytes(render("xlsx", wide, query))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("exports_app.pipeline.formats.xlsx.MAX_ROWS", 10)
            query = f"SELECT n, 'row ' || n, n FROM generate_series(1, {LONG}) AS n"
            long = render("xlsx", [number, value], query, chunk_rows=4, part_size=1, resumed=True)
        (folder / "long.xlsx").write_bytes(long)
        yield folder
        table.drop(connection)


@pytest.fixture(scope="session")
def node() -> Node:
    """Files as one of JavaScript's readers sees them: ``node(reader, file, …)``."""
    program = shutil.which("node")
    if program is None or not (HERE / "node_modules").is_dir():
        message = "JavaScript's readers are not installed: Debian's nodejs and npm, then `make setup`."
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)

    def read(reader: str, *files: Path) -> list[list[list[list[Any]]]]:
        command = [program, str(HERE / "read.mjs"), reader, *map(str, files)]
        done = subprocess.run(command, capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr.decode()
        found: list[list[list[list[Any]]]] = json.loads(done.stdout)
        return found

    return read
