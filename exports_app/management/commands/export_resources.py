"""``manage.py export_resources``: what can be exported here."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.core.management.base import BaseCommand

from exports_app.resources import registry
from exports_app.resources.filters import filter_names


class Command(BaseCommand):
    help = "List the resources of this site with their columns, filters and permissions."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        for declared in registry.every():
            resource = declared()
            self.stdout.write(self.style.MIGRATE_HEADING(resource.name))
            columns = [column.name + ("*" if column.sensitive else "") for column in resource.get_columns()]
            self._line("columns", ", ".join(columns))
            self._line("filters", ", ".join(filter_names(resource, AnonymousUser())) or "none")
            self._line("key", ", ".join(resource.key))
            self._line("permission", resource.permission or "signed in")
            self._line("most rows", f"{resource.max_rows:,}" if resource.max_rows else "no limit")
        self.stdout.write("* needs a permission of its own")

    def _line(self, name: str, value: str) -> None:
        self.stdout.write(f"  {name:<11}{value}")
