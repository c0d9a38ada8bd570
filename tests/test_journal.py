"""The figures of the trading journal: each dataset's rows, against values worked out by hand."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.contrib.auth.models import User
from django.db import connection

from exports_app import errors
from exports_app.pipeline import loop
from exports_app.pipeline.sinks.memory import MemoryStore
from exports_app.pipeline.types import Cursor, StoredPart, Upload
from exports_app.plan import Request, make_plan
from exportsite.samples.models import Account, Goal, PropEvaluation, Tag
from tests.conftest import VIEW_SAMPLES, make_user
from tests.test_run import finish, read_object
from tests.test_samples_exports import make_goal, make_trade

committed = pytest.mark.django_db(transaction=True)
"""An export reads on a connection of its own, which sees what is committed."""

JOURNAL = ["daily_pnl", "tag_performance", "prop_evaluation", "goals", "tags"]
UPLOAD = Upload(key="test", token="test")
NOON = datetime(2024, 1, 3, 12, tzinfo=UTC)


def request(resource: str, **values: Any) -> Request:
    return Request(**{"resource": resource, "filters": {}, "parameters": {}, "options": {}} | values)


def write(user: User, resource: str, *, cut_at_each_row: bool = False, **values: Any) -> bytes:
    """The file, asked for at noon; where cut, each row is written by a run that knows only the part before it."""
    store = MemoryStore()
    stored: tuple[StoredPart, ...] = ()
    last: Cursor | None = None
    while UPLOAD.key not in store.objects:
        plan = make_plan(request(resource, **values), user, NOON)
        before = stored[-1] if stored else None
        source = plan.open_source(after=before.cursor if before else None, last=last)
        last = source.last
        with store.open(UPLOAD, after=stored) as sink:
            for progress in loop.run(
                source, plan.encoder(before.state if before else None), sink, part_size=lambda _: 1, after=before
            ):
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
    plan = make_plan(request(resource, columns=columns, filters=filters), user, NOON)
    assert plan.query is not None
    with connection.cursor() as cursor:
        cursor.execute(plan.query.text)
        return sorted(row[: len(columns)] for row in cursor.fetchall())


def close(pk: int, account: Account, closed_at: str, pnl: str, tags: str = "", **values: Any) -> None:
    """A closed trade, opened at the full hour; moments are those of UTC."""
    closed = datetime.fromisoformat(f"{closed_at}+00:00")
    given = {"opened_at": closed.replace(minute=0, second=0, microsecond=0), "status": "CLOSED", "exit_price": 1}
    make_trade(pk, account, tags=tags, closed_at=closed, pnl=Decimal(pnl), **{**given, **values})


@pytest.fixture
def account(alice: User) -> Account:
    return Account.objects.create(pk=1, number="AC-000001", owner="Alice", user=alice)


@pytest.fixture
def second(alice: User) -> Account:
    return Account.objects.create(pk=2, number="AC-000002", owner="Alice", user=alice)


@pytest.fixture
def of_bob(bob: User) -> Account:
    return Account.objects.create(pk=3, number="AC-000003", owner="Bob", user=bob)


@pytest.fixture
def journal(account: Account, second: Account, of_bob: Account) -> None:
    """Two accounts of Alice's, one of Bob's, one of nobody's."""
    moment = datetime(2023, 12, 31, tzinfo=UTC)
    for number, name in enumerate(("Breakout", "London", "FOMO", "Patient", "Unused", "Running"), 1):
        Tag.objects.create(pk=number, name=name, colour="#00ff00", created_at=moment, updated_at=moment)
    close(1, account, "2024-01-01T10:00:00", "100.00", "Breakout London")
    close(2, account, "2024-01-01T10:00:00", "-40.50", "Breakout", fees=Decimal("1.50"))  # at the same moment
    close(3, account, "2024-01-01T23:59:59.999999", "-259.50", "FOMO")  # still on that day
    close(4, account, "2024-01-03T00:00:00", "50.00", "Breakout")
    close(5, account, "2024-01-03T11:00:00", "-50.00")  # a day that comes to nothing
    close(6, account, "2024-01-04T11:00:00", "0.00", "Patient")  # neither won nor lost
    close(7, account, "2024-02-01T11:00:00", "350.25", "London")
    make_trade(8, account, tags="Running Breakout")  # still open
    make_trade(9, account, tags="Running", status="CANCELLED")
    close(10, second, "2024-01-01T12:00:00", "-10.00")
    close(11, of_bob, "2024-01-01T12:00:00", "1000.00", "Breakout FOMO")
    nobodys = Account.objects.create(pk=4, number="AC-000004", owner="Nobody")
    close(12, nobodys, "2024-01-02T12:00:00", "5.00", "Breakout")
    make_goal(1, account)
    make_goal(2, of_bob)
    for pk, of in enumerate((account, second, of_bob, nobodys), 1):
        make_evaluation(of, pk=pk)


def make_evaluation(account: Account, **values: Any) -> PropEvaluation:
    given = {
        "phase": "CHALLENGE", "status": "ACTIVE", "starting_balance": 10_000, "profit_target": 500,
        "max_daily_loss": 250, "max_total_loss": 400, "starts_on": date(2024, 1, 2), **values,
    }  # fmt: skip
    return PropEvaluation.objects.create(account=account, **given)


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
        ({"account": "AC-000003"}, []),  # Bob's
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
        "ID,Account,Phase,Status,Starts on,Profit target,Cumulative profit,Progress %,Daily loss left,"
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


# Goals and tags


