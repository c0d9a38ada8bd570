"""Which cases of the long matrices ``make test`` runs: so many of each, by a seed. ``make test-full`` runs all."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeVar

import pytest

WHOLE = os.environ.get("WHOLE_MATRICES") == "1"
SEED = "MATRIX_SEED"
"""Variable with the seed; printed at the end of a run, and to be given to replay one."""
CASES = {
    "tests/access/test_matrix.py::test_what_may_be_done_to_an_export": 4,
    "tests/access/test_rights_matrix.py::test_who_gets_what_of_a_file": 14,
    "tests/keys/test_matrix.py::test_a_key_of_any_type_that_has_an_order": 12,
    "tests/stores/test_equal_parts.py::test_a_file_killed_at_ten_moments_has_the_same_bytes": 2,
    "tests/stores/test_equal_parts.py::test_a_file_with_a_limit_that_is_killed_has_the_same_bytes": 2,
    "tests/stores/test_equal_parts.py::test_a_file_has_the_same_contents_as_in_other_parts": 2,
    "tests/stores/test_equal_parts.py::test_a_run_that_ends_near_the_end_of_the_file_is_gone_on_with": 2,
    "tests/stores/test_finding_out.py::test_an_export_in_equal_parts_that_is_killed_goes_on_behind_its_checkpoint": 1,
    "tests/test_interrupted.py::test_a_commit_without_an_answer_costs_nothing": 3,
}
"""Of tests that take a minute and more in all."""
Case = TypeVar("Case")


def begin() -> None:
    """Choose a seed, once for all processes of a run."""
    os.environ.setdefault(SEED, str(random.SystemRandom().randrange(10_000)))


def part(test: str, cases: Iterable[Case]) -> Sequence[Case]:
    """The cases of this test that are run, in their order; all of them where the whole matrices are asked for."""
    every = list(cases)
    if WHOLE or len(every) <= CASES[test]:
        return every
    chosen = random.Random(f"{os.environ[SEED]} {test}").sample(range(len(every)), CASES[test])
    return [every[number] for number in sorted(chosen)]


def leave_out(items: list[pytest.Item], config: pytest.Config) -> None:
    """Take from the collected tests what is not run. One that was asked for by its whole name stays."""
    found: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        found[item.nodeid.partition("[")[0]].append(item)
    kept = {item for test, cases in found.items() if test in CASES for item in part(test, sorted(cases, key=_name))}
    out = {item for test, cases in found.items() if test in CASES for item in cases} - kept
    if out:
        config.hook.pytest_deselected(items=list(out))
        items[:] = [item for item in items if item not in out]


def _name(item: pytest.Item) -> str:
    return item.nodeid


def told() -> str:
    """What is said of it at the end of a run."""
    tests = ", ".join(f"{count} of {test.partition('::')[2]}" for test, count in CASES.items())
    return f"A part of each long matrix was run ({SEED}={os.environ[SEED]}); `make test-full` runs them whole: {tests}."
