from __future__ import annotations

from django.apps import AppConfig


class SamplesConfig(AppConfig):
    name = "exportsite.samples"
    label = "samples"
    verbose_name = "Sample data"
    default_auto_field = "django.db.models.BigAutoField"
