"""``manage.py erase_user NAME``: a person leaves, and nothing of theirs stays."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import ProtectedError, RestrictedError

from exports_app import erasure


class Command(BaseCommand):
    help = (
        "Delete a user with their exports, files, links, keys, presets and webhooks. In the histories of others' "
        "exports they are a former user from then on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="As they sign in.")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        model = get_user_model()
        user = model._default_manager.filter(**{model.USERNAME_FIELD: name}).first()
        if user is None:
            raise CommandError(f"There is no user {name}.")
        try:
            exports = erasure.erase_user(user)
        except (ProtectedError, RestrictedError) as error:
            raise CommandError(f"{name} cannot be deleted: {error.args[0]}") from error
        self.stdout.write(f"Erased {name} and {exports} {'export' if exports == 1 else 'exports'}.")
