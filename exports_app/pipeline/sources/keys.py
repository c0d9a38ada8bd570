"""Whether the database itself makes keys unique, whatever a model declares."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from exports_app.pipeline.literals import quote

UNIQUE = """
EXISTS (
  SELECT FROM pg_index AS i JOIN pg_class AS t ON t.oid = i.indrelid
  WHERE i.indrelid = to_regclass({table}) AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND i.indpred IS NULL AND i.indexprs IS NULL
  AND t.relkind IN ('r', 'p', 'm') AND (t.relkind = 'p' OR NOT t.relhassubclass)
  AND (SELECT bool_and(
         a.attname = ANY ({columns})
         AND (i.indcollation[place] = a.attcollation
              OR (SELECT collisdeterministic FROM pg_collation WHERE oid = a.attcollation))
         AND o.opcdefault AND NOT EXISTS (
           SELECT FROM pg_opclass AS own WHERE own.opcmethod = o.opcmethod AND own.opcdefault
           AND own.opcintype = a.atttypid AND own.oid <> o.oid))
       FROM generate_series(0, i.indnkeyatts - 1) AS place
       JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[place]
       JOIN pg_opclass AS o ON o.oid = i.indclass[place])
)"""
"""An index that holds now, for all rows, those of tables that inherit included, on some of the columns.

What it tells apart, the comparison of the columns must tell apart too: an index of another operator class, or of
another collation than a non-deterministic one, may have two rows that the columns call equal."""
FILLED = """
(SELECT count(*) FROM pg_attribute AS a
 WHERE a.attrelid = to_regclass({table}) AND a.attname = ANY ({columns}) AND a.attnotnull {looked_at}) = {number}"""
LOOKED_AT = """
AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conrelid = a.attrelid AND c.contype = 'n'
                AND NOT c.convalidated AND c.conkey = ARRAY[a.attnum])"""
"""PostgreSQL 18 has NOT NULL that the rows of before it need not obey."""
PROOF_SECONDS = 60.0
"""How long a proof is believed: a look into the catalogue on a new connection takes 5 ms, as long as a small export.
Whoever drops a constraint and doubles a key within it is found by the count of the rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique:
    """What has to be unique."""

    table: str
    """As SQL names it, quoted; resolved by the session that reads."""
    columns: tuple[str, ...]
    filled: bool = False
    """Whether all of the columns have to be NOT NULL too."""


_proven: dict[tuple[str, Unique], float] = {}
"""When what was proven, in ``time.monotonic()``; by database and role."""


def are_unique(connection: psycopg.Connection[Any], uniques: Sequence[Unique]) -> bool:
    """Whether indexes and constraints of the database prove all of ``uniques``. One look into its catalogue."""
    where, now = connection.info.dsn, time.monotonic()
    asked = [
        each for each in dict.fromkeys(uniques) if now - _proven.get((where, each), -PROOF_SECONDS) >= PROOF_SECONDS
    ]
    if not asked:
        return True
    looked_at = LOOKED_AT if connection.info.server_version >= 180000 else ""
    conditions = " AND ".join(_condition(each, looked_at) for each in asked)
    row = connection.execute(f"SELECT {conditions}".encode()).fetchone()
    if not (row and row[0]):
        return False
    _proven.update({(where, each): now for each in asked})
    return True


def forget() -> None:
    """Believe no proof any more."""
    _proven.clear()


def _condition(unique: Unique, looked_at: str) -> str:
    table, columns = quote(unique.table), dict.fromkeys(unique.columns)
    names = f"ARRAY[{', '.join(quote(column) for column in columns)}]::name[]"
    proof = UNIQUE.format(table=table, columns=names)
    if unique.filled:
        proof += " AND " + FILLED.format(table=table, columns=names, number=len(columns), looked_at=looked_at)
    return proof
