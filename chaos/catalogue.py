"""The faults by name, in the order of the list."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from chaos.scene import Scene

Act = Callable[[Scene], None]


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    what: str
    holds: str
    act: Act
    rows: int = 0
    """Rows of the table that it needs; such faults take long, and are run when asked for by name."""

    @property
    def long(self) -> bool:
        return self.rows > 0

    @property
    def order(self) -> tuple[str, int]:
        return order_of(self.name)


def order_of(name: str) -> tuple[str, int]:
    """What the names of faults are sorted by: a letter and a number."""
    kind, number = re.match(r"(\D+)(\d+)", name).groups()  # type: ignore[union-attr]  # every name has both
    return kind, int(number)


FAULTS: dict[str, Fault] = {}


def fault(name: str, what: str, holds: str, *, rows: int = 0) -> Callable[[Act], Act]:
    """Add a fault: it breaks something under jobs of its own; the invariants are checked after it."""

    def add(act: Act) -> Act:
        FAULTS[name] = Fault(name, what, holds, act, rows)
        return act

    return add