@committed
def test_goals(alice: User, journal: None) -> None:
    assert csv(alice, "goals") == [
        "ID,Account,Name,Period,Status,Target,Reached,Progress %,Starts on,Ends on,Created at",
        "1,AC-000001,January,MONTHLY,ACTIVE,400.00,-200.00,-50.0,2024-01-01,2024-01-31,2023-12-31T00:00:00+00:00",
    ]


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({}, [1, 2, 3]),
        ({"status": "ACTIVE"}, [1]),
        ({"status": ["ACTIVE", "MISSED"]}, [1, 3]),
        ({"period": "MONTHLY"}, [1, 2]),
        ({"period": ["YEARLY"], "status": ["MISSED"]}, [3]),
        ({"period": "WEEKLY"}, []),
    ],
)
@pytest.mark.django_db
def test_filters_of_goals(alice: User, account: Account, filters: dict[str, Any], ids: list[int]) -> None:
    for pk, status, period in [(1, "ACTIVE", "MONTHLY"), (2, "ACHIEVED", "MONTHLY"), (3, "MISSED", "YEARLY")]:
        make_goal(pk, account)
        Goal.objects.filter(pk=pk).update(status=status, period=period)
    assert [pk for (pk,) in selected(alice, "goals", "id", **filters)] == ids


@committed
def test_tags_count_the_trades_that_one_may_see(alice: User, journal: None) -> None:
    assert csv(alice, "tags", ids=[1, 3, 5]) == [
        "ID,Name,Colour,Usage,Created at,Updated at",
        "1,Breakout,#00ff00,4,2023-12-31T00:00:00+00:00,2023-12-31T00:00:00+00:00",
        "3,FOMO,#00ff00,1,2023-12-31T00:00:00+00:00,2023-12-31T00:00:00+00:00",
        "5,Unused,#00ff00,0,2023-12-31T00:00:00+00:00,2023-12-31T00:00:00+00:00",
    ]


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({"created_at_after": "2024-01-02"}, [2, 3]),
        ({"created_at_before": "2024-01-02"}, [1, 2]),
        ({"created_at_after": "2024-01-02", "created_at_before": "2024-01-02"}, [2]),
        ({"created_at_after": "2024-01-03T00:00:00.000001Z"}, []),
    ],
)
@pytest.mark.django_db
def test_filters_of_tags(alice: User, filters: dict[str, Any], ids: list[int]) -> None:
    for pk in (1, 2, 3):
        moment = datetime(2024, 1, pk, tzinfo=UTC)
        Tag.objects.create(pk=pk, name=str(pk), colour="#000000", created_at=moment, updated_at=moment)
    assert [pk for (pk,) in selected(alice, "tags", "id", **filters)] == ids


# All of them


@committed
@pytest.mark.parametrize("resource", JOURNAL)
def test_a_file_is_the_same_however_often_its_run_was_cut(
    alice: User, journal: None, settings: Any, resource: str
) -> None:
    whole = write(alice, resource)
    settings.EXPORTS_CHUNK_ROWS = 1
    assert write(alice, resource, cut_at_each_row=True) == whole
    assert whole.count(b"\n") > 1


@committed
def test_the_running_total_goes_on_after_a_cut_between_the_days_chosen(
    alice: User, journal: None, settings: Any
) -> None:
    settings.EXPORTS_CHUNK_ROWS = 1
    filters = {"day_after": "2024-01-03", "account": "AC-000001"}
    columns = ["day", "cumulative_pnl"]
    assert write(alice, "daily_pnl", cut_at_each_row=True, columns=columns, filters=filters) == (
        b"Day,Cumulative P&L\n2024-01-03,-200.00\n2024-01-04,-200.00\n2024-02-01,150.25\n"
    )


@pytest.mark.parametrize(
    ("resource", "alices", "bobs", "everybodys"),
    [
        ("daily_pnl", 5, 1, 7),
        ("tag_performance", 4, 2, 4),
        ("prop_evaluation", 2, 1, 4),
        ("goals", 1, 1, 2),
        ("tags", 6, 6, 6),
    ],
)
@pytest.mark.django_db
def test_whose_rows(
    alice: User, bob: User, journal: None, resource: str, alices: int, bobs: int, everybodys: int
) -> None:
    column = {"daily_pnl": "day", "tag_performance": "tag"}.get(resource, "id")
    staff = User.objects.create_superuser("root")
    stranger = make_user("dora", permissions=VIEW_SAMPLES)
    found = [len(selected(user, resource, column)) for user in (alice, bob, staff, stranger)]
    assert found == [alices, bobs, everybodys, 6 if resource == "tags" else 0]


@pytest.mark.parametrize("resource", JOURNAL)
@pytest.mark.django_db
def test_who_has_no_permission_is_refused(charlie: User, journal: None, resource: str) -> None:
    with pytest.raises(errors.PermissionDenied, match="You may not export"):
        make_plan(request(resource), charlie)


@pytest.mark.parametrize("resource", ["daily_pnl", "tag_performance"])
@pytest.mark.django_db
def test_summed_rows_have_no_ids(alice: User, resource: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        make_plan(request(resource, ids=[1]), alice)
    assert caught.value.errors == {"ids": ["This data cannot be chosen by id."]}


@pytest.mark.parametrize(
    ("resource", "name", "value"),
    [
        ("daily_pnl", "day_after", "yesterday"),
        ("daily_pnl", "day_before", "2024-02-30"),
        ("tag_performance", "opened_at_after", "soon"),
        ("goals", "period", "DAILY"),
        ("goals", "status", "active"),
        ("tags", "created_at_before", "2024-13-01"),
        ("prop_evaluation", "status", "ACTIVE"),  # it has no filters
    ],
)
@pytest.mark.django_db
def test_filters_that_do_not_fit_are_refused_by_name(alice: User, resource: str, name: str, value: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        make_plan(request(resource, filters={name: value}), alice)
    assert caught.value.errors is not None
    assert list(caught.value.errors["filters"]) == [name]
