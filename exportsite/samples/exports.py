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
from django.db.models.functions import Coalesce, Round

from exports_app.resources import Column, Resource, Sheet, register
from exportsite.samples import test_data  # noqa: F401 - registers its resource with those below
from exportsite.samples.filters import CustomerFilter, GoalFilter, TagFilter, TradeFilter, TransactionFilter
from exportsite.samples.models import Customer, Goal, Tag, Trade, Transaction

User = AbstractBaseUser | AnonymousUser
Owned = TypeVar("Owned", bound=Model)


class Counted(Subquery):
    """How many rows a query has."""

    template = "(SELECT count(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


def of_own_accounts(rows: QuerySet[Owned], user: User) -> QuerySet[Owned]:
    """What belongs to the user's accounts; all of it for staff."""
    if getattr(user, "is_staff", False) or getattr(user, "is_superuser", False):
        return rows
    return rows.filter(account__user__isnull=False, account__user=user.pk)


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
class TradeExport(Resource):
    """The trades of your own accounts, in the order in which they were opened."""

    model = Trade
    key = ("opened_at", "id")
    filterset_class = TradeFilter
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
class GoalExport(Resource):
    """What your own accounts were to earn within a week, month, quarter or year, and how far they came."""

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
        Column("progress", Round(F("reached") * 100 / F("target"), 1), label="Progress %"),
        Column("starts_on"),
        Column("ends_on"),
        Column("created_at"),
    )

    def get_queryset(self, user: User) -> QuerySet[Any, Any]:
        trades = Trade.objects.filter(
            account=OuterRef("account"), closed_at__date__range=(OuterRef("starts_on"), OuterRef("ends_on"))
        )
        reached = Subquery(trades.order_by().values("account").annotate(total=Sum("pnl")).values("total"))
        amount = Coalesce(reached, 0, output_field=DecimalField(max_digits=16, decimal_places=2))
        return of_own_accounts(Goal.objects.annotate(reached=amount), user)


@register("tags")
class TagExport(Resource):
    """The words that trades are tagged with, and how many trades bear each."""

    model = Tag
    key = ("id",)
    filterset_class = TagFilter
    permission = "samples.view_tag"
    columns = (
        Column("id", label="ID"),
        Column("name"),
        Column("colour"),
        Column("usage", Counted(Trade.tags.through.objects.filter(tag=OuterRef("pk")))),
        Column("created_at"),
        Column("updated_at"),
    )
