"""Tables, resources and files of these tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from exports_app.pipeline.sinks.memory import MemoryStore
from exports_app.pipeline.types import Cursor, StoredPart, Upload
from exports_app.plan import Plan, Request, make_plan
from exports_app.resources import Resource, register, registry
from tests.python_columns.models import MODELS, Author, Book, Cover, Page

AT = datetime(2024, 7, 1, 12, 34, tzinfo=UTC)
UPLOAD = Upload(key="test", token="test")


@pytest.fixture(scope="package")
def tables(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The tables of the models, with the rows of ``fill``; committed, so that other connections see them."""
    with django_db_blocker.unblock():
        with connection.schema_editor() as editor:
            for model in MODELS:
                editor.create_model(model)
        fill()
    yield
    with django_db_blocker.unblock(), connection.schema_editor() as editor:
        for model in reversed(MODELS):
            editor.delete_model(model)


def fill() -> None:
    """Book 1 with all that a book can have; books 2 and 3 with what it must; 1,200 pages."""
    author = Author.objects.create(pk=1, name="Ada")
    book = Book(pk=1, author=author, title="book 1", price=10, at=AT, note="hello", notes=["a", None, "b"], packed=258)
    book.data, book.plain = {"title": "named"}, {"rate": 1}
    book.save()
    for number in (2, 3):
        Book.objects.create(pk=number, author=author, title=f"book {number}", price=10 * number, at=AT)
    Cover.objects.create(book=book, colour="red")
    Page.objects.bulk_create([Page(pk=n, book_id=n % 3 + 1, note=f"page {n}") for n in range(1, 1_201)])


@pytest.fixture
def declare() -> Iterator[Callable[..., type[Resource]]]:
    """Registers resources for one test."""
    names: list[str] = []

    def declare(name: str, **attributes: Any) -> type[Resource]:
        names.append(name)
        return register(name)(type(name.title(), (Resource,), attributes))

    yield declare
    for name in names:
        if registry.get(name):
            registry.unregister(name)
    registry.duplicates.clear()


def plan_of(resource: str, format_: str = "csv", **values: Any) -> Plan:
    """What a user without permissions gets when asking for a resource."""
    user = User(pk=1, username="someone", is_active=True)
    return make_plan(Request(resource=resource, format=format_, **values), user)


def file_of(plan: Plan, **values: Any) -> bytes:
    """The whole file, written in one run."""
    store = MemoryStore()
    with closing(plan.open_source(**values)) as source, store.open(UPLOAD) as sink:
        for _ in plan.write(source, sink, part_size=lambda _: 1 << 40):
            pass
    return store.objects[UPLOAD.key]


def lines_of(resource: str, **values: Any) -> list[str]:
    """The lines of a csv file below its header."""
    return file_of(plan_of(resource, **values)).decode().splitlines()[1:]


def resumed_file_of(plan: Plan, chunk_rows: int) -> tuple[bytes, int]:
    """The file, each part of it written by a run that knows nothing but the part before; and how many parts."""
    store = MemoryStore()
    stored: tuple[StoredPart, ...] = ()
    last: Cursor | None = None
    while UPLOAD.key not in store.objects:
        after = stored[-1] if stored else None
        source = plan.open_source(after=after.cursor if after else None, last=last, chunk_rows=chunk_rows)
        last = source.last
        with closing(source), store.open(UPLOAD, after=stored) as sink:
            for progress in plan.write(source, sink, part_size=lambda _: 1, after=after):
                stored += progress.parts
                if progress.parts and not stored[-1].last:
                    sink.detach()
                    break
    return store.objects[UPLOAD.key], len(stored)
