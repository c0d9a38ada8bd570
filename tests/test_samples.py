"""``load_samples``: what it makes, and that it makes it again."""

from __future__ import annotations

import io
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Avg, Count

from exports_app.resources import registry
from exportsite.samples import loading
from exportsite.samples.models import Account, Customer, Goal, PropEvaluation, Tag, Trade, Transaction

pytestmark = pytest.mark.django_db
EVE = datetime(2025, 12, 31, tzinfo=UTC)


def load(rows: int = 1_000, **options: Any) -> str:
    output = io.StringIO()
    call_command("load_samples", rows=rows, stdout=output, **options)
    return output.getvalue()


def ask(statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def digests() -> dict[str, str]:
    """A checksum over all rows of each table."""
    return {
        table: ask(f"SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM {table} AS t")[0][0]
        for table in loading.TABLES
    }


def schema() -> list[tuple[Any, ...]]:
    tables = ", ".join(f"'{table}'::regclass" for table in loading.TABLES)
    constraints = ask(
        f"SELECT conname, conrelid, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid IN ({tables})"
    )
    indexes = ask(
        f"SELECT indexrelid::regclass::text, indrelid, pg_get_indexdef(indexrelid), indisvalid FROM pg_index"
        f" WHERE indrelid IN ({tables})"
    )
    return sorted(constraints) + sorted(indexes)


# The same rows again


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        (
            "samples_customer",
            [
                '(1,"Emma van den Berg",customer.1@mail.example,2023-08-21,IT,BASIC,46.91)',
                '(2,"Siobhán Øvergaard",customer.2@münchen.example,2025-12-24,CZ,FREE,0.00)',
                '(3,"Carlos Wójcik",,2023-09-15,US,PRO,110.49)',
            ],
        ),
        (
            "samples_transaction",
            [
                '(1,"2023-01-01 16:48:34+00",24.51,0.57,GBP,SETTLED,Пятёрочка,"Card payment Пятёрочка",INV-1/297,'
                "9999072329313478,1)",
                '(2,"2023-01-01 16:48:34+00",534.18,,USD,PENDING,"Kiosk am Zoo","Card payment Kiosk am Zoo",,'
                "9999056770403701,3)",
                '(3,"2023-01-01 16:48:34+00",59.43,1.23,USD,SETTLED,ファミリーマート,"He said ""no"", and left",'
                "INV-3/109,,2)",
            ],
        ),
        (
            "samples_trade",
            [
                '(1,"2023-01-06 11:31:11+00","2023-01-06 14:04:07+00",LONG,CLOSED,64.2851,164.89053,164.93129,2.62,'
                "0.00,,1,7)",
                '(2,"2023-01-06 11:31:11+00","2023-01-06 16:04:40+00",LONG,CLOSED,113.7995,104.56985,104.59516,2.88,'
                "0.00,,1,13)",
            ],
        ),
    ],
)
def test_the_first_rows_of_seed_1(table: str, rows: list[str]) -> None:
    load(seed=1)
    assert [row for (row,) in ask(f"SELECT t::text FROM {table} AS t ORDER BY id LIMIT {len(rows)}")] == rows


def test_the_same_seed_gives_the_same_rows_and_another_seed_other_ones() -> None:
    load(seed=7)
    first = digests()
    load(seed=8)
    other = digests()
    load(seed=7)
    assert digests() == first
    assert {table for table in first if first[table] == other[table]} == {
        "samples_instrument",
        "samples_propevaluation",
    }


@pytest.mark.parametrize("seed", [0, -1, -(10**30)])
def test_any_whole_number_is_a_seed(seed: int) -> None:
    load(rows=1, seed=seed)
    assert Transaction.objects.count() == 1


def test_the_seed_is_1_if_none_is_given() -> None:
    load(seed=1)
    first = digests()
    load()
    assert digests() == first


# How many


def test_it_says_how_many_rows_it_made() -> None:
    assert load(rows=10_000).splitlines()[:-1] == [
        "          16 instruments",
        "       5,000 tags",
        "          10 accounts",
        "      10,000 customers",
        "      10,000 transactions",
        "       2,000 trades",
        "       3,573 trade tags",
        "          60 goals",
        "           3 evaluations",
    ]


