"""What a compiled expression of the ORM says beyond its output field."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.expressions import Col, Combinable, CombinedExpression
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast, Ceil, Exp, Floor, Ln, Log, Power, Round, Sqrt

DIVIDING = (models.Avg, models.StdDev, models.Variance, Exp, Ln, Log, Power, Sqrt)
"""Their decimals are as many as PostgreSQL likes, sixteen and more."""
ROUNDING = (Cast, Round, Ceil, Floor)
"""Their decimals are those that were asked for."""


def generated_field(expression: Any) -> models.Field[Any, Any] | None:
    """The ``GeneratedField`` that is selected: its output field is another, which has no name."""
    target = expression.target if isinstance(expression, Col) else None
    return target if isinstance(target, models.GeneratedField) else None


def is_json_path(expression: Any) -> bool:
    """Whether it is a value within a document of JSON."""
    return isinstance(expression, KeyTransform) and not isinstance(expression, KeyTextTransform)


def is_computed(expression: Any) -> bool:
    """Whether the database computes it, in whatever type comes of that."""
    return expression is not None and not isinstance(expression, Col)


def divides(expression: Any) -> bool:
    """Whether the decimals of its numbers come from a division, and no column or cast says how many there are."""
    if isinstance(expression, ROUNDING) or not hasattr(expression, "get_source_expressions"):
        return False
    if isinstance(expression, DIVIDING):
        return True
    if isinstance(expression, CombinedExpression) and expression.connector in (Combinable.DIV, Combinable.POW):
        return True
    return any(divides(each) for each in expression.get_source_expressions() if each is not None)
