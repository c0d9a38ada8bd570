"""Each sum of the journal against values worked out by hand: days, tags, evaluations."""

from __future__ import annotations

import io
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.contrib.auth.models import User

from exports_app import errors
from exportsite.samples.models import Account, PropEvaluation
from tests.jobs import finish, read_object
from tests.journal.figures import close, committed, csv, make_evaluation, selected, write
from tests.test_samples_exports import make_trade

# Daily P&L


@committed
def test_daily_pnl(alice: User, journal: None) -> None:
    assert csv(alice, "daily_pnl") == [
        "Day,Account,Trades,Wins,Losses,Fees,P&L,Cumulative P&L",
        "2024-01-01,AC-000001,3,1,2,3.50,-200.00,-200.00",
        "2024-01-01,AC-000002,1,0,1,1.00,-10.00,-10.00",
        "2024-01-03,AC-000001,2,1,1,2.00,0.00,-200.00",
        "2024-01-04,AC-000001,1,0,0,1.00,0.00,-200.00",
        "2024-02-01,AC-000001,1,1,0,1.00,350.25,150.25",
    ]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        # The running total goes on from the days that are left out.
        ({"day_after": "2024-01-04"}, [("2024-01-04", "-200.00"), ("2024-02-01", "150.25")]),
        ({"day_after": "2024-01-02", "day_before": "2024-01-03"}, [("2024-01-03", "-200.00")]),
        ({"day_before": "2024-01-01"}, [("2024-01-01", "-200.00"), ("2024-01-01", "-10.00")]),
        ({"account": "AC-000002"}, [("2024-01-01", "-10.00")]),
        ({"account": ["AC-000001", "AC-000002"], "day_before": "2024-01-02"},
         [("2024-01-01", "-200.00"), ("2024-01-01", "-10.00")]),
        ({"day_after": "2025-01-01"}, []),
    ],
)  # fmt: skip
@pytest.mark.django_db
def test_filters_of_daily_pnl(
    alice: User, journal: None, filters: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    rows = selected(alice, "daily_pnl", "day", "cumulative_pnl", **filters)
    assert [(str(day), str(total)) for day, total in rows] == expected


@pytest.mark.django_db
def test_an_account_of_somebody_else_is_none_that_there_is(alice: User, journal: None) -> None:
    said = {}
    for number in ("AC-000003", "AC-000009"):  # Bob's, nobody's
        with pytest.raises(errors.Invalid) as caught:
            selected(alice, "daily_pnl", "day", account=number)
        said[number] = str(caught.value.errors).replace(number, "it")
    assert said["AC-000003"] == said["AC-000009"]
    assert "it is not one of the available choices. Did you mean AC-00000" in said["AC-000003"]


@pytest.mark.django_db
def test_days_without_trades_have_no_row(alice: User, account: Account) -> None:
    make_trade(1, account)
    assert selected(alice, "daily_pnl", "day") == []


@committed
def test_a_workbook_of_daily_pnl_has_dates_and_numbers(alice: User, journal: None) -> None:
    book = openpyxl.load_workbook(io.BytesIO(write(alice, "daily_pnl", format="xlsx")))
    assert book.sheetnames == ["Daily P&L"]
    rows = list(book["Daily P&L"].iter_rows(values_only=True))
    assert rows[0] == ("Day", "Account", "Trades", "Wins", "Losses", "Fees", "P&L", "Cumulative P&L")
    assert rows[1] == (datetime(2024, 1, 1), "AC-000001", 3, 1, 2, 3.5, -200, -200)  # noqa: DTZ001 - cells have none
    assert rows[5] == (datetime(2024, 2, 1), "AC-000001", 1, 1, 0, 1, 350.25, 150.25)  # noqa: DTZ001


# Tag performance


@committed
def test_tag_performance(alice: User, journal: None) -> None:
    assert csv(alice, "tag_performance") == [
        "Tag,Trades,Wins,Losses,Win rate %,Expectancy,Profit factor,Net P&L",
        "Breakout,3,2,1,66.7,36.50,3.70,109.50",
        "London,2,2,0,100.0,225.13,,450.25",  # nothing lost: a factor of nothing, not an infinite one
        "FOMO,1,0,1,0.0,-259.50,0.00,-259.50",
        "Patient,1,0,0,0.0,0.00,,0.00",
    ]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        # Narrows the trades that count, by the moment they were opened.
        ({"opened_at_after": "2024-01-02"},
         [("Breakout", 1, "50.00"), ("London", 1, "350.25"), ("Patient", 1, "0.00")]),
        ({"opened_at_before": "2024-01-01"},
         [("Breakout", 2, "59.50"), ("FOMO", 1, "-259.50"), ("London", 1, "100.00")]),
        ({"opened_at_after": "2024-01-01T10:00:01Z", "opened_at_before": "2024-01-01T23:00:00Z"},
         [("FOMO", 1, "-259.50")]),
        ({"opened_at_after": "2030-01-01"}, []),
    ],
)  # fmt: skip
@pytest.mark.django_db
def test_filters_of_tag_performance(
    alice: User, journal: None, filters: dict[str, Any], expected: list[tuple[Any, ...]]
) -> None:
    rows = selected(alice, "tag_performance", "tag", "trades", "net_pnl", **filters)
    assert [(tag, trades, str(pnl)) for tag, trades, pnl in rows] == expected


