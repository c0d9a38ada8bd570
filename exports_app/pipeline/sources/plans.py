"""What the planner says about a query."""

from __future__ import annotations

import json
from typing import Any


def has_sort(explained: tuple[Any, ...] | None) -> bool:
    """Whether the plan sorts the rows themselves; ``explained``: the row that ``EXPLAIN (FORMAT JSON)`` gives."""
    found = explained[0] if explained else []
    plans = json.loads(found) if isinstance(found, str) else found
    return _has_sort(plans[0]["Plan"])


def _has_sort(node: dict[str, Any]) -> bool:
    """Whether the rows themselves are sorted; subqueries in their columns may sort as they like."""
    aside = ("SubPlan", "InitPlan")
    children = [each for each in node.get("Plans", ()) if each.get("Parent Relationship") not in aside]
    return node["Node Type"] == "Sort" or any(_has_sort(child) for child in children)
