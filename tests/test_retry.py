"""Retry as a value: a table."""

from __future__ import annotations

import pytest

from exports_app.pipeline import errors
from exports_app.resources import RetryPolicy
from workers.retry import RetryDecision, backoff, decide


@pytest.mark.parametrize(
    ("tries", "chance", "seconds"),
    [(0, 0.0, 0.5), (1, 0.0, 1.0), (2, 0.0, 2.0), (5, 0.0, 16.0), (6, 0.0, 30.0), (99, 0.0, 30.0), (1, 1.0, 0.5)],
)
def test_the_delay_doubles_up_to_half_a_minute(tries: int, chance: float, seconds: float) -> None:
    assert backoff(tries, chance=lambda: chance) == seconds


@pytest.mark.parametrize(
    ("error", "failures", "away", "delay", "counts"),
    [
        (errors.BadQuery(), 0, 0, None, None),  # terminal: one run
        (errors.TooManyRows(), 0, 0, None, None),
        (errors.PipelineError(), 0, 0, None, None),  # a bug
        (errors.DatabaseBusy(), 0, 0, 0.5, True),
        (errors.DatabaseBusy(), 1, 0, 1.0, True),
        (errors.DatabaseBusy(), 2, 0, None, None),  # the third run was the last
        (errors.UploadLost(), 0, 0, 0.5, True),
        (errors.StorageUnavailable(), 2, 0, 0.5, False),  # an outage uses no attempt
        (errors.StorageUnavailable(), 0, 4, 8.0, False),
        (errors.DatabaseUnavailable(), 0, 600, 30.0, False),
        (errors.DatabaseUnavailable(), 0, 900, None, None),  # too long
    ],
)
def test_what_follows_an_error(
    error: errors.PipelineError, failures: int, away: float, delay: float | None, counts: bool | None
) -> None:
    decision = decide(
        error, failures=failures, max_attempts=3, outage_seconds=away, outage_limit=900, chance=lambda: 0.0
    )
    if delay is None or counts is None:
        assert decision is None
    else:
        assert decision == RetryDecision(delay=delay, counts=counts, code=error.code)


def test_a_resource_brings_its_own_delays() -> None:
    policy = RetryPolicy(attempts=3, first_delay=30.0, max_delay=45.0)
    assert [backoff(tries, policy=policy, chance=lambda: 0.0) for tries in (0, 1, 2)] == [30.0, 45.0, 45.0]


def test_every_error_has_a_sentence_and_a_code_of_the_closed_set() -> None:
    codes = {
        "too_many_rows", "memory_limit", "permission_lost", "resource_gone", "column_gone", "format_limit", "bad_query",
        "bad_key", "access_denied", "time_limit", "worker_lost", "request_outdated", "switched_off", "internal",
        "database_unavailable", "storage_unavailable", "incomplete",
    }  # fmt: skip
    classes = errors.every()
    assert {each.code for each in classes} == codes
    assert all(str(each()).endswith(".") for each in classes)
    assert all(each.advice for each in classes if each is not errors.PipelineError and each.code != "internal")
