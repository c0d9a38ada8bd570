"""Retry as a value: from an error and what the job has been through to a decision."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from exports_app.pipeline.errors import PipelineError
from exports_app.resources.retry import RetryPolicy

USUAL = RetryPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDecision:
    """Try again after ``delay`` seconds; ``counts``: the failure uses an attempt."""

    delay: float
    counts: bool
    code: str


def backoff(tries: int, *, policy: RetryPolicy = USUAL, chance: Callable[[], float] = random.random) -> float:
    """Seconds before try number ``tries`` + 1: doubled each time, capped, with up to half taken off at random."""
    full = min(policy.max_delay, policy.first_delay * 2.0 ** min(tries, 16))
    return float(full * (1 - chance() / 2))


def decide(
    error: PipelineError,
    *,
    failures: int,
    max_attempts: int,
    outage_seconds: float,
    outage_limit: float,
    policy: RetryPolicy = USUAL,
    chance: Callable[[], float] = random.random,
) -> RetryDecision | None:
    """What to do after ``error``; None: the job has failed.

    An outage is waited out for ``outage_limit`` seconds without using an attempt; everything else that may pass
    has ``max_attempts`` runs, with the delays of the resource's ``policy``. Terminal errors have one.
    """
    if error.terminal:
        return None
    if error.free:
        return RetryDecision(delay=0.0, counts=False, code=error.code)
    if error.outage:
        if outage_seconds >= outage_limit:
            return None
        tries = int(outage_seconds / USUAL.first_delay).bit_length()  # each delay about as long as the outage so far
        return RetryDecision(delay=backoff(tries, chance=chance), counts=False, code=error.code)
    if failures + 1 >= max_attempts:
        return None
    return RetryDecision(delay=backoff(failures, policy=policy, chance=chance), counts=True, code=error.code)
