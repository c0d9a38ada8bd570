"""Whether the database itself makes keys unique, whatever a model declares."""

from __future__ import annotations

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
  AND t.relkind IN ('r', 'p', 'm') AND (t.relkind = 'p' OR NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = t.oid))
  AND (SELECT bool_and(a.attname = ANY ({columns})) FROM pg_attribute AS a
       WHERE a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]))
)"""
"""An index that holds now, for all rows, those of tables that inherit included, on some of the columns."""
FILLED = """
(SELECT count(*) FROM pg_attribute AS a
 WHERE a.attrelid = to_regclass({table}) AND a.attname = ANY ({columns}) AND a.attnotnull
 AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conrelid = a.attrelid AND c.contype = 'n'
                 AND NOT c.convalidated AND c.conkey = ARRAY[a.attnum])) = {number}"""
"""All of the columns are NOT NULL, also in the rows that were there before the constraint (PostgreSQL 18)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique:
    """What has to be unique."""

    table: str
    """As SQL names it, quoted; resolved by the session that reads."""
    columns: tuple[str, ...]
    filled: bool = False
    """Whether all of the columns have to be NOT NULL too."""


def are_unique(connection: psycopg.Connection[Any], uniques: Sequence[Unique]) -> bool:
    """Whether indexes and constraints of the database prove all of ``uniques``. One look into its catalogue."""
    conditions = " AND ".join(_condition(each) for each in dict.fromkeys(uniques))
    row = connection.execute(f"SELECT {conditions}".encode()).fetchone()
    return bool(row and row[0])


def _condition(unique: Unique) -> str:
    table, columns = quote(unique.table), dict.fromkeys(unique.columns)
    names = f"ARRAY[{', '.join(quote(column) for column in columns)}]::name[]"
    proof = UNIQUE.format(table=table, columns=names)
    if unique.filled:
        proof += " AND " + FILLED.format(table=table, columns=names, number=len(columns))
    return proof
