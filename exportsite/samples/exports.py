"""The samples as a team would declare its own tables."""

from __future__ import annotations

from typing import Any, TypeVar

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import (
    DecimalField,
    ExpressionWrapper,
    F,
    IntegerField,
    Model,
    OuterRef,
    QuerySet,
    Subquery,
    Sum,
)
from django.db.models.functions import Coalesce

from exports_app.resources import Column, Resource, Sheet, register
from exportsite.samples import (
    figures,
    test_data,  # noqa: F401 - registers its resource with those below
)
from exportsite.samples.filters import (
    CustomerFilter,
    DailyPnlFilter,
    GoalFilter,
    TagFilter,
    TagPerformanceFilter,
    TradeFilter,
    TransactionFilter,
    sees_all_accounts,
)
from exportsite.samples.models import Account, Customer, EvaluationStatus, Goal, PropEvaluation, Tag, Trade, Transaction

TAGGED = Trade.tags.through._default_manager.all()
"""Links between a trade and a tag."""

User = AbstractBaseUser | AnonymousUser
Owned = TypeVar("Owned", bound=Model)


class Counted(Subquery):
    """How many rows a query has."""

    template = "(SELECT count(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


def of_own_accounts(rows: QuerySet[Owned], user: User, account: str = "account") -> QuerySet[Owned]:
    """What belongs to the user's accounts; all of it for who may see every account. ``account`` is the path to one."""
    if sees_all_accounts(user):
        return rows
    return rows.filter(**{f"{account}__user__isnull": False, f"{account}__user": user.pk})


class OfOwnAccounts(Resource):
    """Rows that belong to accounts. A file is no longer to be had once its owner's accounts are others."""

    def get_rights(self, user: User) -> dict[str, Any]:
        own = [] if sees_all_accounts(user) else Account.objects.filter(user=user.pk).order_by("pk")
        return {"every_account": sees_all_accounts(user), "accounts": [account.pk for account in own]}


@register("transactions")
class TransactionExport(Resource):
    """Card payments and transfers of all accounts, in the order in which they were booked."""

    model = Transaction
    key = ("booked_at", "id")
    filterset_class = TransactionFilter
    permission = "samples.view_transaction"
    max_rows = 500_000
    columns = (
        Column("id", label="ID"),
        Column("booked_at"),
        Column("account__number", label="Account"),
        Column("account__owner", label="Account owner"),
        Column("amount"),
        Column("fee"),
        Column("net", ExpressionWrapper(F("amount") - F("fee"), DecimalField(max_digits=15, decimal_places=2))),
        Column("currency"),
        Column("status"),
        Column("merchant"),
        Column("description"),
        Column("reference"),
        Column("card_number", sensitive="samples.view_card"),
    )


@register("customers")
class CustomerExport(Resource):
    """Everybody who ever signed up, with what they have paid so far."""

    model = Customer
    key = ("id",)
    filterset_class = CustomerFilter
    permission = "samples.view_customer"


@register("trades")
class TradeExport(OfOwnAccounts):
    """The trades of your own accounts, in the order in which they were opened."""

    model = Trade
    key = ("opened_at", "id")
    filterset_class = TradeFilter
    filter_reads = {"tags": ("tags__name",)}
    sheets = (Sheet("tags", via="trades"),)
    permission = "samples.view_trade"
    columns = (
        Column("id", label="ID"),
        Column("opened_at"),
        Column("closed_at"),
        Column("instrument", "instrument__symbol"),
        Column("direction"),
        Column("status"),
        Column("quantity"),
        Column("entry_price"),
        Column("exit_price"),
        Column("fees"),
        Column("pnl", label="P&L"),
        Column("tags", ArraySubquery(Tag.objects.filter(trades=OuterRef("pk")).order_by("name").values("name"))),
        Column("account", "account__number"),
        Column("notes"),
    )

    def get_queryset(self, user: User) -> QuerySet[Any, Any]:
        return of_own_accounts(Trade.objects.all(), user)


