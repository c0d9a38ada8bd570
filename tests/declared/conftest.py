"""The tables, and resources over them, for one test each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from exports_app.resources import Resource, register, registry
from tests.declared.library import TABLES, Book


@pytest.fixture
def books(transactional_db: None) -> Iterator[None]:
    """Four books, the first two Alice's: 1 not published, 2 published; Bob's 3 and 4 likewise."""
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS declaring_book, declaring_shelf")


@pytest.fixture
def declare() -> Iterator[Any]:
    """Registers resources for one test."""
    names: list[str] = []

    def declare(name: str, **attributes: Any) -> type[Resource]:
        names.append(name)
        title = "".join(word.title() for word in name.split("-"))
        return register(name)(type(title, (Resource,), {"model": Book, "__module__": "library", **attributes}))

    yield declare
    for name in names:
        if registry.get(name):
            registry.unregister(name)
    registry.duplicates.clear()
