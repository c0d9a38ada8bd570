"""A workbook of two tables, each with a permission of its own and a column that needs a further one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from rest_framework.test import APIClient

from exports_app import services
from exports_app.models import ExportJob
from exports_app.resources import Column, Resource, Sheet, register, registry
from tests.jobs import finish

MAIN, MAIN_COLUMN = "auth.view_group", "auth.change_group"
SHEET, SHEET_COLUMN = "auth.view_permission", "auth.change_permission"
RIGHTS = (MAIN, MAIN_COLUMN, SHEET, SHEET_COLUMN)


@pytest.fixture(autouse=True)
def no_files() -> Iterator[None]:
    """What a test leaves in the storage goes with it."""
    yield
    for job in ExportJob.objects.exclude(file_key=""):
        services.discard_file(job)


@pytest.fixture
def workbooks() -> Iterator[None]:
    """The two tables, declared, with a row each."""

    @register("groups")
    class Groups(Resource):
        model = Group
        permission = MAIN
        columns = ("id", Column("name", sensitive=MAIN_COLUMN))
        sheets = (Sheet("abilities", via="group"),)

    @register("abilities")
    class Abilities(Resource):
        model = Permission
        permission = SHEET
        columns = ("id", Column("codename", sensitive=SHEET_COLUMN))

    Group.objects.create(name="Readers").permissions.set(Permission.objects.filter(codename="view_tag"))
    yield
    registry.unregister("groups")
    registry.unregister("abilities")


def grant(user: User, *permissions: str) -> User:
    """The user as the next request finds them, with exactly these permissions."""
    codenames = [each.partition(".")[2] for each in permissions]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return User.objects.get(pk=user.pk)


@pytest.fixture
def job(db: None, alice: User, bob: User, workbooks: None) -> ExportJob:
    """A finished workbook of Alice's, shared with Bob; both may read all of it."""
    grant(bob, *RIGHTS)
    made = finish(grant(alice, *RIGHTS), resource="groups", format="xlsx")
    made.shared_with.add(bob)
    return made


@pytest.fixture
def as_user() -> Callable[[User], APIClient]:
    """The API as this user uses it."""

    def client(user: User) -> APIClient:
        made = APIClient()
        made.force_authenticate(User.objects.get(pk=user.pk))
        return made

    return client


def answer(response: Any) -> tuple[int, str]:
    """Status and code."""
    return response.status_code, response.json().get("code", "") if response.content else ""
