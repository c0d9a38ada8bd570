"""Exports of querysets over committed rows, read as a worker reads them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from exports_app.pipeline.sources import sql
from exports_app.plan import Plan, Request, make_plan
from exports_app.resources import Resource, register, registry
from tests.queries.models import MANAGED, Item, Label, Maker, Part, Place, Visit

Export = Callable[..., list[tuple[str, ...]]]


@pytest.fixture(scope="package")
def tables(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The tables of the models, empty of rows but those of ``fill``."""
    with django_db_blocker.unblock():
        with connection.schema_editor() as editor:
            for model in MANAGED:
                editor.create_model(model)
        fill()
    yield
    with django_db_blocker.unblock(), connection.schema_editor() as editor:
        for model in reversed(MANAGED):
            editor.delete_model(model)


def fill() -> None:
    """Three makers, 40 items (2, 1 or no labels each; some days twice), 6 parts, 12 places, 4 visits."""
    makers = [Maker.objects.create(name=name, land=land) for name, land in (("Ada", "DE"), ("Bo", "PL"), ("Cy", "DE"))]
    labels = [Label.objects.create(word=word) for word in ("new", "old", "red")]
    for n in range(1, 41):
        item = Item.objects.create(
            pk=n, maker=makers[n % 3], kind="abcd"[n * 7 % 4], day=f"2024-01-{n * 11 % 13 + 1:02}", level=n * 17 % 23,
            note=None if n % 5 == 0 else f"note {n % 6}",
        )  # fmt: skip
        Item.labels.through.objects.bulk_create(
            [Item.labels.through(item=item, label=label) for label in labels[: n % 4 % 3]]
        )
    for n in range(41, 47):
        Part.objects.create(pk=n, maker=makers[0], kind="p", day="2024-02-01", level=n, weight=100 - n)
    for n in range(12):
        Place.objects.create(tenant=n // 4, number=n % 4, name=f"place {n}")
    for n in range(4):
        Visit.objects.create(tenant=n % 2, number=n)


@pytest.fixture
def declare(tables: None, db: None) -> Iterator[Callable[..., str]]:
    """Register a resource for one test; gives its name."""
    names: list[str] = []

    def declare(**attributes: Any) -> str:
        names.append(f"queried{len(names)}")
        register(names[-1])(type(names[-1].title(), (Resource,), attributes))
        return names[-1]

    yield declare
    for name in names:
        registry.unregister(name)


def plan(name: str, **request: Any) -> Plan:
    """What an unprivileged user gets when asking for a resource."""
    return make_plan(Request(resource=name, **request), User(pk=1, username="someone", is_active=True))


@pytest.fixture
def export(declare: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Export:
    """Rows of the CSV of a resource of these attributes, without the header.

    ``request`` are more parts of the request. Statements serve ``chunk`` rows each.
    """

    def export(*, request: dict[str, Any] | None = None, chunk: int = 100, **attributes: Any) -> list[tuple[str, ...]]:
        monkeypatch.setattr(sql, "STATEMENT_CHUNKS", 1)
        monkeypatch.setattr(sql, "MIN_CHUNK_ROWS", 1)
        return rows_of(plan(declare(**attributes), **(request or {})), chunk)

    return export


def rows_of(made: Plan, chunk: int = 100) -> list[tuple[str, ...]]:
    """What the file of a plan has, as texts."""
    encoder = made.encoder()
    parts = [encoder.start()]
    rows = 0
    with closing(made.open_source(chunk_rows=chunk)) as source:
        while (read := source.read(chunk)) is not None:
            parts.append(encoder.write(read))
            rows += read.rows
            assert rows < 2000, "the export does not end"
    parts.append(encoder.finish(rows))
    return [tuple(row) for row in csv.reader(io.StringIO(b"".join(parts).decode()))][1:]


def counted(made: Plan, table: int = 0) -> int:
    """How many rows the count that is independent of the reader finds, of the main rows or a further table's."""
    query = made.tables[table].query
    assert query is not None
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM ({query.count}) AS counted")
        (rows,) = cursor.fetchone() or (0,)
    return int(rows)


def texts(rows: Sequence[Sequence[Any]]) -> list[tuple[str, ...]]:
    """Rows as CSV has them."""
    return [tuple("" if value is None else str(value) for value in row) for row in rows]
