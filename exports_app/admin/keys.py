"""API keys, to revoke."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Model
from django.http import HttpRequest

from exports_app import keys
from exports_app.admin.readonly import Unchangeable
from exports_app.models import ApiKey

if TYPE_CHECKING:  # Django's classes are generic in the stubs alone
    KeyAdmin = admin.ModelAdmin[ApiKey]
else:
    KeyAdmin = admin.ModelAdmin


@admin.register(ApiKey)
class ApiKeyAdmin(Unchangeable, KeyAdmin):
    """Keys can be revoked here; they are made where they can be shown once."""

    list_display = (
        "prefix",
        "name",
        "user",
        "may",
        "data",
        "created_at",
        "expires_at",
        "last_used_at",
        "last_used_from",
        "id",
    )
    list_display_links = None
    list_filter = ("created_at", "expires_at", "last_used_at")
    list_select_related = ("user",)
    search_help_text = "Name of a key or of its user"

    @admin.display(description="Scopes")
    def may(self, key: ApiKey) -> str:
        return keys.in_words(key.scopes)

    @admin.display(description="Data")
    def data(self, key: ApiKey) -> str:
        return ", ".join(key.resources) or "All"

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return ("name", f"user__{get_user_model().USERNAME_FIELD}")

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Revoking is deleting, under its own name."""
        actions: dict[str, Any] = super().get_actions(request)
        if delete := actions.get("delete_selected"):
            actions["delete_selected"] = (*delete[:2], "Revoke selected API keys")
        return actions

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """The list, but no page of one key: that would show its digest."""
        return obj is None and super().has_view_permission(request)
