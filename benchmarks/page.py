"""The written page: each part of ``make bench`` puts its own section there."""

from __future__ import annotations

import os
from pathlib import Path

PAGE = Path("docs/benchmarks.md")


def put(heading: str, text: str, page: Path = PAGE) -> None:
    """Have the section say this; it goes to the end where there was none."""
    whole = page.read_text()
    before, found, behind = whole.partition(f"\n## {heading}\n")
    following = behind.partition("\n## ")
    after = f"\n## {following[2]}" if found and following[1] else ""
    page.write_text(f"{before.rstrip()}\n\n## {heading}\n\n{text.strip()}\n{after}")


def others(busy: float) -> str:
    """A sentence about who else used the machine; ``busy`` is its load average before."""
    if busy <= (os.cpu_count() or 1) / 2:
        return ""
    return f" Others were using it (load average {busy:.1f} before the run): count ratios, not seconds."
