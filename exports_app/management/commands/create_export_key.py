"""``manage.py create_export_key USER --scope … --days …``: a key for a service account, shown once."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from exports_app import api_keys, errors, keys


class Command(BaseCommand):
    help = "Make an API key and print it, once: nothing but its digest is kept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="As they sign in. The key may at most what they may.")
        parser.add_argument(
            "--scope", action="append", required=True, help=f"{keys.in_words(keys.SCOPES)}; may be given often"
        )
        parser.add_argument(
            "--resource", action="append", default=[], help="the only data that it is for; may be given often"
        )
        parser.add_argument("--days", type=int, help=f"that it lives (default: {api_keys.usual_days()})")
        parser.add_argument("--name", default="create_export_key", help="to know it by in the user's list")

    def handle(self, *args: Any, user: str, **options: Any) -> None:
        model = get_user_model()
        found = model._default_manager.filter(**{model.USERNAME_FIELD: user}).first()
        if found is None:
            raise CommandError(f"There is no user {user}.")
        try:
            key, secret = api_keys.create(
                found,
                name=options["name"],
                scopes=options["scope"],
                resources=options["resource"],
                days=options["days"],
            )
        except errors.ExportError as error:
            raise CommandError(errors.first_sentence(error)) from error
        self.stderr.write(f"{user} has the key {key.pk}; it ends {key.expires_at:%Y-%m-%d}. It is not shown again:")
        self.stdout.write(secret)
