"""How many rows an export will have, found out in at most half a second."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from exports_app import conf
from exports_app.choices import Strategy
from exports_app.pipeline.sources.sql import Query
from exports_app.plan import Plan, Table, connect_source

EXACT_ROWS = 1_000_001
"""Rows are counted up to here; beyond, the planner's word is good enough."""
COUNT_TIMEOUT_MS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Rows of the file, ``limit`` considered."""

    rows: int
    exact: bool

    @property
    def strategy(self) -> Strategy:
        """How a download of so many rows is made."""
        if self.rows < conf.settings.DIRECT_MAX_ROWS:
            return Strategy.DIRECT
        return Strategy.STREAM if self.rows <= conf.settings.STREAM_MAX_ROWS else Strategy.BACKGROUND


def estimate_rows(plan: Plan) -> Estimate:
    """Count where that is cheap, else ask the planner. Raises ``psycopg.OperationalError`` when it is away."""
    found = [_table_rows(table) for table in plan.tables]
    rows, exact = sum(rows for rows, _ in found), all(exact for _, exact in found)
    if plan.limit is not None and rows >= plan.limit:
        return Estimate(rows=plan.limit, exact=exact or rows >= EXACT_ROWS)
    return Estimate(rows=rows, exact=exact)


def _table_rows(table: Table) -> tuple[int, bool]:
    if table.query is None:
        known = table.resource.count_rows(table.resource.parameters)
        return known or 0, known is not None
    with connect_source() as connection:
        counted = _count(connection, table.query)
        if counted is not None and counted < EXACT_ROWS:
            return counted, True
        return max(_planned(connection, table.query), counted or 0), False


def _count(connection: psycopg.Connection[tuple[int]], query: Query) -> int | None:
    statement = f"SELECT count(*) FROM (SELECT FROM ({query.text}) AS q LIMIT {EXACT_ROWS}) AS counted"  # noqa: S608 - compiled by Django
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL statement_timeout = {COUNT_TIMEOUT_MS}; SET LOCAL jit = off")
            row = connection.execute(statement.encode()).fetchone()
    except psycopg.errors.QueryCanceled:
        return None
    return row[0] if row else 0


def _planned(connection: psycopg.Connection[tuple[int]], query: Query) -> int:
    row = connection.execute(f"EXPLAIN (FORMAT JSON) {query.text}".encode()).fetchone()
    plan: list[dict[str, dict[str, int]]] = row[0] if row else []  # type: ignore[assignment]  # psycopg reads JSON
    return int(plan[0]["Plan"]["Plan Rows"]) if plan else 0
