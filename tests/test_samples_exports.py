"""The samples' resources: their filters, whose rows they give, and what their columns hold."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.db import connection
from django.test import RequestFactory

from exports_app import errors
from exports_app.plan import Request, make_plan
from exports_app.resources import registry
from exports_app.resources.base import Resource
from exports_app.resources.filters import describe
from exports_app.resources.queries import select_rows
from exportsite.samples.models import Account, Customer, Goal, Instrument, Tag, Trade, Transaction
from tests.conftest import make_user

pytestmark = pytest.mark.django_db


def resource(name: str) -> Resource:
    declared = registry.get(name)
    assert declared is not None
    return declared()


def found(name: str, user: User, **filters: Any) -> list[int]:
    return sorted(select_rows(resource(name), user, filters=filters, ids=None).values_list("pk", flat=True))


def exported(name: str, user: User, *columns: str) -> list[tuple[Any, ...]]:
    """Rows of the very query that an export reads, less its key."""
    plan = make_plan(Request(resource=name, columns=columns), user)
    assert plan.query is not None
    with connection.cursor() as cursor:
        cursor.execute(plan.query.text)
        rows = [row[: len(columns)] for row in cursor.fetchall()]
    return sorted(rows, key=lambda row: row[0])


def make_transaction(pk: int, account: Account, **values: Any) -> Transaction:
    given = {
        "booked_at": datetime(2024, 1, 31, tzinfo=UTC), "amount": Decimal("10.00"), "currency": "EUR",
        "status": "SETTLED", "merchant": "Aldi", **values,
    }  # fmt: skip
    return Transaction.objects.create(pk=pk, account=account, **given)


def make_trade(pk: int, account: Account, instrument: str = "ES", tags: str = "", **values: Any) -> Trade:
    given = {
        "opened_at": datetime(2024, 1, 31, tzinfo=UTC), "direction": "LONG", "status": "OPEN", "quantity": 1,
        "entry_price": 100, "fees": 1, **values,
    }  # fmt: skip
    symbol, _ = Instrument.objects.get_or_create(symbol=instrument, defaults={"asset_class": "FUTURE"})
    trade = Trade.objects.create(pk=pk, account=account, instrument=symbol, **given)
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    for name in tags.split():
        tag, _ = Tag.objects.get_or_create(name=name, defaults={"created_at": moment, "updated_at": moment})
        trade.tags.add(tag)
    return trade


@pytest.fixture
def account(alice: User) -> Account:
    return Account.objects.create(number="AC-000001", owner="Alice", user=alice)


@pytest.fixture
def of_bob(bob: User) -> Account:
    return Account.objects.create(number="AC-000002", owner="Bob", user=bob)


@pytest.fixture
def of_nobody(db: None) -> Account:
    return Account.objects.create(number="AC-000003", owner="Nobody")


# The contract


@pytest.mark.parametrize(
    ("name", "filters"),
    [
        (
            "transactions",
            "status currency account booked_at_after booked_at_before amount_min amount_max",
        ),
        (
            "customers",
            "country_code subscription_tier lifetime_value_min lifetime_value_max signup_date_after signup_date_before",
        ),
        ("trades", "opened_at_after opened_at_before tags instrument status direction"),
        ("goals", "status period"),
        ("daily_pnl", "day_after day_before account"),
        ("tag_performance", "opened_at_after opened_at_before"),
        ("prop_evaluation", ""),
        ("tags", "created_at_after created_at_before"),
    ],
)
def test_filters(name: str, filters: str) -> None:
    assert [each.name for each in describe(resource(name), AnonymousUser())] == filters.split()


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        (
            "transactions",
            "id booked_at account__number account__owner amount fee net currency status merchant description reference"
            " card_number",
        ),
        ("customers", "id name email signup_date country_code subscription_tier lifetime_value"),
        (
            "trades",
            "id opened_at closed_at instrument direction status quantity entry_price exit_price fees pnl tags account"
            " notes",
        ),
        ("goals", "id account name period status target reached progress starts_on ends_on created_at"),
        ("daily_pnl", "day account trades wins losses fees pnl cumulative_pnl"),
        ("tag_performance", "tag trades wins losses win_rate expectancy profit_factor net_pnl"),
        (
            "prop_evaluation",
            "id account phase status starts_on profit_target cumulative_profit progress remaining_daily_loss"
            " remaining_total_loss alerts",
        ),
        ("tags", "id name colour usage created_at updated_at"),
    ],
)
def test_columns(name: str, columns: str) -> None:
    assert [column.name for column in resource(name).get_columns()] == columns.split()


def test_countries_are_offered_by_name() -> None:
    names = [
        name
        for each in describe(resource("customers"), AnonymousUser())
        if each.name == "country_code"
        for _, name in each.choices
    ]
    assert names[:4] == ["Afghanistan", "Åland Islands", "Albania", "Algeria"]
    assert names[-1] == "Zimbabwe"


def test_transactions_are_capped_and_customers_are_not() -> None:
    assert resource("transactions").max_rows == 500_000
    assert resource("customers").max_rows is None


# Filters


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({}, [1, 2, 3, 4]),
        # A date is the whole day, at both ends.
        ({"booked_at_after": "2024-01-31"}, [2, 3, 4]),
        ({"booked_at_before": "2024-01-31"}, [1, 2, 3]),
        ({"booked_at_after": "2024-01-31", "booked_at_before": "2024-01-31"}, [2, 3]),
        # A moment is that very moment, and belongs to the range.
        ({"booked_at_after": "2024-02-01T00:00:00Z"}, [4]),
        ({"booked_at_before": "2024-01-31T00:00:00+00:00"}, [1, 2]),
        ({"booked_at_before": "2024-01-31T23:59:59.999998Z"}, [1, 2]),
        ({"booked_at_before": "2024-01-31T23:59:59.999999Z"}, [1, 2, 3]),
        ({"booked_at_after": "2024-02-01T02:00:00+02:00"}, [4]),
        # Without an offset it is UTC, the site's time zone.
        ({"booked_at_after": "2024-02-01T00:00:00"}, [4]),
        # Numbers
        ({"amount_min": "10.00"}, [1, 4]),
        ({"amount_min": 10.01}, [4]),
        ({"amount_max": 10}, [1, 2, 3]),
        ({"amount_min": -5, "amount_max": "9.99"}, [2, 3]),
        # Choices: one, several, none
        ({"status": "SETTLED"}, [1, 2]),
        ({"status": ["FAILED", "REFUNDED"]}, [3, 4]),
        ({"status": []}, [1, 2, 3, 4]),
        ({"status": "settled"}, [1, 2]),
        ({"currency": ["CHF"]}, [2]),
        ({"currency": ["CHF", "EUR"], "status": ["FAILED"]}, [3]),
        # Accounts by number
        ({"account": "AC-000001"}, [1, 3]),
        ({"account": ["AC-000001", "AC-000002"]}, [1, 2, 3, 4]),
    ],
)
def test_filters_of_transactions(
    alice: User, account: Account, of_bob: Account, filters: dict[str, Any], ids: list[int]
) -> None:
    make_transaction(1, account, booked_at=datetime(2024, 1, 30, 23, 59, 59, 999_999, tzinfo=UTC))
    make_transaction(2, of_bob, amount=Decimal("9.99"), currency="CHF")
    make_transaction(
        3, account, amount=-5, status="FAILED", booked_at=datetime(2024, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    )
    make_transaction(4, of_bob, amount=11, status="REFUNDED", booked_at=datetime(2024, 2, 1, tzinfo=UTC))
    assert found("transactions", alice, **filters) == ids


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("booked_at_after", "yesterday"),
        ("booked_at_after", "2024-02-30"),
        ("booked_at_after", "01/02/2024"),
        ("booked_at_after", "2024-01-31T25:00:00Z"),
        ("booked_at_before", 5),
        ("amount_min", "ten"),
        ("amount_min", "NaN"),
        ("status", "SETTLE"),
        ("status", ["SETTLED", "LOST"]),
        ("currency", "XXX"),
        ("account", "AC-999999"),
        ("account", ["AC-999999", "AC-999998"]),
        ("account", "AC\x00"),
    ],
)
def test_wrong_values_are_refused_by_name(alice: User, name: str, value: Any) -> None:
    with pytest.raises(errors.Invalid) as caught:
        found("transactions", alice, **{name: value})
    assert caught.value.errors is not None
    assert list(caught.value.errors["filters"]) == [name]


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({"country_code": "DE"}, [1]),
        ({"country_code": ["DE", "US"]}, [1, 2]),
        ({"country_code": "NZ"}, []),
        ({"subscription_tier": ["PRO", "FREE"]}, [1, 3]),
        ({"lifetime_value_min": 100}, [2]),
        ({"lifetime_value_min": "0.01", "lifetime_value_max": "100"}, [2, 3]),
        ({"signup_date_after": "2024-06-01"}, [2, 3]),
        ({"signup_date_before": "2024-06-01"}, [1, 2]),
    ],
)
def test_filters_of_customers(alice: User, filters: dict[str, Any], ids: list[int]) -> None:
    for pk, country, tier, value, day in [
        (1, "DE", "FREE", "0.00", date(2024, 5, 31)),
        (2, "US", "BASIC", "100.00", date(2024, 6, 1)),
        (3, "FR", "PRO", "99.99", date(2024, 6, 2)),
    ]:
        Customer.objects.create(
            pk=pk, country_code=country, subscription_tier=tier, lifetime_value=Decimal(value), signup_date=day
        )
    assert found("customers", alice, **filters) == ids


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({"tags": "London"}, [1, 2]),
        ({"tags": ["London", "FOMO"]}, [1, 2, 3]),
        ({"tags": "london"}, [1, 2]),
        ({"instrument": "EURUSD"}, [3]),
        ({"instrument": ["EURUSD", "ES"]}, [1, 2, 3]),
        ({"direction": "SHORT"}, [2]),
        ({"status": ["CANCELLED"]}, [3]),
        ({"opened_at_after": "2024-02-01"}, [3]),
        ({"opened_at_before": "2024-01-31", "tags": "FOMO"}, [1]),
    ],
)
def test_filters_of_trades(alice: User, account: Account, filters: dict[str, Any], ids: list[int]) -> None:
    make_trade(1, account, tags="London FOMO")
    make_trade(2, account, tags="London", direction="SHORT")
    late = datetime(2024, 2, 1, tzinfo=UTC)
    make_trade(3, account, "EURUSD", tags="FOMO Revenge", status="CANCELLED", opened_at=late)
    assert found("trades", alice, **filters) == ids


def test_an_instrument_that_is_not_traded_is_refused(alice: User) -> None:
    with pytest.raises(errors.Invalid):
        found("trades", alice, instrument="EURUSD")


# Whose rows


def test_a_user_sees_the_trades_of_their_own_accounts(
    alice: User, bob: User, account: Account, of_bob: Account, of_nobody: Account
) -> None:
    for pk, of in enumerate((account, of_bob, of_nobody), start=1):
        make_trade(pk, of, tags="London")
    assert found("trades", alice) == [1]
    assert found("trades", bob) == [2]
    assert found("trades", bob, tags="London") == [2]
    assert found("trades", User.objects.create_user("staff", is_staff=True)) == []
    assert found("trades", make_user("auditor", permissions=("view_every_account",))) == [1, 2, 3]
    assert found("trades", User.objects.create_superuser("root")) == [1, 2, 3]
    assert not resource("trades").get_queryset(AnonymousUser()).exists()


def test_a_user_sees_the_goals_of_their_own_accounts(alice: User, account: Account, of_bob: Account) -> None:
    for pk, of in enumerate((account, of_bob), start=1):
        make_goal(pk, of)
    assert found("goals", alice) == [1]


# Columns


def test_card_numbers_need_a_permission_of_their_own(alice: User) -> None:
    card = "card_number"
    assert card not in {column.name for column in resource("transactions").visible_columns(alice)}
    alice.user_permissions.add(Permission.objects.get(codename="view_card", content_type__app_label="samples"))
    trusted = User.objects.get(pk=alice.pk)
    assert card in {column.name for column in resource("transactions").visible_columns(trusted)}


def test_columns_of_transactions(alice: User, account: Account) -> None:
    make_transaction(1, account, fee=Decimal("0.29"))
    make_transaction(2, account, fee=None, status="PENDING")
    assert exported("transactions", alice, "id", "account__number", "account__owner", "net") == [
        (1, "AC-000001", "Alice", Decimal("9.71")),
        (2, "AC-000001", "Alice", None),
    ]


def test_columns_of_trades(alice: User, account: Account) -> None:
    make_trade(1, account, tags="London FOMO A+")
    make_trade(2, account, "EURUSD")
    assert exported("trades", alice, "id", "instrument", "account", "tags") == [
        (1, "ES", "AC-000001", ["A+", "FOMO", "London"]),
        (2, "EURUSD", "AC-000001", []),
    ]


def make_goal(pk: int, account: Account) -> Goal:
    return Goal.objects.create(
        pk=pk, account=account, name="January", period="MONTHLY", status="ACTIVE", target=400,
        starts_on=date(2024, 1, 1), ends_on=date(2024, 1, 31), created_at=datetime(2023, 12, 31, tzinfo=UTC),
    )  # fmt: skip


def test_goals_count_what_was_closed_within_their_days(alice: User, account: Account, of_bob: Account) -> None:
    make_goal(1, account)
    assert exported("goals", alice, "id", "reached", "progress") == [(1, 0, 0)]
    opened = datetime(2023, 12, 1, tzinfo=UTC)
    for pk, of, closed, pnl in [
        (1, account, datetime(2023, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), 1),
        (2, account, datetime(2024, 1, 1, tzinfo=UTC), Decimal("100.25")),
        (3, account, datetime(2024, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC), 40),
        (4, account, datetime(2024, 2, 1, tzinfo=UTC), 1),
        (5, of_bob, datetime(2024, 1, 15, tzinfo=UTC), 1),
    ]:
        make_trade(pk, of, opened_at=opened, closed_at=closed, status="CLOSED", exit_price=1, pnl=pnl)
    assert exported("goals", alice, "id", "reached", "progress") == [(1, Decimal("140.25"), Decimal("35.1"))]


def test_columns_of_tags(alice: User, account: Account) -> None:
    make_trade(1, account, tags="London FOMO")
    make_trade(2, account, tags="London")
    assert [row[1:] for row in exported("tags", alice, "id", "name", "usage")] == [("London", 2), ("FOMO", 1)]


# The admin


def test_the_admin_hides_card_numbers_and_changes_nothing(alice: User, account: Account) -> None:
    transaction = make_transaction(1, account, card_number="9999000000000000")
    admin.autodiscover()
    page = admin.site.get_model_admin(Transaction)
    request = RequestFactory().get("/")
    request.user = alice
    assert "card_number" not in page.get_fields(request, transaction)
    request.user = User.objects.create_superuser("root")
    assert "card_number" in page.get_fields(request, transaction)
    assert not page.has_add_permission(request)
    assert not page.has_change_permission(request)
    assert not page.has_delete_permission(request)
