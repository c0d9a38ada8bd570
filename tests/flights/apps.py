"""The guest as Django installs it: ``EXPORTSITE_EXTRA_APPS=tests.flights``."""

from __future__ import annotations

from django.apps import AppConfig


class FlightsConfig(AppConfig):
    name = "tests.flights"
    label = "flights"
    default_auto_field = "django.db.models.BigAutoField"
