"""The samples to look at. They are made by ``load_samples``, so nothing can be changed here."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from exportsite.samples.models import (
    Account,
    Customer,
    Goal,
    Instrument,
    PropEvaluation,
    Tag,
    Trade,
    Transaction,
)


class SampleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs alone
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Account)
class AccountAdmin(SampleAdmin):
    list_display = ["number", "owner", "user"]
    list_select_related = ["user"]
    search_fields = ["number__startswith", "owner"]


@admin.register(Customer)
class CustomerAdmin(SampleAdmin):
    list_display = ["id", "name", "email", "signup_date", "country_code", "subscription_tier", "lifetime_value"]
    list_filter = ["subscription_tier"]
    ordering = ["id"]


@admin.register(Transaction)
class TransactionAdmin(SampleAdmin):
    list_display = ["id", "booked_at", "account", "amount", "currency", "status", "merchant"]
    list_filter = ["status", "currency"]
    list_select_related = ["account"]
    ordering = ["-booked_at", "-id"]

    def get_exclude(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [] if request.user.has_perm("samples.view_card") else ["card_number"]


@admin.register(Trade)
class TradeAdmin(SampleAdmin):
    list_display = ["id", "opened_at", "account", "instrument", "direction", "status", "quantity", "pnl"]
    list_filter = ["status", "direction", "instrument"]
    list_select_related = ["account", "instrument"]
    ordering = ["-opened_at", "-id"]


@admin.register(Goal)
class GoalAdmin(SampleAdmin):
    list_display = ["name", "account", "period", "status", "target", "starts_on", "ends_on"]
    list_filter = ["status", "period"]
    list_select_related = ["account"]


@admin.register(PropEvaluation)
class PropEvaluationAdmin(SampleAdmin):
    list_display = ["account", "phase", "status", "profit_target", "starts_on", "ends_on"]
    list_select_related = ["account"]


@admin.register(Tag)
class TagAdmin(SampleAdmin):
    list_display = ["id", "name", "colour", "created_at", "updated_at"]
    ordering = ["id"]


@admin.register(Instrument)
class InstrumentAdmin(SampleAdmin):
    list_display = ["symbol", "name", "asset_class"]
