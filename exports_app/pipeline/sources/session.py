"""The settings of a transaction that reads rows: text forms must not depend on a role's or a database's own."""

from __future__ import annotations

from typing import Any

import psycopg

from exports_app.pipeline.literals import quote

SESSION = """
SET LOCAL standard_conforming_strings = on; SET LOCAL client_encoding = 'UTF8'; SET LOCAL DateStyle = 'ISO, YMD';
SET LOCAL TimeZone = 'UTC'; SET LOCAL IntervalStyle = 'postgres'; SET LOCAL extra_float_digits = 1;
SET LOCAL bytea_output = 'hex'; SET LOCAL xmlbinary = 'base64'; SET LOCAL xmloption = 'content';
SET LOCAL quote_all_identifiers = off; SET LOCAL array_nulls = on; SET LOCAL gin_fuzzy_search_limit = 0;
SET LOCAL jit = off; SET LOCAL statement_timeout = {timeout};
SET LOCAL idle_in_transaction_session_timeout = '15min';
"""
"""Texts, literals and rows must not depend on a role's or a database's settings: ``gin_fuzzy_search_limit`` leaves rows
out. What the query itself means by them stays: ``search_path``, ``lc_monetary``, ``default_text_search_config``.
``jit`` costs more per chunk than it saves."""
TRANSACTION_TIMEOUT_SINCE = 170_000
"""PostgreSQL's version from which on a transaction may have a time-out, which a slice is not to meet."""


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
    settings = SESSION.format(timeout=timeout_ms)
    if connection.info.server_version >= TRANSACTION_TIMEOUT_SINCE:
        settings += "SET LOCAL transaction_timeout = 0;"
    return settings if lock_ms is None else f"{settings}SET LOCAL lock_timeout = {lock_ms};"