def test_one_row_is_enough() -> None:
    load(rows=1)
    assert Transaction.objects.count() == 1
    assert Customer.objects.count() == 1
    assert Trade.objects.count() == 12
    assert Account.objects.count() == 4


def test_it_replaces_what_was_there_and_ids_go_on_behind_it() -> None:
    load(rows=200)
    load(rows=100)
    assert Customer.objects.count() == 100
    assert Tag.objects.create(name="x", colour="#000000", created_at=EVE, updated_at=EVE).pk == 51
    load(rows=100)
    assert Tag.objects.filter(name="x").count() == 0


@pytest.mark.parametrize("rows", ["0", "-1", "1.5", "many", ""])
def test_a_wrong_number_of_rows_is_refused(rows: str) -> None:
    with pytest.raises(CommandError, match=f"'{rows}' is not a whole number of 1 or more"):
        call_command("load_samples", f"--rows={rows}")


def test_rows_must_be_given() -> None:
    with pytest.raises(CommandError, match="--rows"):
        call_command("load_samples")


def test_a_load_that_fails_leaves_the_old_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    load(rows=50)
    before = digests(), schema()
    monkeypatch.setattr(loading, "share_accounts", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        load(rows=100)
    assert (digests(), schema()) == before


def test_a_table_that_somebody_reads_is_waited_for_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "LOCK_SECONDS", 0.1)
    reader = connection.copy()
    reader.set_autocommit(False)
    with closing(reader), reader.cursor() as cursor:
        cursor.execute("SELECT FROM samples_customer")
        with pytest.raises(CommandError, match="Exports are reading the samples"):
            load(rows=1)


def test_indexes_and_constraints_are_put_back_as_they_were() -> None:
    before = schema()
    load()
    assert schema() == before


# What is in them


def test_text_holds_what_breaks_exports_made_by_hand() -> None:
    load()
    found = set(Transaction.objects.values_list("description", flat=True))
    assert found >= {
        'He said "no", and left', "a,b;c|d", "tab\there", "two\nlines", "two\r\nlines of Windows", "\n", '"', '""',
        " leading space", "trailing space ", "=1+1", "+49 30 1234567", "-1", "@SUM(A1:A9)", "\r=2+2", "\uff1d1+1",
        "C:\\new\\table", "\\N", "\\.", "<b>R&D</b> ]]>", "_x000D_", "00042", "NULL", "emoji 🎉 and family 👩‍👩‍👧‍👦",
        "combining e\u0301 is not \u00e9", "bell\x07 and escape\x1b[1m", "\uffff is no character",
    }  # fmt: skip
    assert {text for (text,) in ask("SELECT unnest(pg_temp.awkward())")} <= found


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("samples_transaction", "description"),
        ("samples_transaction", "reference"),
        ("samples_customer", "email"),
        ("samples_trade", "notes"),
    ],
)
def test_empty_texts_stand_beside_nulls(table: str, column: str) -> None:
    load()
    [(nulls, empty)] = ask(
        f"SELECT count(*) FILTER (WHERE {column} IS NULL), count(*) FILTER (WHERE {column} = '') FROM {table}"
    )
    assert nulls > 10
    assert empty > 10


def test_chunks_of_any_common_size_end_between_equal_moments() -> None:
    load(rows=20_000)
    moments = list(Transaction.objects.order_by("booked_at", "id").values_list("booked_at", flat=True))
    for size in (10, 100, 1_000, 4_096, 5_000, 10_000):
        borders = range(size, len(moments), size)
        assert any(moments[border - 1] == moments[border] for border in borders), size


def test_the_order_of_the_key_is_not_the_order_of_the_ids() -> None:
    load()
    ids = list(Transaction.objects.order_by("booked_at", "id").values_list("id", flat=True))
    assert ids != sorted(ids)


