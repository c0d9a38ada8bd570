"""How many rows an export will have, found out in at most half a second."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import DatabaseError, InterfaceError

from exports_app import conf, errors, questions
from exports_app.choices import Strategy
from exports_app.pipeline.errors import BadQuery, DatabaseBusy, DatabaseUnavailable
from exports_app.pipeline.sources import wire
from exports_app.pipeline.sources.session import session
from exports_app.pipeline.sources.sql import Query
from exports_app.plan import Plan, Table

EXACT_ROWS = 1_000_001
"""Rows are counted up to here; beyond, the planner's word is good enough."""
COUNT_SECONDS = questions.STATEMENT_SECONDS
"""For all tables of an export together."""
SHORTEST_COUNT = 0.01
"""Seconds below which a count is not begun."""
LOCK_MS = int(questions.LOCK_SECONDS * 1000)
PLANNING_MS = int(questions.STATEMENT_SECONDS * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Rows of the file, ``limit`` considered."""

    rows: int | None
    """None: nobody knows, since the database did not answer in time."""
    exact: bool

    @property
    def strategy(self) -> Strategy:
        """How a download of so many rows is made. What is only estimated is never built in one go: it may be more."""
        if self.rows is None:
            return Strategy.BACKGROUND
        if self.exact and self.rows < conf.settings.DIRECT_MAX_ROWS:
            return Strategy.DIRECT
        return Strategy.STREAM if self.rows <= conf.settings.STREAM_MAX_ROWS else Strategy.BACKGROUND


UNKNOWN = Estimate(rows=None, exact=False)


def estimate_rows(plan: Plan, *, seconds: float = COUNT_SECONDS) -> Estimate:
    """Count where that is cheap, else ask the planner; ``UNKNOWN`` where a table is held or too many ask at once.

    Raises ``errors.DatabaseAway``, ``errors.BadQuery``.
    """
    ends = time.monotonic() + seconds
    try:
        found = [_table_rows(table, plan.limit, ends) for table in plan.tables]
    except DatabaseBusy:
        return UNKNOWN
    except DatabaseUnavailable as error:
        raise errors.DatabaseAway() from error
    except BadQuery as error:
        raise errors.BadQuery(str(error)) from error
    except (psycopg.Error, DatabaseError, InterfaceError) as error:
        raise errors.of_database(error) or error from error
    return Estimate(rows=sum(rows for rows, _ in found), exact=all(exact for _, exact in found))


def _table_rows(table: Table, limit: int | None, ends: float) -> tuple[int, bool]:
    """Rows of the table, ``limit`` at most, and whether that is sure."""
    if table.query is None:
        known = table.resource.count_rows(table.resource.parameters)
        return _limited(known or 0, limit), known is not None
    enough = _limited(EXACT_ROWS + 1, limit)
    with wire.database_errors(), questions.ask(table.database) as connection:
        counted = _count(connection, table.query, enough, ends - time.monotonic())
        if counted is not None and (counted < enough or counted == limit):
            return counted, True
        return _limited(max(_planned(connection, table.query), counted or 0), limit), False


def _limited(rows: int, limit: int | None) -> int:
    return rows if limit is None else min(rows, limit)


def _count(connection: psycopg.Connection[tuple[int]], query: Query, most: int, seconds: float) -> int | None:
    """Rows, ``most`` at most; None: not within ``seconds``."""
    if seconds < SHORTEST_COUNT:
        return None
    statement = f"SELECT count(*) FROM (SELECT FROM ({query.bare or query.text}) AS q LIMIT {most}) AS counted"  # noqa: S608 - compiled by Django
    try:
        with connection.transaction():
            connection.execute(session(connection, int(seconds * 1000), LOCK_MS).encode())
            row = connection.execute(statement.encode()).fetchone()
    except psycopg.errors.QueryCanceled:
        return None
    return row[0] if row else 0


def _planned(connection: psycopg.Connection[Any], query: Query) -> int:
    with connection.transaction():
        connection.execute(session(connection, PLANNING_MS, LOCK_MS).encode())
        row = connection.execute(f"EXPLAIN (FORMAT JSON) {query.text}".encode()).fetchone()
    found: Any = row[0] if row else "[]"
    plan = json.loads(found) if isinstance(found, str) else found
    return int(plan[0]["Plan"]["Plan Rows"]) if plan else 0
