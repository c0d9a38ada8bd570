"""How fast, how large, beside what: ``make bench`` measures in one run and writes docs/benchmarks.md."""

from __future__ import annotations
