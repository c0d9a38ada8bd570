"""What held: on the screen, and in the document."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from chaos.catalogue import Fault, order_of

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "reliability.md"
HEAD = ["| # | fault | must hold | held | seed | |", "|---|---|---|---|---|---|"]


@dataclass
class Row:
    fault: Fault
    times: int = 0
    held: int = 0
    outcome: str = ""
    notes: str = ""


@dataclass
class Report:
    """Of one room, whose table stands between two marks of the document."""

    room: str
    seed: int
    rows: dict[str, Row] = field(default_factory=dict)

    def add(self, fault: Fault, outcome: str, seconds: float, notes: str) -> None:
        row = self.rows.setdefault(fault.name, Row(fault))
        row.times += outcome in ("held", "BROKEN")
        row.held += outcome == "held"
        if row.outcome != "BROKEN":
            row.outcome, row.notes = outcome, notes
        print(
            f"{fault.name:>4}  {outcome:<8} {seconds:6.1f} s  {fault.what}{f' ({notes})' if notes else ''}", flush=True
        )

    @property
    def broken(self) -> list[str]:
        return [name for name, row in self.rows.items() if row.outcome == "BROKEN"]

    def table(self) -> str:
        return "\n".join([*HEAD, *self._lines().values()])

    def write(self) -> None:
        """Replace the rows of the faults that ran in the room's table."""
        begin, end = f"<!-- chaos {self.room}: begin -->", f"<!-- chaos {self.room}: end -->"
        before, _, rest = DOCUMENT.read_text().partition(begin)
        there, _, after = rest.partition(end)
        known = {found[1]: found[0] for found in re.finditer(r"^\| ([A-Z]+\d+) \|.*$", there, re.MULTILINE)}
        lines = known | self._lines()
        ordered = [lines[name] for name in sorted(lines, key=order_of)]
        DOCUMENT.write_text(before + "\n".join([begin, *HEAD, *ordered, end]) + after)

    def _lines(self) -> dict[str, str]:
        return {name: self._line(row) for name, row in self.rows.items()}

    def _line(self, row: Row) -> str:
        often = f"{row.held} of {row.times}" if row.times else "not run"
        what, holds = row.fault.what, row.fault.holds
        return f"| {row.fault.name} | {what} | {holds} | {often} | {self.seed if row.times else ''} | {row.notes} |"
