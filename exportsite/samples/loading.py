"""Fill the sample tables. PostgreSQL itself makes the rows, from their number and a seed alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.color import no_style
from django.db import connection, models, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import F

from exportsite.samples.models import (
    Account,
    Customer,
    Goal,
    Instrument,
    PropEvaluation,
    Tag,
    Trade,
    Transaction,
)

SQL = Path(__file__).parent / "sql"
# What a file may refer to stands before it.
FILES: dict[str, type[models.Model]] = {
    "instruments": Instrument,
    "tags": Tag,
    "accounts": Account,
    "customers": Customer,
    "transactions": Transaction,
    "trades": Trade,
    "trade_tags": Trade.tags.through,
    "goals": Goal,
    "evaluations": PropEvaluation,
}
TABLES = [model._meta.db_table for model in FILES.values()]
DEMO_USERS = ["demo", "bob", "alice"]
MOST_ACCOUNTS = 1_000
MOST_TAGS = 125_000  # enough for each way to deliver an export: at once, streamed, by a worker
LOCK_SECONDS = 30  # that running exports may keep the tables; whoever asks next waits behind us meanwhile
COLUMN_SALTS = 1_000  # salts of one seed: each column that is left to chance has its own
LARGEST_SALT = 2**63 - COLUMN_SALTS


def load(*, rows: int, seed: int) -> dict[str, int]:
    """Replace all samples, and say how many rows each table has. Nobody ever sees a part of them."""
    with transaction.atomic(), connection.cursor() as cursor:
        connection.check_constraints()  # PostgreSQL truncates no table with checks still to come
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        cursor.execute("SET LOCAL maintenance_work_mem = '256MB'")
        cursor.execute(f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY")
        with _bare_tables(cursor):
            counts = _fill(cursor, _parameters(rows, seed))
        for statement in connection.ops.sequence_reset_sql(no_style(), list(FILES.values())):
            cursor.execute(statement)
        share_accounts()
    _vacuum()
    return counts


def share_accounts() -> None:
    """Give each demo user that there is an equal share of the accounts, and with them of trades and goals."""
    users = _demo_users()
    for turn, user in enumerate(users):
        Account.objects.alias(turn=F("id") % len(users)).filter(turn=turn).update(user_id=user)


def _demo_users() -> list[int]:
    return list(User.objects.filter(username__in=DEMO_USERS).order_by("pk").values_list("pk", flat=True))


def _parameters(rows: int, seed: int) -> dict[str, int]:
    return {
        "rows": rows,
        "accounts": min(max(4, rows // 1_000), MOST_ACCOUNTS),
        "trades": max(12, rows // 5),
        "tags": min(max(25, rows // 2), MOST_TAGS),
        "people": max(1, len(_demo_users())),
        "salt": seed * COLUMN_SALTS % LARGEST_SALT,
    }


def _fill(cursor: CursorWrapper, parameters: dict[str, int]) -> dict[str, int]:
    cursor.execute((SQL / "functions.sql").read_text())
    counts = {}
    for name in FILES:
        cursor.execute((SQL / f"{name}.sql").read_text(), parameters)
        counts[name] = cursor.rowcount
    return counts


@contextmanager
def _bare_tables(cursor: CursorWrapper) -> Iterator[None]:
    """Take indexes and foreign keys away and put them back as they were: built once, not kept up by row."""
    cursor.execute((SQL / "definitions.sql").read_text(), {"tables": TABLES})
    definitions: list[tuple[Any, ...]] = cursor.fetchall()
    for drop, _ in definitions:
        cursor.execute(drop)
    yield
    for _, create in reversed(definitions):
        cursor.execute(create)


def _vacuum() -> None:
    """Statistics for the planner, and the visibility map without which no index-only scan is one."""
    with connection.cursor() as cursor:
        verb = "ANALYZE" if connection.in_atomic_block else "VACUUM (ANALYZE)"
        cursor.execute(f"{verb} {', '.join(TABLES)}")
