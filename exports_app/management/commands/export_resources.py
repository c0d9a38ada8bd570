"""``manage.py export_resources``: what can be exported here."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.core.management.base import BaseCommand

from exports_app.resources import faults, registry
from exports_app.resources.base import Resource
from exports_app.resources.filters import filter_names


class Command(BaseCommand):
    help = "List the resources of this site with their columns, filters and permissions."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        for declared in registry.every():
            described = faults.working([declared], _lines, asks_database=True)
            self.stdout.write(self.style.MIGRATE_HEADING(declared.name))
            for name, value in next(described, {"broken": "its declaration raises; manage.py check says more"}).items():
                self.stdout.write(f"  {name:<11}{value}")
        self.stdout.write("* needs a permission of its own")


def _lines(resource: Resource) -> dict[str, str]:
    columns = [column.name + ("*" if column.sensitive else "") for column in resource.get_columns()]
    return {
        "columns": ", ".join(columns),
        "filters": ", ".join(filter_names(resource, AnonymousUser())) or "none",
        "key": ", ".join(resource.key),
        "permission": resource.permission or "signed in",
        "most rows": f"{resource.max_rows:,}" if resource.max_rows else "no limit",
    }