@register("goals")
class GoalExport(OfOwnAccounts):
    """Your profit goals for a week, month, quarter or year, and how far you have come."""

    model = Goal
    filterset_class = GoalFilter
    permission = "samples.view_goal"
    columns = (
        Column("id", label="ID"),
        Column("account", "account__number"),
        Column("name"),
        Column("period"),
        Column("status"),
        Column("target"),
        Column("reached"),
        Column("progress", figures.percent(F("reached"), F("target")), label="Progress %"),
        Column("starts_on"),
        Column("ends_on"),
        Column("created_at"),
    )

    def get_queryset(self, user: User) -> QuerySet[Any, Any]:
        trades = Trade.objects.filter(
            account=OuterRef("account"), closed_at__date__range=(OuterRef("starts_on"), OuterRef("ends_on"))
        )
        reached = Subquery(trades.order_by().values("account").annotate(total=Sum("pnl")).values("total"))
        return of_own_accounts(Goal.objects.annotate(reached=Coalesce(reached, figures.NOTHING)), user)


@register("daily_pnl")
class DailyPnlExport(OfOwnAccounts):
    """Profit and loss of your accounts after fees, day by day (UTC), and added up since each one's first trade."""

    key = ("day", "account_id")
    filterset_class = DailyPnlFilter
    permission = "samples.view_trade"
    title = "Daily P&L"
    columns = (
        Column("day"),
        Column("account", "account__number"),
        Column("trades"),
        Column("wins"),
        Column("losses"),
        Column("fees", "day_fees"),
        Column("pnl", "day_pnl", label="P&L"),
        Column("cumulative_pnl", label="Cumulative P&L"),
    )

    def get_queryset(self, user: User) -> QuerySet[Any, Any]:
        return figures.per_day(of_own_accounts(Trade.objects.all(), user))


@register("tag_performance")
class TagPerformanceExport(OfOwnAccounts):
    """Win rate, expectancy and profit factor of your closed trades, tag by tag: which setups and moods pay."""

    key = ("tag_id",)
    filterset_class = TagPerformanceFilter
    permission = "samples.view_trade"
    columns = (
        Column("tag", "tag__name"),
        Column("trades"),
        Column("wins"),
        Column("losses"),
        Column("win_rate", label="Win rate %"),
        Column("expectancy"),
        Column("profit_factor"),
        Column("net_pnl", label="Net P&L"),
    )

    def get_queryset(self, user: User) -> QuerySet[Any, Any]:
        return figures.per_tag(of_own_accounts(TAGGED, user, "trade__account"))


@register("prop_evaluation")
class PropEvaluationExport(OfOwnAccounts):
    """Your active prop firm evaluation: how far to the profit target, what may still be lost, and what to watch."""

    model = PropEvaluation
    permission = "samples.view_propevaluation"
    columns = (
        Column("id", label="ID"),
        Column("account", "account__number"),
        Column("phase"),
        Column("status"),
        Column("starts_on"),
        Column("profit_target"),
        Column("cumulative_profit"),
        Column("progress", label="Progress %"),
        Column("remaining_daily_loss", label="Daily loss left"),
        Column("remaining_total_loss", label="Total loss left"),
        Column("alerts"),
    )

    def get_queryset(self, user: User) -> QuerySet[Any, Any]:
        active = PropEvaluation.objects.filter(status=EvaluationStatus.ACTIVE)
        return figures.with_results(of_own_accounts(active, user), self.moment)


@register("tags")
class TagExport(OfOwnAccounts):
    """The words that trades are tagged with, and how many of your own trades bear each."""

    model = Tag
    key = ("id",)
    filterset_class = TagFilter
    permission = "samples.view_tag"
    columns = (
        Column("id", label="ID"),
        Column("name"),
        Column("colour"),
        Column("usage"),
        Column("created_at"),
        Column("updated_at"),
    )

    def get_queryset(self, user: User) -> QuerySet[Any, Any]:
        own = of_own_accounts(TAGGED.filter(tag=OuterRef("pk")), user, "trade__account")
        return Tag.objects.annotate(usage=Counted(own))
