"""What held: on the screen, and in the document."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from chaos.catalogue import Fault

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- chaos: begin -->", "<!-- chaos: end -->"


@dataclass
class Row:
    fault: Fault
    times: int = 0
    held: int = 0
    outcome: str = ""
    notes: str = ""


@dataclass
class Report:
    seed: int
    rows: dict[str, Row] = field(default_factory=dict)

    def add(self, fault: Fault, outcome: str, seconds: float, notes: str) -> None:
        row = self.rows.setdefault(fault.name, Row(fault))
        row.times += outcome != "not here"
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
        lines = ["| # | fault | must hold | held | |", "|---|---|---|---|---|"]
        for row in self.rows.values():
            often = f"{row.held} of {row.times}" if row.times else "not run"
            lines.append(f"| {row.fault.name} | {row.fault.what} | {row.fault.holds} | {often} | {row.notes} |")
        return "\n".join([*lines, "", f"Seed {self.seed}."])

    def write(self) -> None:
        """Replace the table in the document."""
        text = DOCUMENT.read_text()
        put = f"{BEGIN}\n{self.table()}\n{END}"
        DOCUMENT.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: put, text, flags=re.DOTALL))
