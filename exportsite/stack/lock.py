"""`python -m exportsite.stack.lock`: whether ranges, pins and lock of the runtime are of one mind. Asks no network."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[2]


def problems(project: str, pins: str, lock: str) -> Iterator[str]:
    """What differs between the texts of pyproject.toml, requirements.txt and requirements.lock, in words."""
    ranges = _by_name(map(Requirement, tomllib.loads(project)["project"]["dependencies"]))
    pinned, locked = _versions(pins), _versions(lock)
    for name, wanted in ranges.items():
        if name not in locked:
            yield f"{name} is in pyproject.toml and not in requirements.lock"
        elif not wanted.specifier.contains(locked[name], prereleases=True):
            yield f"{name} is locked at {locked[name]}, which pyproject.toml does not allow ({wanted.specifier})"
    for name, version in pinned.items():
        if locked.get(name) != version:
            yield f"{name} is {version} in requirements.txt and {locked.get(name, 'missing')} in requirements.lock"
        if name not in ranges:
            yield f"{name} is in requirements.txt and not in pyproject.toml"
    for entry in _entries(lock):
        if "--hash=sha256:" not in entry:
            yield f"{entry} has no hash in requirements.lock"
    if named := re.findall(r"^\s*(-\S+|\S*://\S*)", lock.replace("--hash", "hash"), re.MULTILINE):
        yield f"requirements.lock says where to install from: {named[0]}"


def _versions(text: str) -> dict[str, str]:
    """The one version of each library that a file of pins names."""
    found = _by_name(Requirement(re.split(r"\s--hash|\s#", entry)[0]) for entry in _entries(text))
    return {name: str(pin.specifier).removeprefix("==") for name, pin in found.items()}


def _entries(text: str) -> list[str]:
    lines = text.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith(("#", "-"))]


def _by_name(requirements: Iterator[Requirement]) -> dict[str, Requirement]:
    return {canonicalize_name(each.name): each for each in requirements}


if __name__ == "__main__":
    files = ("pyproject.toml", "requirements.txt", "requirements.lock")
    found = list(problems(*((PROJECT / file).read_text() for file in files)))
    sys.exit("\n".join([*found, "Mend the ranges or the pins, then `make lock`."]) if found else 0)
