"""How many exports run at once where nobody says: by cores and by memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exports_app.conf import ExportsSettings
from tests.deployment.compose import PROJECT, SECRETS, services
from workers import concurrency

MAINTENANCE = ["maintenance", "notifications"]


@pytest.mark.parametrize(
    ("queues", "cores", "children"),
    [
        (["exports"], 1, 2),
        (["exports"], 2, 4),
        (["exports"], 16, 32),
        (["exports.large"], 1, 3),
        (["exports.large"], 2, 3),
        (["exports.large"], 16, 16),
        (["exports", "exports.large"], 2, 4),
        (MAINTENANCE, 1, 2),
        (MAINTENANCE, 16, 2),
    ],
)
def test_the_cores_say_how_many(queues: list[str], cores: int, children: int) -> None:
    assert concurrency.wanted(queues, cores) == children


@pytest.mark.parametrize(
    ("megabytes", "hard", "children"),
    [
        (7_200, 1_536, 4),
        (5_600, 1_536, 3),
        (3_900, 1_536, 2),
        (2_109, 1_536, 1),  # 414 + 1696 - 1
        (256, 1_536, 1),  # never none
        (13_400, 3_072, 4),
        (1_800, 512, 2),
        (1_054, 0, 4),  # no hard limit: what a child has that waits
    ],
)
def test_no_more_than_the_memory_holds_at_their_hard_limits(
    megabytes: int, hard: int, children: int, settings: Any
) -> None:
    settings.EXPORTS_MEMORY_HARD_LIMIT_MB = hard
    assert concurrency.fitting(megabytes) == children


@pytest.mark.parametrize(("limit", "megabytes"), [("268435456\n", 256), ("max\n", 16_000), (None, 16_000)])
def test_the_memory_is_that_of_the_container_where_it_has_a_limit(
    limit: str | None, megabytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, container = tmp_path / "meminfo", tmp_path / "memory.max"
    machine.write_text("MemTotal:       16384000 kB\nMemFree:        1 kB\n")
    if limit is not None:
        container.write_text(limit)
    monkeypatch.setattr(concurrency, "MEMORY", machine)
    monkeypatch.setattr(concurrency, "LIMITS", (container, tmp_path / "of another kind"))
    assert concurrency.memory_mb() == megabytes


def test_three_large_exports_and_a_small_one_have_places_on_any_machine() -> None:
    most = ExportsSettings.SOURCE_MAX_RUNNING
    assert most == 8
    assert concurrency.wanted(["exports.large"], 1) == 3
    assert most - 1 >= 3, "large ones leave the last place"


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("worker", "WORKER_CONCURRENCY"),
        ("worker-large", "WORKER_LARGE_CONCURRENCY"),
        ("maintenance", "MAINTENANCE_CONCURRENCY"),
    ],
)
def test_a_variable_says_otherwise(name: str, variable: str) -> None:
    procfile = (PROJECT / "Procfile").read_text()
    line = next(line for line in procfile.splitlines() if line.startswith(f"{name}: celery -A workers.celery worker "))
    assert f" -c ${{{variable}:-auto}} " in line
    assert " -c auto " in services()[name]["command"]
    assert " -c 7 " in services(SECRETS | {variable: "7"})[name]["command"]
