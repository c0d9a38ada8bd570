"""What trades come to: the figures of a trading journal, computed by PostgreSQL.

A trade counts once it is closed, on the day of its close in UTC, with its P&L after fees. One that made exactly
nothing is neither won nor lost.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db.models import (
    Avg,
    Case,
    CharField,
    Count,
    DecimalField,
    F,
    Func,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
    Window,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Greatest, NullIf, Round, TruncDate

from exportsite.samples.models import Trade, TradeStatus

Rows = QuerySet[Any, Any]
"""What ``annotate`` and ``values`` make of a model's rows."""

NOTHING = Value(Decimal("0.00"))
HUNDRED = Value(Decimal("100.0"))  # not 100: PostgreSQL drops what is behind the point where whole numbers are divided
NEARLY = Value(Decimal("0.2"))
"""A limit of which no more than this share is left is nearly used."""


class Running(Func):
    """A sum of sums, row by row: Django's own ``Sum`` takes no aggregate."""

    function = "SUM"
    window_compatible = True


def with_two_places(expression: Combinable) -> Round:
    """Rounded to the cent."""
    return Round(expression, 2, output_field=DecimalField(decimal_places=2))


def percent(part: Combinable, whole: Combinable) -> Round:
    """With one decimal place; NULL where the whole is 0."""
    ratio = part * HUNDRED / NullIf(whole, 0, output_field=DecimalField())
    return Round(ratio, 1, output_field=DecimalField(decimal_places=1))


def day_of_close() -> TruncDate:
    """In UTC, whatever time zone is in use."""
    return TruncDate("closed_at", tzinfo=UTC)


def per_day(trades: Rows) -> Rows:
    """One row for each day and account with closed trades; ``cumulative_pnl`` since the account's first one."""
    closed = trades.filter(status=TradeStatus.CLOSED).annotate(day=day_of_close())
    days = closed.values("day", "account_id").annotate(
        trades=Count("pk"),
        wins=Count("pk", filter=Q(pnl__gt=0)),
        losses=Count("pk", filter=Q(pnl__lt=0)),
        day_fees=Sum("fees"),
        day_pnl=Sum("pnl"),
    )
    running = Window(Running(Sum("pnl")), partition_by="account_id", order_by="day")
    summed: Rows = days.annotate(cumulative_pnl=running)
    return summed


def per_tag(links: Rows) -> Rows:
    """One row for each tag of closed trades; a trade counts with each of its tags.

    ``expectancy`` is the mean P&L of a trade. ``profit_factor`` is all profits over all losses: NULL without a loss.
    """
    won, lost = Q(trade__pnl__gt=0), Q(trade__pnl__lt=0)
    profits = Coalesce(Sum("trade__pnl", filter=won), NOTHING)
    closed = links.filter(trade__status=TradeStatus.CLOSED)
    tags: Rows = closed.values("tag_id").annotate(
        trades=Count("pk"),
        wins=Count("pk", filter=won),
        losses=Count("pk", filter=lost),
        win_rate=percent(Count("pk", filter=won), Count("pk")),
        expectancy=with_two_places(Avg("trade__pnl")),
        profit_factor=with_two_places(profits / -Sum("trade__pnl", filter=lost)),
        net_pnl=Sum("trade__pnl"),
    )
    return tags


def with_results(evaluations: Rows, moment: datetime) -> Rows:
    """Evaluations with what their account has made since their first day, and what it may still lose.

    The limits are fixed: profits add to what may be lost, of the day's limit those of the day.
    """
    trades = _since_start(moment)
    running = trades.annotate(running=Window(Sum("pnl"), order_by=["closed_at", "id"])).order_by("running")
    today = trades.filter(day=moment.astimezone(UTC).date())
    results = evaluations.annotate(
        cumulative_profit=_total(trades),
        today_pnl=_total(today),
        worst_day=Subquery(trades.values("day").annotate(total=Sum("pnl")).order_by("total").values("total")[:1]),
        lowest=Subquery(running.values("running")[:1]),
    )
    left = results.annotate(
        progress=percent(F("cumulative_profit"), F("profit_target")),
        remaining_daily_loss=Greatest(F("max_daily_loss") + F("today_pnl"), NOTHING),
        remaining_total_loss=Greatest(F("max_total_loss") + F("cumulative_profit"), NOTHING),
    )
    told: Rows = left.annotate(alerts=_alerts())
    return told


def _since_start(moment: datetime) -> Rows:
    """The closed trades of an evaluation, each with its ``day``."""
    trades: Rows = Trade.objects.annotate(day=day_of_close())
    return trades.filter(
        account=OuterRef("account"), status=TradeStatus.CLOSED, day__gte=OuterRef("starts_on"), closed_at__lte=moment
    )


def _total(trades: Rows) -> Coalesce:
    return Coalesce(Subquery(trades.values("account").annotate(total=Sum("pnl")).values("total")), NOTHING)


def _alerts() -> NullIf:
    """What the trader must know, separated by semicolons; NULL where all is well."""
    total = Case(
        When(lowest__lte=-F("max_total_loss"), then=Value("Total loss limit breached")),
        When(remaining_total_loss__lte=F("max_total_loss") * NEARLY, then=Value("Total loss limit nearly used")),
    )
    daily = Case(
        When(worst_day__lte=-F("max_daily_loss"), then=Value("Daily loss limit breached")),
        When(remaining_daily_loss__lte=F("max_daily_loss") * NEARLY, then=Value("Daily loss limit nearly used")),
    )
    target = Case(
        When(profit_target__gt=0, cumulative_profit__gte=F("profit_target"), then=Value("Profit target reached"))
    )
    # concat_ws leaves out what is NULL
    texts = Func(Value("; "), total, daily, target, function="concat_ws", output_field=CharField())
    return NullIf(texts, Value(""))
