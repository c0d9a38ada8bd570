"""A table with a column of every kind, and rows of what breaks readers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, LiteralString

import psycopg
from psycopg.types.json import Jsonb

from exports_app.pipeline.types import Field, Kind

TYPES: dict[str, LiteralString] = {
    "id": "bigint",
    "label": "text",
    "big": "numeric(20)",
    "amount": "numeric(14, 2)",
    "ratio": "double precision",
    "active": "boolean",
    "day": "date",
    "at": "timestamptz",
    "clock": "time",
    "took": "interval",
    "ref": "uuid",
    "doc": "jsonb",
    "tags": "text[]",
    "last": "text",
}
_KINDS = (
    *(Kind.INTEGER, Kind.TEXT, Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT, Kind.BOOLEAN, Kind.DATE, Kind.DATETIME),
    *(Kind.TIME, Kind.DURATION, Kind.UUID, Kind.JSON, Kind.ARRAY, Kind.TEXT),
)
KINDS = dict(zip(TYPES, _KINDS, strict=True))
FIELDS = [
    Field(
        name=name,
        label=name,
        kind=kind,
        element=Kind.TEXT if kind is Kind.ARRAY else None,
        max_digits=14 if kind is Kind.DECIMAL else None,
        decimal_places=2 if kind is Kind.DECIMAL else None,
    )
    for name, kind in KINDS.items()
]
QUERY = f"SELECT {', '.join(TYPES)}, id FROM readers_all"

REF = "0b8e6f6a-1d0e-4f5e-9c55-0123456789ab"
NULL = None
ROWS: list[tuple[Any, ...]] = [
    (
        *(1, "plain", 42, Decimal("1234.50"), 0.1, True, date(2024, 1, 31), datetime(2024, 1, 31, 12, 0, tzinfo=UTC)),
        *(time(12, 34, 56), timedelta(hours=26, seconds=1), REF, {"a": [1, None]}, ["x", "y"], "end"),
    ),
    (2, *[NULL] * 13),
    (
        *(3, 'quote " and "" two', 999_999_999_999_999, Decimal("-0.01"), -1.5, False, date(1900, 3, 1)),
        *(datetime(1900, 3, 1, tzinfo=UTC), time(0, 0), timedelta(0), REF, [], [], ""),
    ),
    (
        *(4, "line\nbreak, and\nanother", 1_000_000_000_000_000, Decimal("999999999999.99"), 1e300, True),
        *(date(1899, 12, 31), datetime(1899, 12, 31, 23, 59, 59, tzinfo=UTC), time(23, 59, 59, 123_456)),
        *(timedelta(days=1), REF, "s", ["a,b"], "é"),
    ),
    (
        *(5, "  two before and after  ", -123_456_789_012, Decimal("0.00"), 0.0, NULL, date(9999, 12, 31)),
        *(datetime(2024, 2, 29, 23, 59, 59, 123_456, tzinfo=UTC), NULL, timedelta(seconds=-90), NULL),
        *({"k": 'é\n"q"'}, [NULL, "", "é"], " "),
    ),
    (6, "=1+1", 123_456_789_012_345_678, *[NULL] * 6, timedelta(microseconds=123_457), REF, NULL, NULL, "00042"),
    (7, "שלום עולם العربية 👩‍👩‍👧 🎉 \U0001d538", 0, *[NULL] * 9, ["👩‍👩‍👧"], "ß — ﬀ"),
    (8, "tab\tseparated\\n not a line, C:\\new\\", 7, *[NULL] * 10, "<b>R&D</b> ]]>"),
    (9, "-1", 8, *[NULL] * 10, "+49 30 123"),
]
JSON_TEXTS = {1: '{"a":[1,null]}', 3: "[]", 4: '"s"', 5: '{"k":"é\\n\\"q\\""}'}
"""The documents of the rows, by id, as the files have them."""
ARRAY_TEXTS = {1: '["x","y"]', 3: "[]", 4: '["a,b"]', 5: '[null,"","é"]', 7: '["👩‍👩‍👧"]'}
"""The arrays likewise."""

ESCAPED = {
    "a\r\nb": "a_x000D_\nb",
    "lone\rreturn": "lone_x000D_return",
    "bell \x07": "bell _x0007_",
    "\x1f": "_x001F_",
    "_x000D_": "_x005F_x000D_",
    "_x005F_x000D_": "_x005F_x005F_x005F_x000D_",
    "\ufffe": "_xFFFE_",
}
"""What XML cannot hold, or only looks as if it were written for that, and how Excel writes it."""
ENTITIES = ["&lt;b&gt; &amp;amp;"]
TEXTS = [
    *ESCAPED,
    *ENTITIES,
    *(" lead", "trail ", "\ttab", "\nline\n", " ", "'quoted", "a\u2028b", "x\u00a0", "C:\\x0041_", "@SUM(A1)", "#N/A"),
]
"""What readers may change."""


def make(connection: psycopg.Connection[Any]) -> None:
    """Both tables, filled."""
    drop(connection)
    columns = ", ".join([f"{name} {type_}" for name, type_ in TYPES.items()])
    connection.execute(f"CREATE TABLE readers_all ({columns}, PRIMARY KEY (id))".encode())
    places = ", ".join(["%s"] * len(TYPES))
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO readers_all VALUES ({places})".encode(), [_adapted(row) for row in ROWS])
        cursor.execute("CREATE TABLE readers_texts (id int PRIMARY KEY, value text)")
        cursor.executemany("INSERT INTO readers_texts VALUES (%s, %s)", list(enumerate(TEXTS, 1)))
    connection.commit()


def drop(connection: psycopg.Connection[Any]) -> None:
    connection.execute("DROP TABLE IF EXISTS readers_all, readers_texts")
    connection.commit()


def _adapted(row: Sequence[Any]) -> list[Any]:
    pairs = zip(KINDS.values(), row, strict=True)
    return [Jsonb(value) if kind is Kind.JSON and value is not None else value for kind, value in pairs]
