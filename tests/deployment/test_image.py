"""What the image is made of: the lock alone, the site without its tools; and how digests get into the files."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from exportsite.stack import dockerfile, pins
from exportsite.stack.dockerfile import Instruction
from tests.deployment.compose import PROJECT

DIGEST = "sha256:" + "0f" * 32


def steps() -> list[Instruction]:
    return dockerfile.read((PROJECT / "Dockerfile").read_text())


def test_instructions_are_read_with_their_continued_lines() -> None:
    text = "# Base\nFROM python:3.11.14-slim-bookworm\n\nRUN one \\\n    && two\nUSER exports\n"
    assert dockerfile.read(text) == [
        Instruction("FROM", "python:3.11.14-slim-bookworm"),
        Instruction("RUN", "one && two"),
        Instruction("USER", "exports"),
    ]
    with pytest.raises(ValueError, match="the Dockerfile has ADD, which is not known here"):
        dockerfile.read("FROM a:1.0\nADD . .\n")


def test_the_image_installs_the_lock_alone_and_every_file_by_its_hash() -> None:
    runs = [step.rest for step in steps() if step.keyword == "RUN"]
    assert [run for run in runs if "pip" in run] == [
        "pip install --require-hashes --only-binary :all: -r requirements.lock"
    ]
    assert [step.rest for step in steps() if step.keyword == "COPY"] == ["requirements.lock .", ". ."]


def test_nobody_in_the_image_is_root() -> None:
    assert [step.rest for step in steps() if step.keyword == "USER"] == ["exports"]


def test_the_image_holds_the_site_and_nothing_of_the_desk() -> None:
    held = {str(path) for path in dockerfile.context(PROJECT)}
    assert {"manage.py", "requirements.lock", "exportsite/settings.py", "workers/celery.py"} <= held
    roots = {path.partition("/")[0] for path in held}
    assert roots == {"manage.py", "requirements.lock", "exports_app", "exportsite", "workers", "templates"}
    assert [path for path in held if path.startswith("exportsite/stack/") or path.endswith(".pyc")] == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".env", True),
        ("manage.py", False),
        ("exports_app/models.py", False),
        ("exports_app/web/__pycache__/views.cpython-311.pyc", True),
        ("exportsite/stack/site.py", True),
        ("exportsite/stackless.py", False),
        ("tests/conftest.py", True),
    ],
)
def test_the_last_pattern_decides_what_is_left_out(path: str, expected: bool) -> None:
    patterns = ["*", "!manage.py", "!exports_app", "!exportsite", "exportsite/stack", "**/__pycache__", "**/*.pyc"]
    assert dockerfile.is_ignored(path, patterns) is expected


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM python:3.11.14-slim-bookworm\nUSER exports\n")
    (tmp_path / "docker-compose.yml").write_text("  image: exportsite\n    image: redis:7.4.3-bookworm\n")
    return tmp_path


def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    """What the command `docker` says from now on."""
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def test_a_digest_stands_behind_each_version_and_a_newer_one_takes_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: Path
) -> None:
    for digest in ("sha256:" + "aa" * 32, DIGEST):
        registry(monkeypatch, tmp_path, f"echo {digest}")
        pins.pin(files)
    assert (files / "Dockerfile").read_text() == f"FROM python:3.11.14-slim-bookworm@{DIGEST}\nUSER exports\n"
    assert (files / "docker-compose.yml").read_text() == (
        f"  image: exportsite\n    image: redis:7.4.3-bookworm@{DIGEST}\n"
    )


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo 'no such host' >&2; exit 1", "no such host"),
        ("echo latest", "latest"),
        (f'case "$*" in *redis*) echo {DIGEST};; *) exit 1;; esac', "python:3.11.14-slim-bookworm: no answer"),
    ],
)
def test_what_was_not_resolved_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: Path, script: str, expected: str
) -> None:
    registry(monkeypatch, tmp_path, script)
    with pytest.raises(pins.Unresolved, match=re.escape(expected)):
        pins.pin(files)
    assert "sha256" not in (files / "Dockerfile").read_text() + (files / "docker-compose.yml").read_text()
