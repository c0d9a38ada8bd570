"""Loaded by schemathesis (schemathesis.toml)."""

from __future__ import annotations

import json
from typing import Any

import schemathesis
from schemathesis.generation import GenerationMode

BY_RESOURCE = ("filters", "options", "parameters", "columns", "compression", "ids", "preset")


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Leave out, every other time, what only fits to a resource by luck: else no export would ever be accepted."""
    made = case.meta.generation.mode if case.meta else None
    if made == GenerationMode.POSITIVE and isinstance(case.body, dict) and len(json.dumps(case.body)) % 2:
        case.body = {name: value for name, value in case.body.items() if name not in BY_RESOURCE}
