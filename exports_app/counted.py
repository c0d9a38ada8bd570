"""What a finished file says of its rows: how many each table has, and why nobody counted them apart."""

from __future__ import annotations

from typing import Any

from exports_app.pipeline.types import Progress
from exports_app.plan import Plan

UNVERIFIED = "The number of rows was not verified: "


def counts(plan: Plan, progress: Progress) -> dict[str, Any]:
    """Rows of a finished file as the job's row has them: its own, and those of related tables."""
    tables = progress.tables or (progress.rows,)
    own, *related = (*tables, *[0] * (len(plan.tables) - len(tables)))
    names = [table.resource.name for table in plan.tables[1:]]
    rows = [{"resource": name, "rows": rows} for name, rows in zip(names, related, strict=True)]
    return {"row_count": own, "sheet_rows": rows or None}


def unverified(why: str) -> str:
    """What the owner reads where the rows were not counted."""
    return f"{UNVERIFIED}{why}."
