from __future__ import annotations


class StackError(Exception):
    """The stack cannot go on; the message tells a person why."""


class Interrupted(Exception):
    """A signal asked the stack to stop."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by signal {signum}")
        self.signum = signum
