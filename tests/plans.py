"""Files of resources without a job or a storage: plan, source and encoder alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, models

from exports_app.plan import Request, make_plan
from exports_app.resources import Resource, register, registry

EVERYONE = User(pk=1, username="someone", is_superuser=True, is_active=True)
ENOUGH = 1_000_000  # rows; more than any test has


def file_of(resource: str, user: User = EVERYONE, *, chunk_rows: int | None = None, **request: Any) -> bytes:
    """All bytes of the file, uncompressed."""
    plan = make_plan(Request(resource=resource, **request), user)
    encoder, rows = plan.encoder(), 0
    pieces = [encoder.start()]
    with closing(plan.open_source(chunk_rows=chunk_rows)) as source:
        while (chunk := source.read(ENOUGH)) is not None:
            pieces.append(encoder.write(chunk))
            rows += chunk.rows
    return b"".join([*pieces, encoder.finish(rows)])


def unmanaged(name: str, /, **fields: Any) -> type[models.Model]:
    """A model of a table of that name, which somebody else makes."""
    meta = type("Meta", (), {"managed": False, "db_table": name, "app_label": "tables"})
    return type(name.title().replace("_", ""), (models.Model,), {"__module__": __name__, "Meta": meta, **fields})


@contextmanager
def exported(model: type[models.Model], ddl: str = "", **attributes: Any) -> Iterator[str]:
    """The name of a resource of this model, whose table ``ddl`` makes and fills, ``{table}`` standing for its name."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {table}")
        cursor.execute(ddl.replace("{table}", table))
    register(table)(type("Exported", (Resource,), {"model": model, **attributes}))
    try:
        yield table
    finally:
        registry.unregister(table)
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