@committed
def test_tag_performance_in_parquet_has_exact_numbers(alice: User, journal: None) -> None:
    table = pq.read_table(io.BytesIO(write(alice, "tag_performance", format="parquet")))
    assert table.schema.field("trades").type == pa.int64()
    assert table.schema.field("win_rate").type == pa.decimal128(38, 1)
    assert table.schema.field("net_pnl").type == pa.decimal128(38, 2)
    assert table["profit_factor"].to_pylist() == [Decimal("3.70"), None, Decimal("0.00"), None]
    assert table["net_pnl"].to_pylist() == [Decimal("109.50"), Decimal("450.25"), Decimal("-259.50"), Decimal("0.00")]


# The active evaluation


@committed
def test_prop_evaluation(alice: User, journal: None) -> None:
    PropEvaluation.objects.filter(pk=2).update(status="PASSED", ends_on=date(2024, 1, 2))
    assert csv(alice, "prop_evaluation") == [
        '"ID",Account,Phase,Status,Starts on,Profit target,Cumulative profit,Progress %,Daily loss left,'
        "Total loss left,Alerts",
        "1,AC-000001,CHALLENGE,ACTIVE,2024-01-02,500.00,0.00,0.0,250.00,400.00,",
    ]


RESULTS = ("cumulative_profit", "progress", "remaining_daily_loss", "remaining_total_loss", "alerts")


@pytest.mark.parametrize(
    ("trades", "expected"),
    [
        ({}, ("0.00", "0.0", "250.00", "400.00", None)),
        # Before its first day, and after the moment of the request.
        ({"01-01T23:59:59.999999": "-300"}, ("0.00", "0.0", "250.00", "400.00", None)),
        ({"03T12:00:00.000001": "-300"}, ("0.00", "0.0", "250.00", "400.00", None)),
        # Profits add to what may be lost.
        ({"02T00:00": "100.25", "03T12:00": "50"}, ("150.25", "30.1", "300.00", "550.25", None)),
        ({"02T09:00": "500"}, ("500.00", "100.0", "250.00", "900.00", "Profit target reached")),
        ({"02T09:00": "499.99"}, ("499.99", "100.0", "250.00", "899.99", None)),
        # A fifth of the day's limit is left, or a cent more.
        ({"03T09:00": "-200"}, ("-200.00", "-40.0", "50.00", "200.00", "Daily loss limit nearly used")),
        ({"03T09:00": "-199.99"}, ("-199.99", "-40.0", "50.01", "200.01", None)),
        # Any day counts, and a later profit mends nothing.
        ({"02T09:00": "-250", "03T09:00": "90"}, ("-160.00", "-32.0", "340.00", "240.00", "Daily loss limit breached")),
        ({"02T09:00": "-170", "03T09:00": "-150"},
         ("-320.00", "-64.0", "100.00", "80.00", "Total loss limit nearly used")),
        ({"02T09:00": "-200", "03T09:00": "-200", "03T10:00": "900"},
         ("500.00", "100.0", "950.00", "900.00", "Total loss limit breached; Profit target reached")),
        ({"03T09:00": "-500"},
         ("-500.00", "-100.0", "0.00", "0.00", "Total loss limit breached; Daily loss limit breached")),
    ],
)  # fmt: skip
@pytest.mark.django_db
def test_results_of_an_evaluation(
    alice: User, account: Account, second: Account, trades: dict[str, str], expected: tuple[str | None, ...]
) -> None:
    make_evaluation(account)
    close(100, second, "2024-01-03T09:00:00", "-1000")  # another account's
    for pk, (moment, pnl) in enumerate(trades.items(), 1):
        close(pk, account, f"2024-{moment}" if moment.count("-") else f"2024-01-{moment}", pnl)
    [row] = selected(alice, "prop_evaluation", *RESULTS)
    assert tuple(value if value is None else str(value) for value in row) == expected


@pytest.mark.django_db
def test_an_evaluation_without_a_target_has_no_progress(alice: User, account: Account) -> None:
    make_evaluation(account, phase="FUNDED", profit_target=0)
    close(1, account, "2024-01-02T09:00:00", "10")
    assert selected(alice, "prop_evaluation", "progress", "alerts") == [(None, None)]


@committed
def test_an_evaluation_is_judged_at_the_moment_of_the_request(alice: User, journal: None) -> None:
    job = finish(alice, resource="prop_evaluation", columns=["account", "cumulative_profit"])
    assert read_object(job).decode().splitlines() == [
        "Account,Cumulative profit",
        "AC-000001,350.25",
        "AC-000002,0.00",
    ]
