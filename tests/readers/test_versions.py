"""The list of readers says which versions these tests read with."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path

from django.conf import settings

from tests.readers.workbooks import JAVASCRIPT, PYTHON

LIST = (Path(settings.BASE_DIR) / "docs" / "readers.md").read_text()
HERE = Path(__file__).parent
LISTED = {(name, found) for name, found in re.findall(r"^\| [^|]+ \| ([^|]+) \| ([^|]+) \|", LIST, re.MULTILINE)}
OF_PYTHON = {
    "openpyxl": "openpyxl",
    "python-calamine": "python-calamine",
    "xlsx2csv": "xlsx2csv",
    "pylightxl": "pylightxl",
    "polars": "polars",
    "pandas": "pandas",
    "DuckDB": "duckdb",
    "pyarrow": "pyarrow",
}
OF_JAVASCRIPT = {"xlsx (SheetJS)": "xlsx", "Papa Parse": "papaparse"}


def test_readers_of_python_are_listed_with_their_versions() -> None:
    assert {(name, version(package)) for name, package in OF_PYTHON.items()} <= LISTED
    assert f"with fastexcel {version('fastexcel')}" in LIST
    assert len([name for name in PYTHON if name.partition(",")[0].removeprefix("python-") in LIST]) == len(PYTHON)


def test_readers_of_javascript_are_listed_with_the_versions_that_are_pinned() -> None:
    pinned = json.loads((HERE / "package.json").read_text())["dependencies"]
    names = {package: name for name, package in OF_JAVASCRIPT.items()}

    assert {(names.get(package, package), found) for package, found in pinned.items()} <= LISTED
    assert set(JAVASCRIPT) | {"papaparse"} == set(pinned)


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((HERE / "package-lock.json").read_text())

    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