def test_the_samples_end_with_2025() -> None:
    load()
    assert ask("SELECT min(booked_at) > '2022-12-28', max(booked_at) BETWEEN '2025-12-25' AND '2026-01-01'"
               " FROM samples_transaction") == [(True, True)]  # fmt: skip
    assert ask("SELECT max(greatest(opened_at, closed_at)) < '2026-01-01' FROM samples_trade") == [(True,)]
    assert ask("SELECT max(updated_at) < '2026-01-01' FROM samples_tag") == [(True,)]


def test_every_value_of_every_choice_occurs() -> None:
    load()
    for model in (Transaction, Customer, Trade, Goal, PropEvaluation):
        for field in model._meta.concrete_fields:
            if field.choices and field.name != "phase":
                used = set(model._default_manager.values_list(field.name, flat=True))
                assert used == {value for value, _ in field.flatchoices}, (model, field.name)


def test_amounts_have_a_heavy_tail_and_refunds_are_negative() -> None:
    load(rows=10_000)
    [(median, largest, refunds)] = ask(
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount), max(amount),"
        " max(amount) FILTER (WHERE status = 'REFUNDED') FROM samples_transaction"
    )
    assert 20 < median < 40
    assert largest > 500 * median
    assert refunds < 0


def test_pnl_is_what_the_prices_say() -> None:
    load()
    sign = "CASE direction WHEN 'LONG' THEN 1 ELSE -1 END"
    assert ask(
        "SELECT count(*) FROM samples_trade WHERE status = 'CLOSED'"
        f" AND pnl <> round((exit_price - entry_price) * quantity * {sign} - fees, 2)"
    ) == [(0,)]


def test_some_trades_made_exactly_nothing() -> None:
    load()
    assert 0 < Trade.objects.filter(pnl=0).count() < 20


def test_the_tags_tell_something() -> None:
    load(rows=10_000)
    means = dict(Tag.objects.filter(pk__lte=24).annotate(mean=Avg("trades__pnl")).values_list("name", "mean"))
    assert means["Revenge"] < 0 < means["Patient"] < means["A+ setup"]


def test_a_trade_has_up_to_a_few_tags() -> None:
    load()
    numbers = set(Trade.objects.annotate(number=Count("tags")).values_list("number", flat=True))
    assert numbers >= {0, 1, 2, 3}


# Whose


def test_existing_demo_users_share_the_accounts() -> None:
    demo, bob, _ = (User.objects.create_user(name) for name in ("demo", "bob", "somebody"))
    load(rows=1)
    load(rows=10_000)
    shares = Account.objects.values_list("user").annotate(number=Count("*")).order_by("user")
    assert list(shares) == [(demo.pk, 5), (bob.pk, 5)]
    active = PropEvaluation.objects.filter(status="ACTIVE").values_list("account__user", flat=True)
    assert sorted(active) == [demo.pk, bob.pk]


def test_demo_users_may_export_every_sample_and_see_rows_of_their_own() -> None:
    call_command("demo_users")
    load(rows=10_000)
    demo = User.objects.get(username="demo")
    for declared in registry.every():
        resource = declared()
        assert resource.is_allowed(demo), resource.name
        assert resource.is_python() or resource.get_queryset(demo).exists(), resource.name


def test_without_demo_users_the_accounts_are_nobodys() -> None:
    load(rows=1)
    assert Account.objects.filter(user=None).count() == 4
    demo = User.objects.create_user("demo")
    loading.share_accounts()
    assert Account.objects.filter(user=demo).count() == 4


# Indexes


@pytest.mark.parametrize(
    ("table", "key", "index"),
    [
        ("samples_transaction", "booked_at, id", "sample_transaction_key"),
        ("samples_trade", "opened_at, id", "sample_trade_key"),
        ("samples_customer", "id", "samples_customer_pkey"),
    ],
)
def test_an_index_gives_the_order_of_the_key(table: str, key: str, index: str) -> None:
    load(rows=5_000)
    after = f"SELECT {key} FROM {table} ORDER BY {key} OFFSET 500 LIMIT 1"
    plan = ask(f"EXPLAIN SELECT * FROM {table} WHERE ({key}) > ({after}) ORDER BY {key} LIMIT 100")
    text = "\n".join(line for (line,) in plan)
    assert f"using {index}" in text
    assert "Sort" not in text
