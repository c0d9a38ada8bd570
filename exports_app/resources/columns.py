"""Columns of a resource, and what the ORM says they hold."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField, HStoreField
from django.db import connection, models
from django.db.models.expressions import Combinable
from django.utils import timezone
from django.utils.text import capfirst

from exports_app.pipeline.formats import ranges
from exports_app.pipeline.formats.labels import choice_key
from exports_app.pipeline.types import Field, Kind
from exports_app.resources.expressions import divides, generated_field, is_computed, is_json_path

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
    (HStoreField, Kind.JSON),
    (models.BinaryField, Kind.BINARY),
    (models.IntegerField, Kind.INTEGER),
    (models.AutoField, Kind.INTEGER),
)
"""First match wins, so that DateTimeField (a DateField) comes before its parent."""
UNLABELLED = frozenset({Kind.ARRAY, Kind.JSON, Kind.BINARY})
"""Kinds whose values are no choices of a list."""
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
"""What a header never holds: line ends, tabs and characters that nobody sees."""

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
            text = self.label
        elif output is not None and self.name in (getattr(output, "name", None), getattr(output, "attname", None)):
            text = capfirst(str(output.verbose_name))
        else:
            text = capfirst(self.name.replace("__", " ").replace("_", " ").strip())
        return CONTROLS.sub(" ", str(text)).strip()

    def field(
        self,
        output: models.Field[Any, Any] | None,
        *,
        label: str | None = None,
        has_digits: bool = True,
        expression: Any = None,
    ) -> Field:
        """The column as the pipeline sees it; ``output`` is the ORM's output field.

        ``has_digits=False``: values may have more digits than ``output`` says. ``expression``: what the ORM selects.
        """
        kind = Kind(self.kind) if self.kind else kind_of(output)
        innermost = _innermost(output)
        element = _stored_kind(innermost) if kind in (Kind.ARRAY, Kind.CHOICE) else None
        computes_floats = kind is Kind.FLOAT and is_computed(expression)
        return Field(
            name=self.name,
            label=self.title(generated_field(expression) or output) if label is None else label,
            kind=kind,
            element=element if kind is Kind.CHOICE or isinstance(output, ArrayField) else None,
            choices=_choices(innermost),
            null_label=next((str(label) for value, label in _flat_choices(output) if value is None), None),
            max_digits=getattr(innermost, "max_digits", None) if has_digits else None,
            decimal_places=getattr(innermost, "decimal_places", None),
            nested=isinstance(output, ArrayField) and isinstance(output.base_field, ArrayField),
            json_path=is_json_path(expression),
            range_type=_range_type(innermost) if Kind.TEXT in (kind, element) else None,
            trimmed=computes_floats or (kind is Kind.DECIMAL and divides(expression)),
            untyped=not self.kind and is_untyped(output),
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
    output = _followed(output)
    stored = _stored_kind(output)
    return Kind.CHOICE if output is not None and output.choices and stored not in UNLABELLED else stored


def is_untyped(output: models.Field[Any, Any] | None) -> bool:
    """Whether the ORM does not know what it is, as with ``RawSQL`` that has no ``output_field``."""
    return output is None or type(output) is models.Field


def _stored_kind(output: models.Field[Any, Any] | None) -> Kind:
    known = next((kind for field, kind in KINDS if isinstance(output, field)), Kind.TEXT)
    return Kind.DECIMAL if known is Kind.TEXT and _type_name(output) == "money" else known


def _followed(output: models.Field[Any, Any] | None) -> models.Field[Any, Any] | None:
    while isinstance(output, models.ForeignKey):
        output = output.target_field
    return output


def _innermost(output: models.Field[Any, Any] | None) -> models.Field[Any, Any] | None:
    """What arrays, and arrays of arrays, hold; of anything else that itself."""
    output = _followed(output)
    while isinstance(output, ArrayField):
        output = output.base_field
    return output


def _flat_choices(output: models.Field[Any, Any] | None) -> Iterable[tuple[Any, Any]]:
    return getattr(output, "flatchoices", None) or ()


def _choices(output: models.Field[Any, Any] | None) -> tuple[tuple[str, str], ...]:
    """Keys of the stored values and their labels. What equals no stored value, as ``1`` no text, is left out."""
    kind = _stored_kind(output)
    if kind in UNLABELLED:
        return ()
    keys = [(choice_key(kind, value), str(label)) for value, label in _flat_choices(output) if _may_be_stored(value)]
    return tuple((key, label) for key, label in keys if key is not None)


def _may_be_stored(value: Any) -> bool:
    """False for a datetime without a zone where stored ones have one, and the other way round: they are never equal."""
    return not isinstance(value, datetime) or timezone.is_aware(value) == settings.USE_TZ


def _range_type(output: models.Field[Any, Any] | None) -> str | None:
    name = _type_name(output)
    return name if name in ranges.TYPES else None


def _type_name(output: models.Field[Any, Any] | None) -> str | None:
    """PostgreSQL's name of the field's type."""
    return output.db_type(connection) if output is not None else None
