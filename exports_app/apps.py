"""The engine as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class ExportsConfig(AppConfig):
    """Finds the ``exports.py`` of every installed app."""

    name = "exports_app"
    verbose_name = "Exports"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from exports_app import checks, database_checks  # noqa: F401 - register the system checks

        autodiscover_modules("exports")
