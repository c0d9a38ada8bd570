"""Webhooks, to see which of them work; their secrets and the rest of their addresses are their owners'."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from exports_app import webhooks
from exports_app.admin.readonly import Unchangeable
from exports_app.models import ExportWebhook

if TYPE_CHECKING:  # Django's classes are generic in the stubs alone
    WebhookAdmin = admin.ModelAdmin[ExportWebhook]
else:
    WebhookAdmin = admin.ModelAdmin


@admin.register(ExportWebhook)
class ExportWebhookAdmin(Unchangeable, WebhookAdmin):
    list_display = ("created_at", "owner", "host", "active", "failures", "note", "former_signs_until")
    list_display_links = None
    list_filter = ("active", "created_at")
    list_select_related = ("owner",)
    show_full_result_count = False

    @admin.display(description="Host")
    def host(self, webhook: ExportWebhook) -> str:
        """Without path and query, which may hold a secret of the other side's."""
        return urlsplit(webhook.url).hostname or ""

    @admin.display(description="Former secret signs until")
    def former_signs_until(self, webhook: ExportWebhook) -> datetime | None:
        return webhooks.former_until(webhook)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """The list, but no page of one webhook: that would show its address and secrets."""
        return obj is None and super().has_view_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Not by themselves; but with their user, where that page asks."""
        match = request.resolver_match
        return match is not None and not str(match.url_name).startswith(self.opts.app_label)
