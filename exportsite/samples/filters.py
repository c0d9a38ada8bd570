"""What the samples can be narrowed by. Several values mean any of them; both ends of a range belong to it."""

from __future__ import annotations

import unicodedata
from datetime import date, datetime, time
from typing import Any

import django_filters as df
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.forms.utils import from_current_timezone
from django.utils.dateparse import parse_date
from django_filters.fields import IsoDateTimeField
from django_filters.widgets import CSVWidget

from exports_app.resources.base import has_permission
from exportsite.samples.models import (
    Account,
    Currency,
    Customer,
    Goal,
    GoalPeriod,
    GoalStatus,
    Instrument,
    SubscriptionTier,
    Tag,
    Trade,
    TradeDirection,
    TradeStatus,
    Transaction,
    TransactionStatus,
)

ISO_DATE = ["%Y-%m-%d"]
NOT_COUNTRIES = {"EU", "EZ", "UN", "XA", "XB", "ZZ"}


def countries() -> list[tuple[str, str]]:
    """Code and English name, by name; read when a form is filled, not by each command that starts."""
    from babel import Locale

    names = Locale("en").territories.items()
    found = [each for each in names if len(each[0]) == 2 and each[0].isalpha() and each[0] not in NOT_COUNTRIES]
    return sorted(found, key=lambda each: unicodedata.normalize("NFD", each[1]).encode("ascii", "ignore"))


class MomentField(IsoDateTimeField):
    """A moment in ISO 8601. A date alone is its first moment, or with ``last`` its last one."""

    def __init__(self, *, last: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.last = last

    def to_python(self, value: Any) -> datetime | None:
        day = self._day(value) if isinstance(value, str) else None
        if day is None:
            return super().to_python(value)
        return from_current_timezone(datetime.combine(day, time.max if self.last else time.min))

    def _day(self, value: str) -> date | None:
        try:
            return parse_date(value.strip())
        except ValueError as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from error


class MomentFilter(df.IsoDateTimeFilter):
    field_class = MomentField


class AnyOfFilter(df.MultipleChoiceFilter):
    """One ``IN``, where django-filter has an ``OR`` of the values and a ``DISTINCT`` that sorts the table."""

    def filter(self, qs: QuerySet[Any], value: list[str] | list[Model]) -> QuerySet[Any]:
        return qs.filter(**{f"{self.field_name}__in": value}) if value else qs


class AnyRowFilter(df.ModelMultipleChoiceFilter, AnyOfFilter):
    """Any of a table's rows, few enough to offer them all."""


class AnyNameFilter(AnyRowFilter):
    """Any of some names, or ids, in a table too large to offer them all: they are typed, and looked up."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, widget=CSVWidget, **kwargs)


def sees_all_accounts(user: Any) -> bool:
    """Whether trades and goals of every account are theirs to see, not those of their own alone."""
    return has_permission(user, "samples.view_every_account")


def accounts(request: Any) -> QuerySet[Account]:
    """Those whose trades the user sees."""
    user = request.user
    every = Account.objects.order_by("number")
    return every if sees_all_accounts(user) else every.filter(user__isnull=False, user=user.pk)


class TransactionFilter(df.FilterSet):
    status = AnyOfFilter(choices=TransactionStatus.choices)
    currency = AnyOfFilter(choices=Currency.choices)
    account = AnyNameFilter(
        queryset=Account.objects.order_by("number"), to_field_name="number", label="Account numbers"
    )
    booked_at_after = MomentFilter("booked_at", "gte", label="Booked from")
    booked_at_before = MomentFilter("booked_at", "lte", last=True, label="Booked until")
    amount_min = df.NumberFilter("amount", "gte", label="Amount from")
    amount_max = df.NumberFilter("amount", "lte", label="Amount to")

    class Meta:
        model = Transaction
        fields: list[str] = []


class CustomerFilter(df.FilterSet):
    country_code = AnyOfFilter(choices=countries, label="Country")
    subscription_tier = AnyOfFilter(choices=SubscriptionTier.choices)
    lifetime_value_min = df.NumberFilter("lifetime_value", "gte", label="Lifetime value from")
    lifetime_value_max = df.NumberFilter("lifetime_value", "lte", label="Lifetime value to")
    signup_date_after = df.DateFilter("signup_date", "gte", label="Signed up from", input_formats=ISO_DATE)
    signup_date_before = df.DateFilter("signup_date", "lte", label="Signed up until", input_formats=ISO_DATE)

    class Meta:
        model = Customer
        fields: list[str] = []


class TradeFilter(df.FilterSet):
    opened_at_after = MomentFilter("opened_at", "gte", label="Opened from")
    opened_at_before = MomentFilter("opened_at", "lte", last=True, label="Opened until")
    tags = AnyNameFilter(queryset=Tag.objects.order_by("name"), to_field_name="name", method="tagged", label="Tags")
    instrument = AnyRowFilter(queryset=Instrument.objects.order_by("symbol"), to_field_name="symbol")
    status = AnyOfFilter(choices=TradeStatus.choices)
    direction = AnyOfFilter(choices=TradeDirection.choices)

    class Meta:
        model = Trade
        fields: list[str] = []

    def tagged(self, rows: QuerySet[Trade], name: str, tags: list[Tag]) -> QuerySet[Trade]:
        if not tags:
            return rows
        # The ids, so that the planner knows how common they are and which index to take.
        links = Trade.tags.through.objects.filter(tag__in=[tag.pk for tag in tags])
        return rows.filter(pk__in=links.values("trade_id"))


class DailyPnlFilter(df.FilterSet):
    day_after = df.DateFilter("day", "gte", label="Day from", input_formats=ISO_DATE)
    day_before = df.DateFilter("day", "lte", label="Day until", input_formats=ISO_DATE)
    account = AnyNameFilter(queryset=accounts, to_field_name="number", label="Account numbers")

    class Meta:
        model = Trade
        fields: list[str] = []


class TagPerformanceFilter(df.FilterSet):
    """Which trades count, before they are summed up."""

    opened_at_after = MomentFilter("trade__opened_at", "gte", label="Opened from")
    opened_at_before = MomentFilter("trade__opened_at", "lte", last=True, label="Opened until")

    class Meta:
        model = Trade.tags.through
        fields: list[str] = []


class GoalFilter(df.FilterSet):
    status = AnyOfFilter(choices=GoalStatus.choices)
    period = AnyOfFilter(choices=GoalPeriod.choices)

    class Meta:
        model = Goal
        fields: list[str] = []


class TagFilter(df.FilterSet):
    created_at_after = MomentFilter("created_at", "gte", label="Created from")
    created_at_before = MomentFilter("created_at", "lte", last=True, label="Created until")

    class Meta:
        model = Tag
        fields: list[str] = []
