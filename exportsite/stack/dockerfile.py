"""What a Dockerfile says, instruction by instruction, and what it is given to copy."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

KNOWN = {"FROM", "ENV", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "HEALTHCHECK", "CMD"}


@dataclass(frozen=True, slots=True)
class Instruction:
    keyword: str
    rest: str


def read(text: str) -> list[Instruction]:
    """The instructions in their order. Raises ``ValueError`` for one that nobody here could execute."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found = [Instruction(*line.split(maxsplit=1)) for line in joined.splitlines()]
    if strange := [each.keyword for each in found if each.keyword not in KNOWN]:
        raise ValueError(f"the Dockerfile has {strange[0]}, which is not known here")
    return found


def context(folder: Path) -> Iterator[Path]:
    """Files that ``COPY . .`` copies, relative to the folder: all that .dockerignore does not leave out."""
    patterns = [line for line in (folder / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    for place, folders, files in os.walk(folder):
        here = Path(place).relative_to(folder)
        # Nothing within these is ever let in again, and they are large.
        folders[:] = [name for name in folders if not name.startswith(".") and name != "node_modules"]
        yield from (here / name for name in files if not is_ignored(str(here / name), patterns))


def is_ignored(path: str, patterns: Sequence[str]) -> bool:
    """Whether .dockerignore leaves it out: the last pattern that matches it, or a folder it is in, decides."""
    ignored = False
    parts = path.split("/")
    whole = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    for pattern in patterns:
        plain = pattern.removeprefix("!").rstrip("/")
        if any(_matches(each, plain) for each in whole):
            ignored = not pattern.startswith("!")
    return ignored


def _matches(path: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatchcase(path.rpartition("/")[2], pattern.removeprefix("**/"))
    return path.count("/") == pattern.count("/") and fnmatchcase(path, pattern)
