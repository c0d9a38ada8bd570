"""How often and how soon a resource's export is tried again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """For failures that may pass; terminal ones have one run, outages are waited out apart from this."""

    attempts: int | None = None
    """Runs in all; None: EXPORTS_MAX_ATTEMPTS."""
    first_delay: float = 0.5
    """Seconds before the second run; doubled for each further one, with up to half taken off at random."""
    max_delay: float = 30.0
    """Seconds."""
