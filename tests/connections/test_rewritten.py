"""A table that is emptied and filled anew while an export waits for it: its rows are never lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection

from exports_app.pipeline import errors
from exports_app.pipeline.sources import session
from exports_app.resources import Sheet
from tests.connections.models import Line, Order
from tests.connections.reading import Declare, Sql, lines, url
from tests.web_server import wait_until

RELOADS = {
    "truncated": "TRUNCATE conn_orders; INSERT INTO conn_orders VALUES (1, 'new'), (2, 'new')",
    "dropped and made again": "DROP TABLE conn_orders; CREATE TABLE conn_orders (id int PRIMARY KEY, name text);"
    "INSERT INTO conn_orders VALUES (1, 'new'), (2, 'new')",
    "swapped": "INSERT INTO conn_next VALUES (1, 'new'), (2, 'new'); ALTER TABLE conn_orders RENAME TO conn_past;"
    "ALTER TABLE conn_next RENAME TO conn_orders",
    "rewritten": "ALTER TABLE conn_orders ALTER id TYPE bigint; UPDATE conn_orders SET name = 'new'",
}


@pytest.fixture
def tables(sql: Sql, declare: Declare) -> Iterator[None]:
    sql("CREATE TABLE conn_orders (id int PRIMARY KEY, name text)")
    sql("INSERT INTO conn_orders VALUES (1, 'old'), (2, 'old')")
    sql("CREATE TABLE conn_next (id int PRIMARY KEY, name text)")
    declare("orders", Order)
    yield
    sql("DROP TABLE IF EXISTS conn_orders, conn_next, conn_past, conn_lines")


def while_waiting(reload: str, read: Callable[[], list[str]]) -> list[str]:
    """What ``read`` gives, begun while ``reload`` holds the table and let go on when that is committed."""
    found: list[Any] = []

    def reading() -> None:
        try:
            found.append(read())
        except Exception as error:
            found.append(error)
        finally:
            connection.close()  # this thread's own

    with psycopg.connect(url()) as other:
        other.execute(reload.encode())
        thread = threading.Thread(target=reading)
        thread.start()
        wait_until(lambda: is_waited_for(other.info.backend_pid))
        other.commit()
        thread.join(20)
    if isinstance(found[0], Exception):
        raise found[0]
    rows: list[str] = found[0]
    return rows


def is_waited_for(pid: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))", [pid])
        (waiting,) = cursor.fetchone() or (0,)
    return bool(waiting)


@pytest.mark.parametrize("reload", RELOADS.values(), ids=RELOADS.keys())
def test_the_rows_of_a_table_that_was_filled_anew_are_read(owner: User, tables: None, reload: str) -> None:
    assert while_waiting(reload, lambda: lines(owner, "orders")) == ["1,new", "2,new"]


@pytest.mark.parametrize("reload", ["CREATE TABLE conn_past (id int)", "UPDATE conn_orders SET name = 'new'"])
def test_rows_that_were_only_changed_meanwhile_are_those_of_the_moment(
    owner: User, tables: None, sql: Sql, reload: str
) -> None:
    lock = "LOCK TABLE conn_orders IN ACCESS EXCLUSIVE MODE"
    assert while_waiting(f"{reload}; {lock}", lambda: lines(owner, "orders")) == ["1,old", "2,old"]


def test_a_partition_that_was_filled_anew(owner: User, tables: None, sql: Sql) -> None:
    sql("DROP TABLE conn_orders")
    sql("CREATE TABLE conn_orders (id int PRIMARY KEY, name text) PARTITION BY RANGE (id)")
    sql("CREATE TABLE conn_low PARTITION OF conn_orders FOR VALUES FROM (0) TO (10)")
    sql("CREATE TABLE conn_high PARTITION OF conn_orders FOR VALUES FROM (10) TO (20)")
    sql("INSERT INTO conn_orders VALUES (1, 'old'), (2, 'old'), (11, 'old')")
    reload = "TRUNCATE conn_low; INSERT INTO conn_low VALUES (1, 'new'), (3, 'new')"
    assert while_waiting(reload, lambda: lines(owner, "orders")) == ["1,new", "3,new", "11,old"]


def test_a_table_behind_a_view(owner: User, tables: None, sql: Sql) -> None:
    sql("ALTER TABLE conn_orders RENAME TO conn_past; CREATE VIEW conn_orders AS SELECT * FROM conn_past")
    reload = "TRUNCATE conn_past; INSERT INTO conn_past VALUES (1, 'new')"
    assert while_waiting(reload, lambda: lines(owner, "orders")) == ["1,new"]
    sql("DROP VIEW conn_orders")


def test_the_table_of_a_further_sheet_ends_the_run_so_that_the_next_one_reads_it(
    owner: User, tables: None, sql: Sql, declare: Declare
) -> None:
    sql("CREATE TABLE conn_lines (id int PRIMARY KEY, order_id int, article text)")
    sql("INSERT INTO conn_lines VALUES (1, 1, 'old')")
    declare("lines", Line)
    declare("sold", Order, sheets=(Sheet("lines", via="order"),))
    reload = "TRUNCATE conn_lines; INSERT INTO conn_lines VALUES (1, 1, 'new')"
    with pytest.raises(errors.DatabaseBusy):
        while_waiting(reload, lambda: lines(owner, "sold", format="xlsx"))


def test_a_table_that_is_always_made_anew_is_not_waited_for_without_end(
    owner: User, tables: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "MADE_ANEW", "SELECT true")
    with pytest.raises(errors.DatabaseBusy):
        lines(owner, "orders")
