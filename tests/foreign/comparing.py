"""A table's file beside a plain SELECT of it."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from django.db import connections, models
from django.utils.text import capfirst

from exports_app.pipeline.sinks.memory import MemoryStore
from exports_app.pipeline.types import Upload
from exports_app.plan import Request, make_plan
from exports_app.resources import Resource, register, registry
from tests.foreign.reading import READ, expected, same
from tests.plans import EVERYONE

UPLOAD = Upload(key="test", token="test")


def file_of(model: type[models.Model], alias: str, name: str) -> tuple[bytes, bool | None]:
    """The file of all rows of a table, and whether an independent count agreed."""
    table = model._meta.db_table
    rows = model._default_manager.using(alias)
    register(table)(type("Foreign", (Resource,), {"model": model, "get_queryset": lambda self, user: rows}))
    store = MemoryStore()
    try:
        plan = make_plan(Request(resource=table, format=name), EVERYONE)
        with (
            closing(plan.open_source()) as source,
            closing(plan.counter(source)) as counter,
            store.open(UPLOAD) as sink,
        ):
            for _ in plan.write(source, sink, part_size=lambda _: 1 << 40, counter=counter):
                pass
            return store.objects[UPLOAD.key], counter.verified
    finally:
        registry.unregister(table)


def selected(model: type[models.Model], alias: str) -> list[tuple[Any, ...]]:
    """The rows by a plain SELECT, in the order of the primary key."""
    columns = ", ".join(f'"{field.column}"' for field in model._meta.concrete_fields)
    keys = ", ".join(f'"{field.column}"' for field in model._meta.pk_fields)
    with connections[alias].cursor() as cursor:
        cursor.execute(f'SELECT {columns} FROM "{model._meta.db_table}" ORDER BY {keys}')
        return [tuple(bytes(each) if isinstance(each, memoryview) else each for each in row) for row in cursor]


def differences(model: type[models.Model], alias: str, name: str) -> list[str]:
    """What of the file is not as the query has it; the first such things."""
    rows = selected(model, alias)
    data, verified = file_of(model, alias, name)
    found, wanted = READ[name](data), expected(name, rows)
    fields = model._meta.concrete_fields
    header = [_label(field) if name in ("csv", "xlsx") else field.attname for field in fields]
    problems = [] if verified is True else [f"verified: {verified}"]
    if found.names != header and (rows or found.names):
        problems.append(f"{found.names} for {header}")
    if len(found.rows) != len(wanted):
        return [*problems, f"{len(found.rows)} rows for {len(wanted)}"]
    for number, (row, want) in enumerate(zip(found.rows, wanted, strict=True)):
        for column, cell, value in zip(header, row, want, strict=True):
            if not same(name, cell, value):
                problems.append(f"row {number} {column}: {cell!r} for {value!r}")
    return problems


def _label(field: models.Field[Any, Any]) -> str:
    """The verbose name; of a key to another table the column's own name in words, since the column holds an id."""
    return str(capfirst(field.attname.replace("_", " ") if field.is_relation else field.verbose_name))
