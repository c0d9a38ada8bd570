"""Columns of a resource, and what the ORM says they hold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.expressions import Combinable
from django.utils.text import capfirst

from exports_app.pipeline.formats.labels import stored_text
from exports_app.pipeline.types import Field, Kind

KINDS: tuple[tuple[type[models.Field[Any, Any]], Kind], ...] = (
    (ArrayField, Kind.ARRAY),
    (models.BooleanField, Kind.BOOLEAN),
    (models.DecimalField, Kind.DECIMAL),
    (models.FloatField, Kind.FLOAT),
    (models.DateTimeField, Kind.DATETIME),
    (models.DateField, Kind.DATE),
    (models.TimeField, Kind.TIME),
    (models.DurationField, Kind.DURATION),
    (models.UUIDField, Kind.UUID),
    (models.JSONField, Kind.JSON),
    (models.BinaryField, Kind.BINARY),
    (models.IntegerField, Kind.INTEGER),
    (models.AutoField, Kind.INTEGER),
)
"""First match wins, so that DateTimeField (a DateField) comes before its parent."""

LONGEST_ALIAS = 50
"""Characters of a name; PostgreSQL cuts identifiers at 63."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a resource.

    ``expression`` is any ORM expression, or an ORM path where it differs from ``name``. ``sensitive`` names the
    permission without which the column does not exist for a user. ``kind`` overrides what the ORM says;
    ``guarded=False`` says that its text can never be a formula.

    ``python`` computes the value of the row's object instead: a function of it, or the name of an attribute or of a
    method without arguments, names behind one another with dots between. Its ``kind`` is text unless said.
    """

    name: str
    expression: Combinable | str | None = None
    label: str | None = None
    sensitive: str | None = None
    kind: Kind | str | None = None
    guarded: bool = True
    python: Callable[[Any], Any] | str | None = None

    @property
    def reads_object(self) -> bool:
        """Whether Python computes its values, of the objects of the rows."""
        return self.python is not None

    @property
    def is_computed(self) -> bool:
        """Whether an expression makes its values; others stand at an ORM path."""
        return self.expression is not None and not isinstance(self.expression, str)

    @property
    def path(self) -> str:
        """Where the value stands in the queryset; computed columns get an alias of their own."""
        return _alias(self.name) if self.is_computed else str(self.expression or self.name)

    def title(self, output: models.Field[Any, Any] | None) -> str:
        """The header: the label, else the model field's verbose name, else the name in words."""
        if self.label:
            return self.label
        if output is not None and self.name in (getattr(output, "name", None), getattr(output, "attname", None)):
            return str(capfirst(output.verbose_name))
        return self.name.replace("__", " ").replace("_", " ").capitalize()

    def field(
        self, output: models.Field[Any, Any] | None, *, label: str | None = None, has_digits: bool = True
    ) -> Field:
        """The column as the pipeline sees it; ``output`` is the ORM's output field.

        ``has_digits=False``: values may have more digits than ``output`` says.
        """
        kind = Kind(self.kind) if self.kind else kind_of(output)
        number = output.base_field if isinstance(output, ArrayField) else output
        return Field(
            name=self.name,
            label=self.title(output) if label is None else label,
            kind=kind,
            element=_element(kind, output),
            choices=_choices(output),
            max_digits=getattr(number, "max_digits", None) if has_digits else None,
            decimal_places=getattr(number, "decimal_places", None),
            # An address is no formula, and its cast to text would show a netmask that nobody stored.
            guarded=self.guarded and not isinstance(output, models.GenericIPAddressField),
        )


def _alias(name: str) -> str:
    """A name that the ORM and PostgreSQL take, whatever the column is called: it stands in no file."""
    if name.isidentifier() and name.isascii() and "__" not in name and len(name) <= LONGEST_ALIAS:
        return f"export_{name}"
    return f"export_{hashlib.sha256(name.encode()).hexdigest()[:20]}"


def kind_of(output: models.Field[Any, Any] | None) -> Kind:
    """Kind that an ORM field holds; a relation counts as the key it points to."""
    while isinstance(output, models.ForeignKey):
        output = output.target_field
    if output is not None and output.choices:
        return Kind.CHOICE
    return _stored_kind(output)


def _stored_kind(output: models.Field[Any, Any] | None) -> Kind:
    return next((kind for field, kind in KINDS if isinstance(output, field)), Kind.TEXT)


def _element(kind: Kind, output: models.Field[Any, Any] | None) -> Kind | None:
    if kind is Kind.CHOICE:
        return _stored_kind(output)
    return kind_of(output.base_field) if isinstance(output, ArrayField) else None


def _choices(output: models.Field[Any, Any] | None) -> tuple[tuple[str, str], ...]:
    flat = getattr(output, "flatchoices", None) or ()
    return tuple((stored_text(value), str(label)) for value, label in flat if value is not None)
