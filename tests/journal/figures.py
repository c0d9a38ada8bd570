"""What the tests of the trading journal share: trades, and the files that are made of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from exports_app.pipeline.sinks.memory import MemoryStore
from exports_app.pipeline.types import Cursor, StoredPart, Upload
from exports_app.plan import Request, make_plan
from exportsite.samples.models import Account, PropEvaluation
from tests.test_samples_exports import make_trade

committed = pytest.mark.django_db(transaction=True)
"""An export reads on a connection of its own, which sees what is committed."""

JOURNAL = ["daily_pnl", "tag_performance", "prop_evaluation", "goals", "tags"]
UPLOAD = Upload(key="test", token="test")
NOON = datetime(2024, 1, 3, 12, tzinfo=UTC)


def write(user: User, resource: str, *, cut_at_each_row: bool = False, **values: Any) -> bytes:
    """The file, asked for at noon; where cut, each row is written by a run that knows only the part before it."""
    store = MemoryStore()
    stored: tuple[StoredPart, ...] = ()
    last: Cursor | None = None
    while UPLOAD.key not in store.objects:
        plan = make_plan(Request(resource=resource, **values), user, NOON)
        before = stored[-1] if stored else None
        source = plan.open_source(after=before.cursor if before else None, last=last)
        last = source.last
        with store.open(UPLOAD, after=stored) as sink:
            for progress in plan.write(source, sink, part_size=lambda _: 1, after=before):
                stored += progress.parts
                if cut_at_each_row and progress.parts and not stored[-1].last:
                    sink.detach()
                    break
        source.close()
    return store.objects[UPLOAD.key]


def csv(user: User, resource: str, **values: Any) -> list[str]:
    return write(user, resource, **values).decode().splitlines()


def selected(user: User, resource: str, *columns: str, **filters: Any) -> list[tuple[Any, ...]]:
    """Rows of the query that an export asked for at noon reads; unlike ``csv`` it needs nothing committed."""
    plan = make_plan(Request(resource=resource, columns=columns, filters=filters), user, NOON)
    assert plan.query is not None
    with connection.cursor() as cursor:
        cursor.execute(plan.query.text)
        return sorted(row[: len(columns)] for row in cursor.fetchall())


def close(pk: int, account: Account, closed_at: str, pnl: str, tags: str = "", **values: Any) -> None:
    """A closed trade, opened at the full hour; moments are those of UTC."""
    closed = datetime.fromisoformat(f"{closed_at}+00:00")
    given = {"opened_at": closed.replace(minute=0, second=0, microsecond=0), "status": "CLOSED", "exit_price": 1}
    make_trade(pk, account, tags=tags, closed_at=closed, pnl=Decimal(pnl), **{**given, **values})


def make_evaluation(account: Account, **values: Any) -> PropEvaluation:
    given = {
        "phase": "CHALLENGE", "status": "ACTIVE", "starting_balance": 10_000, "profit_target": 500,
        "max_daily_loss": 250, "max_total_loss": 400, "starts_on": date(2024, 1, 2), **values,
    }  # fmt: skip
    return PropEvaluation.objects.create(account=account, **given)
