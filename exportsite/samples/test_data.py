"""Made-up rows for tests: a source that is not SQL.

Row *n* depends on (schema, seed, *n*) alone, so that a run that was cut anywhere goes on with the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from exports_app.resources import Column, Resource, RetryPolicy, register

if TYPE_CHECKING:
    from mimesis import Locale
    from mimesis.random import Random
    from rest_framework.serializers import Serializer

MAX_ROWS = 10_000_000
MAX_FIELDS = 100
LARGEST = 10**15
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
SPAN_DAYS = 2_190  # six years, up to the end of 2025
LOCALES = ("cs", "da", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt-br", "ru", "sv", "tr", "uk", "zh")
"""Languages that names and places come in."""

DEFAULT_SCHEMA: dict[str, Any] = {
    "fields": [
        {"name": "id", "type": "uuid"},
        {"name": "name", "type": "full_name"},
        {"name": "email", "type": "email"},
        {"name": "city", "type": "city"},
        {"name": "plan", "type": "choice", "values": ["free", "pro", "team"]},
        {"name": "amount", "type": "decimal", "min": 0, "max": 10_000, "null_ratio": 0.1},
        {"name": "active", "type": "boolean"},
        {"name": "joined_at", "type": "datetime"},
    ]
}

KINDS = {
    "integer": "integer",
    "decimal": "decimal",
    "float": "float",
    "boolean": "boolean",
    "date": "date",
    "datetime": "datetime",
    "uuid": "uuid",
    "choice": "choice",
    "full_name": "text",
    "email": "text",
    "phone": "text",
    "city": "text",
    "country": "text",
    "company": "text",
    "sentence": "text",
    "word": "text",
}
"""Type of a schema's field, and the kind of column that it becomes."""


@register("test_data")
class TestDataExport(Resource):
    """Made-up rows after a schema of your own: the same seed gives the same rows, every time."""

    __test__ = False  # its name is the data's, not a test's

    key = ("row",)
    max_rows = MAX_ROWS
    retry = RetryPolicy(attempts=3, first_delay=30.0, max_delay=120.0)  # seconds

    @classmethod
    def get_parameters_class(cls) -> type[Serializer[Any]]:
        from exportsite.samples.test_data_parameters import TestDataParameters  # DRF's serializers load slowly

        return TestDataParameters

    def get_columns(self) -> Sequence[Column]:
        fields = self.parameters.get("schema", DEFAULT_SCHEMA)["fields"]
        return (
            Column("row", kind="integer", label="Row"),
            *(Column(field["name"], kind=KINDS[field["type"]], label=field["name"]) for field in fields),
        )

    def get_context(self, user: AbstractBaseUser | AnonymousUser) -> dict[str, Any]:
        return {"requester": user.get_username(), "prompt": self.parameters["prompt"]}

    def count_rows(self, parameters: Mapping[str, Any]) -> int:
        return int(parameters["rows"])

    def iter_rows(self, parameters: Mapping[str, Any], after: tuple[Any, ...] | None) -> Iterator[Sequence[Any]]:
        maker = RowMaker(parameters)
        for number in range(after[0] + 1 if after else 1, parameters["rows"] + 1):
            yield maker.row(number)


class RowMaker:
    """Makes any row of a schema by its number. All values of a row come from one generator, seeded anew for it."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        snapshot = json.dumps([parameters["schema"], parameters["seed"], parameters["locale"]], sort_keys=True)
        from mimesis import Locale  # heavy, and only who makes such rows needs it
        from mimesis.random import Random

        self._digest = hashlib.sha256(snapshot.encode()).hexdigest()
        self._random = Random()
        makers = _makers(self._random, Locale(parameters["locale"]))
        self._fields = [
            (float(field.get("null_ratio", 0)), partial(makers[field["type"]], field))
            for field in parameters["schema"]["fields"]
        ]

    def row(self, number: int) -> list[Any]:
        """Row ``number`` (from 1), its number first."""
        self._random.seed(f"{self._digest}:{number}")
        row: list[Any] = [number]
        for null_ratio, make in self._fields:
            value = make()
            row.append(None if null_ratio and self._random.random() < null_ratio else value)
        return row


def _makers(random: Random, locale: Locale) -> dict[str, Callable[[Mapping[str, Any]], Any]]:
    from mimesis import Address, Finance, Person, Text  # as above

    person, address = Person(locale, random=random), Address(locale, random=random)
    finance, text = Finance(locale, random=random), Text(locale, random=random)

    def number(field: Mapping[str, Any]) -> int:
        return random.randint(field.get("min", 0), field.get("max", 1_000_000))

    def moment(_: Mapping[str, Any]) -> datetime:
        return EPOCH + timedelta(seconds=random.randrange(SPAN_DAYS * 86_400), microseconds=random.randrange(10**6))

    def day(_: Mapping[str, Any]) -> date:
        return EPOCH.date() + timedelta(days=random.randrange(SPAN_DAYS))

    return {
        "integer": number,
        "decimal": lambda field: Decimal(number(field)) + Decimal(random.randrange(100)).scaleb(-2),
        "float": lambda field: number(field) + random.random(),
        "boolean": lambda _: random.random() < 0.5,
        "date": day,
        "datetime": moment,
        "uuid": lambda _: UUID(int=random.getrandbits(128), version=4),
        "choice": lambda field: random.choice(field["values"]),
        "full_name": lambda _: person.full_name(),
        "email": lambda _: person.email(),
        "phone": lambda _: person.phone_number(),
        "city": lambda _: address.city(),
        "country": lambda _: address.country(),
        "company": lambda _: finance.company(),
        "sentence": lambda _: text.sentence(),
        "word": lambda _: text.word(),
    }
