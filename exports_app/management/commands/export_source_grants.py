"""``manage.py export_source_grants``: have the role that rows are read by read what resources export, and no more."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, Error
from psycopg import conninfo

from exports_app import connections
from exports_app.management import source_grants


class Command(BaseCommand):
    help = (
        "Print the GRANTs by which a role reads exactly the tables and columns that the resources of this site export, "
        "and with --apply execute them as the owner of the tables; what the role could read besides is taken away."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--role", default="", help="Default: the user of EXPORTS_SOURCE_DATABASE_URL.")
        parser.add_argument(
            "--database", default=DEFAULT_DB_ALIAS, help="Alias of the database that the tables are in."
        )
        parser.add_argument(
            "--user", action="append", default=[], help="Also what get_queryset has for this user; may be repeated."
        )
        parser.add_argument("--apply", action="store_true", help="Execute them, all or none.")

    def handle(self, *args: Any, role: str, database: str, user: list[str], apply: bool, **options: Any) -> None:
        role = role or str(conninfo.conninfo_to_dict(connections.source_url(database)).get("user", ""))
        if not role:
            raise CommandError("Name the role: --role, or a user in EXPORTS_SOURCE_DATABASE_URL.")
        connections.require_postgresql(database)
        columns, doubts = source_grants.needed(database, [*source_grants.anybody(), *_named(user)])
        for doubt in doubts:
            self.stderr.write(self.style.WARNING(doubt))
        made = source_grants.statements(database, role, columns)
        self.stdout.write("".join(f"{each};\n" for each in made), ending="")
        if apply:
            _apply(database, role, made)


def _apply(database: str, role: str, made: list[str]) -> None:
    if not source_grants.role_exists(database, role):
        raise CommandError(f"There is no role {role}.")
    try:
        source_grants.apply(database, made)
    except Error as error:
        raise CommandError(f"Nothing was changed: {error}") from error


def _named(names: list[str]) -> list[Any]:
    model = get_user_model()
    found = [model._default_manager.filter(**{model.USERNAME_FIELD: name}).first() for name in names]
    if None in found:
        raise CommandError(f"There is no user {names[found.index(None)]}.")
    return found
