"""Models of these tests alone; their tables are there while the tests of this folder run."""

from __future__ import annotations

import base64
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.contrib.postgres.fields import ArrayField
from django.db import models


class Encoded(models.TextField):  # type: ignore[type-arg]
    """Text that is stored in base64, as an encrypted field stores its ciphertext."""

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return None if value is None else base64.b64decode(value).decode()

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else base64.b64encode(str(value).encode()).decode()


class Packed(models.BinaryField):  # type: ignore[type-arg]
    """A number in four bytes."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> int | None:
        return None if value is None else int.from_bytes(bytes(value), "big")

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return super().get_db_prep_value(None if value is None else value.to_bytes(4, "big"), connection, prepared)


class Titled(models.JSONField):
    """JSON of which the ORM gives one value."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        read = super().from_db_value(value, expression, connection)
        return None if read is None else read["title"]


class Stored(models.Model):
    objects: Any = models.Manager()

    class Meta:
        abstract = True


class Author(Stored):
    name = models.TextField()

    class Meta:
        app_label = "python_columns"

    def __str__(self) -> str:
        return str(self.name)


class Book(Stored):
    author = models.ForeignKey(Author, models.CASCADE)
    title = models.TextField()
    price = models.DecimalField(max_digits=8, decimal_places=2)
    state = models.CharField(max_length=1, choices=[("a", "Available"), ("s", "Sold")], default="a")
    at = models.DateTimeField()
    note = Encoded(null=True)
    notes = ArrayField(Encoded(), null=True)
    packed = Packed(null=True)
    data = Titled(null=True)
    plain = models.JSONField(default=dict)
    content_type = models.ForeignKey(ContentType, models.CASCADE, null=True, db_constraint=False)
    object_id = models.IntegerField(null=True)
    about = GenericForeignKey()

    class Meta:
        app_label = "python_columns"

    @property
    def gross(self) -> Decimal:
        return Decimal(self.price) * Decimal("1.19")

    @cached_property
    def shout(self) -> str:
        return str(self.title).upper()

    def initials(self) -> str:
        return str(self.title[:1] + self.author.name[:1])

    def discard(self) -> None:
        raise AssertionError("never called")

    discard.alters_data = True  # type: ignore[attr-defined]


class Cover(Stored):
    book = models.OneToOneField(Book, models.CASCADE, related_name="cover")
    colour = models.TextField()

    class Meta:
        app_label = "python_columns"


class Page(Stored):
    book = models.ForeignKey(Book, models.CASCADE)
    note = Encoded()

    class Meta:
        app_label = "python_columns"


MODELS: tuple[type[models.Model], ...] = (Author, Book, Cover, Page)
