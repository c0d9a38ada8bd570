from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.contrib.auth import get_permission_codename
from django.contrib.auth.models import Permission, User
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from exports_app import api_keys, keys
from exportsite.samples import loading

READERS = ("demo", "bob")
OPERATOR = "admin"
TOKEN_NAME = "demo_users"  # noqa: S105 - the name of a token


class Command(BaseCommand):
    help = (
        "Make the users of the samples, each with its name as password: demo and bob see all samples but no "
        "sensitive column, admin is a superuser. Only for machines that are not public."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--tokens",
            action="store_true",
            help="Print a new API token of each as JSON; those printed before end.",
        )

    @transaction.atomic
    def handle(self, *args: Any, tokens: bool, **options: Any) -> None:
        users = [_user(name) for name in READERS]
        for user in users:
            user.user_permissions.add(*_view_permissions())
        users.append(_user(OPERATOR, is_staff=True, is_superuser=True))
        loading.share_accounts()
        if tokens:
            self.stdout.write(json.dumps({user.username: _new_token(user) for user in users}))


def _user(name: str, **rights: bool) -> User:
    user, is_new = User.objects.get_or_create(username=name, defaults={"email": f"{name}@example.com", **rights})
    if is_new:
        user.set_password(name)
        user.save(update_fields=["password"])
    return user


def _view_permissions() -> Iterable[Permission]:
    """To view each model; columns that need a permission of their own stay closed."""
    models = apps.get_app_config("samples").get_models()
    return Permission.objects.filter(
        content_type__app_label="samples",
        codename__in=[get_permission_codename("view", model._meta) for model in models],
    )


def _new_token(user: User) -> str:
    for before in api_keys.living(user).filter(name=TOKEN_NAME):
        api_keys.revoke(user, before.pk)
    return api_keys.create(user, name=TOKEN_NAME, scopes=keys.SCOPES)[1]
