"""The table that everything is measured on: 12 columns, about 160 bytes of CSV a row."""

from __future__ import annotations

import os
from typing import Any

import psycopg

from exports_app.pipeline.sources.sql import Query
from exports_app.pipeline.types import Field, Kind

COLUMNS = {
    "id": Kind.INTEGER,
    "code": Kind.UUID,
    "name": Kind.TEXT,
    "merchant": Kind.TEXT,
    "note": Kind.TEXT,
    "amount": Kind.DECIMAL,
    "fee": Kind.DECIMAL,
    "booked_at": Kind.DATETIME,
    "day": Kind.DATE,
    "active": Kind.BOOLEAN,
    "score": Kind.INTEGER,
    "total": Kind.INTEGER,
}
"""Name and kind; ``name`` has quotes and line ends, ``amount`` is NULL in every fifth row."""

MAKE = """
DROP TABLE IF EXISTS bench;
CREATE TABLE bench AS
SELECT n AS id, md5(n::text)::uuid AS code,
       'text ' || n || CASE WHEN n % 7 = 0 THEN ' "q"' WHEN n % 11 = 0 THEN E'\\nline' ELSE '' END AS name,
       'merchant ' || n % 1000 AS merchant, 'note ' || md5(n::text) AS note,
       CASE WHEN n % 5 <> 0 THEN (n % 100000)::numeric(12, 2) / 100 END::numeric(12, 2) AS amount,
       ((n % 977)::numeric / 8)::numeric(16, 4) AS fee,
       timestamptz '2024-01-01 UTC' + n * interval '1 second' AS booked_at,
       date '2024-01-01' + n % 1000 AS day, n % 2 = 0 AS active, n % 99 AS score, n * 3 AS total
  FROM generate_series(1, {rows}) AS n;
ALTER TABLE bench ADD PRIMARY KEY (id);
"""


def fields() -> list[Field]:
    """The columns as the formats see them."""
    digits: dict[str, Any] = {"max_digits": 16, "decimal_places": 4}
    return [
        Field(name=name, label=name, kind=kind, **(digits if kind is Kind.DECIMAL else {}))
        for name, kind in COLUMNS.items()
    ]


def query(rows: int) -> Query:
    """The first ``rows`` rows, with their key."""
    text = f"SELECT {', '.join(COLUMNS)}, id FROM bench WHERE id <= {rows}"
    return Query(text=text, columns=len(COLUMNS), keys=1, proven_key=True)


def plain_select(rows: int) -> str:
    """The same columns and order, as everybody else reads them."""
    return f"SELECT {', '.join(COLUMNS)} FROM bench WHERE id <= {rows} ORDER BY id"


def make(rows: int) -> None:
    """Fill the table, and let the planner know it."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(MAKE.format(rows=rows).encode())
        connection.execute("VACUUM ANALYZE bench")
