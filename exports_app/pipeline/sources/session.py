"""The settings of a transaction that reads rows: text forms must not depend on a role's or a database's own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from exports_app.pipeline import errors
from exports_app.pipeline.literals import quote

SESSION = """
SET LOCAL standard_conforming_strings = on; SET LOCAL client_encoding = 'UTF8'; SET LOCAL DateStyle = 'ISO, YMD';
SET LOCAL TimeZone = {zone}; SET LOCAL IntervalStyle = 'postgres'; SET LOCAL extra_float_digits = 1;
SET LOCAL bytea_output = 'hex'; SET LOCAL xmlbinary = 'base64'; SET LOCAL xmloption = 'content';
SET LOCAL quote_all_identifiers = off; SET LOCAL array_nulls = on; SET LOCAL gin_fuzzy_search_limit = 0;
SET LOCAL jit = off; SET LOCAL statement_timeout = {timeout};
SET LOCAL idle_in_transaction_session_timeout = '15min'
"""
"""Texts, literals and rows must not depend on a role's or a database's settings: ``gin_fuzzy_search_limit`` leaves rows
out. What the query itself means by them stays: ``search_path``, ``lc_monetary``, ``default_text_search_config``, and
the time zone, which is the connection's: a day, an hour or a moment without a zone is one there.
``jit`` costs more per chunk than it saves."""
TRANSACTION_TIMEOUT_SINCE = 170_000
"""PostgreSQL's version from which on a transaction may have a time-out, which a slice is not to meet."""

BEGINNINGS = 5
"""A table that is made anew again and again is not waited for any longer."""
MADE_ANEW = """
SELECT EXISTS (
  SELECT FROM pg_locks AS l
  LEFT JOIN pg_class AS c ON c.oid = l.relation LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.relation >= 16384
  AND (c.oid IS NULL OR c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'm', 'v', 'f') AND (
    c.relkind IN ('r', 'm') AND c.relfilenode <> pg_relation_filenode(c.oid)
    OR (pg_identify_object('pg_class'::regclass, c.oid, 0)).identity <> format('%I.%I', n.nspname, c.relname))))"""
"""Whether a table that this transaction has locked was emptied, rewritten or put in the place of another one after its
snapshot, in which the table's new rows do not exist. The snapshot is taken before the lock is waited for: the catalogue
as that shows it is compared with what the functions tell, which is what holds now, and as long as the lock does."""


def look(
    connection: psycopg.Connection[Any],
    rows: str,
    timeout_ms: int,
    snapshot: str | None = None,
    lock_ms: int | None = None,
) -> tuple[datetime, list[int]]:
    """Begin to read ``rows``, with all their tables locked: the moment, and the OIDs of the types of the columns.

    Raises ``errors.DatabaseBusy`` where the moment has none of a table's rows, because the table was made anew while
    it was waited for; a moment of its own is then taken anew a few times.
    """
    for _ in range(1 if snapshot else BEGINNINGS):
        begin(connection, timeout_ms, snapshot, lock_ms)
        # LIMIT 0 and not WHERE false, for which no partition would be locked.
        asked = connection.execute(f"SELECT clock_timestamp(); SELECT * {rows} LIMIT 0; {MADE_ANEW}".encode())
        row = asked.fetchone()
        asked.nextset()
        result = asked.pgresult
        asked.nextset()
        made_anew = asked.fetchone()
        if row is None or result is None or made_anew is None:
            raise errors.DatabaseUnavailable
        if not made_anew[0]:
            return row[0], [result.ftype(n) for n in range(result.nfields)]
        connection.rollback()
    raise errors.DatabaseBusy


def begin(
    connection: psycopg.Connection[Any], timeout_ms: int, snapshot: str | None = None, lock_ms: int | None = None
) -> None:
    """Open a transaction that sees another one's ``snapshot``, or takes its own with the first question."""
    connection.autocommit = False
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    shared = f"SET TRANSACTION SNAPSHOT {quote(snapshot)};" if snapshot else ""
    connection.execute((shared + session(connection, timeout_ms, lock_ms)).encode())


def session(connection: psycopg.Connection[Any], timeout_ms: int, lock_ms: int | None = None) -> str:
    """Settings of the transaction that ``connection`` is in; None: as long a wait for a lock as the role has."""
    settings = SESSION.format(timeout=timeout_ms, zone=quote(zone_of(connection)))
    settings += transaction_timeout(connection.info.server_version)
    return settings if lock_ms is None else f"{settings};SET LOCAL lock_timeout = {lock_ms};"


def transaction_timeout(version: int) -> str:
    """Has no role or database end the transaction for its length, behind other settings; empty where none can."""
    return ";SET LOCAL transaction_timeout = 0;" if version >= TRANSACTION_TIMEOUT_SINCE else ""


def zone_of(connection: psycopg.Connection[Any]) -> str:
    """The time zone of its session: that which the ORM uses where Django's wrapper connected."""
    return connection.info.parameter_status("TimeZone") or "UTC"
