"""The engine as a Django app."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import models
from django.utils.module_loading import autodiscover_modules


class ExportsConfig(AppConfig):
    """Finds the ``exports.py`` of every installed app."""

    name = "exports_app"
    verbose_name = "Exports"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.contrib.auth import get_user_model
        from django.contrib.auth.signals import user_logged_in

        from exports_app import checks, database_checks, passwords, proof  # noqa: F401 - register the system checks

        autodiscover_modules("exports")
        models.signals.post_delete.connect(_remove_files, sender=get_user_model())
        models.signals.pre_save.connect(passwords.keep_through_rehash, sender=get_user_model())
        user_logged_in.connect(proof.note_sign_in)


def _remove_files(**_: Any) -> None:
    """Of the user's exports, which go by the cascade; nobody listens to each of them, so that it needs no memory."""
    from exports_app import erasure, handover

    handover.part_persons()  # no name is left in an entry that the release before wrote
    erasure.remove_files()
