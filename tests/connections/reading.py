"""What an export has, read as a worker reads it, without a file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

from django.db import connection

from exports_app.plan import Request, make_plan
from exports_app.resources import Resource

Sql = Callable[[str], list[tuple[Any, ...]]]
Declare = Callable[..., type[Resource]]


def url(more: str = "") -> str:
    """The tests' database as libpq's URL."""
    given = connection.get_connection_params()
    place = f"host={given['host']}&port={given['port']}"
    return f"postgresql://{given['user']}:{given['password']}@/{given['dbname']}?{place}{more}"


def lines(user: Any, resource: str, **values: Any) -> list[str]:
    """Lines of the CSV below its header."""
    plan = make_plan(Request(resource=resource, **values), user)
    with closing(plan.open_source()) as source:
        data = b""
        while (chunk := source.read(1_000)) is not None:
            data += chunk.data
    return data.decode().splitlines()
