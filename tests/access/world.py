"""An export that was really made, and everybody who has, had or never had anything to do with it.

Who lost a right lost it once the file was there, and a link that they had made was out. An owner who lost something
owns an export of their own; everybody else comes to that of ``owner``, unless they are said to have another's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookies import SimpleCookie
from importlib import import_module
from typing import Any, TypeAlias

from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.utils import timezone

from exports_app import downloads, erasure, errors, services, sharing
from exports_app.models import ApiKey, ExportJob, ExportPreset
from exports_app.resources import Column, Resource, Sheet, register, registry
from tests.api_keys.making import make_key
from tests.conftest import make_user
from tests.jobs import finish

MAIN, MAIN_COLUMN = "auth.view_group", "auth.change_group"
SHEET, SHEET_COLUMN = "auth.view_permission", "auth.change_permission"
DATA = (MAIN, MAIN_COLUMN, SHEET, SHEET_COLUMN)
VIEW, CHANGE, OPEN = "view_exportjob", "change_exportjob", "download_others"
TRACE, UNLIMITED = "view_error_trace", "unlimited"
FORMATS = ("csv", "xlsx")
"""Of one table, and of two."""
TRACEBACK = "Traceback of row 4711"
OPERATORS: Any = import_module("exportsite.migrations.0001_export_operators")


@contextmanager
def declared() -> Iterator[None]:
    """Two tables, each with a permission of its own and a column that needs a further one."""

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

    try:
        yield
    finally:
        registry.unregister("groups")
        registry.unregister("abilities")


@dataclass
class Visit:
    """What somebody's requests are about: an export, a preset of the same request, a link that they made in time."""

    job: ExportJob
    preset: ExportPreset
    link: str = ""
    """Its token; empty: they never could make one."""


@dataclass
class Person:
    """Somebody, as their requests come."""

    visits: dict[str, Visit]
    """By format."""
    cookies: SimpleCookie = field(default_factory=SimpleCookie)
    headers: dict[str, str] | None = None


@dataclass
class Owned:
    """What an owner has, by format."""

    user: User
    jobs: dict[str, ExportJob]
    presets: dict[str, ExportPreset]

    def visits(self, link_to: Callable[[ExportJob], str]) -> dict[str, Visit]:
        return {each: Visit(job, self.presets[each], link_to(job)) for each, job in self.jobs.items()}


class World:
    """What everybody of ``CAST`` comes to, if they have nothing of their own."""

    def __init__(self) -> None:
        Group.objects.create(name="Readers").permissions.set(Permission.objects.filter(codename="view_tag"))
        OPERATORS.make_group(apps, None)
        self.first = self.owned("owner")

    def owned(self, name: str) -> Owned:
        """An owner with all rights, their exports, and presets of the same requests."""
        user = person(name, DATA)
        jobs = {each: finish(user, resource="groups", format=each) for each in FORMATS}
        ExportJob.objects.filter(owner=user).update(error_trace=TRACEBACK)
        presets = {
            each: ExportPreset.objects.create(
                owner=user, name=each, resource="groups", format=each, columns=["id", "name"]
            )
            for each in FORMATS
        }
        return Owned(user, jobs, presets)


Loss: TypeAlias = Callable[[User], object]
Made: TypeAlias = Callable[[World, str], Person]


def nothing(user: User) -> None:
    """They have what they had."""


def without(permission: str) -> Loss:
    codename = permission.rpartition(".")[2]
    return lambda user: user.user_permissions.remove(Permission.objects.get(codename=codename))


def switched_off(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def no_staff(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_staff=False)


def no_member(user: User) -> None:
    user.groups.clear()


def another_password(user: User) -> None:
    user.set_password("another")
    user.save()


def expired(user: User) -> None:
    """Their newest key is."""
    newest = ApiKey.objects.filter(user=user).latest("created_at")
    ApiKey.objects.filter(pk=newest.pk).update(expires_at=timezone.now() - timedelta(minutes=1))


def revoked(user: User) -> None:
    ApiKey.objects.filter(user=user).latest("created_at").delete()


HURTS_NO_OTHER = (nothing, expired, revoked)
"""Losses of somebody whose exports others come to as well."""


def left(user: User) -> None:
    for job in user.shared_export_jobs.all():
        sharing.leave_export(user, job.pk)
    for preset in user.shared_export_presets.all():
        sharing.leave_preset(user, preset.pk)


def unshared(user: User) -> None:
    for job in user.shared_export_jobs.all():
        services.unshare_export(job, user.username, by=job.owner)
    user.shared_export_presets.clear()


# How they come to be


def owner(loss: Loss = nothing) -> Made:
    """Who asked for the export."""

    def make(world: World, name: str) -> Person:
        has = world.first if loss in HURTS_NO_OTHER else world.owned(name)
        return signed_in(has.user, has, loss)

    return make


def key(*scopes: str, of: Collection[str] = (), loss: Loss = nothing) -> Made:
    """A program of the owner's; without scopes it has all."""

    def make(world: World, name: str) -> Person:
        has = world.first if loss in HURTS_NO_OTHER else world.owned(name)
        headers = {"Authorization": f"Bearer {make_key(has.user, *scopes, resources=of)}"}

        def link_to(job: ExportJob) -> str:
            given = Client().post(f"/api/v1/exports/{job.pk}/token/", headers=headers).json()
            return str(given.get("token", ""))

        made = Person(has.visits(link_to), headers=headers)
        loss(has.user)
        return made

    return make


def receiver(loss: Loss = nothing, owners: Loss = nothing) -> Made:
    """Whom the owner shared it with; ``owners``: what the owner lost."""

    def make(world: World, name: str) -> Person:
        has = world.first if owners is nothing else world.owned(f"owner of {name}")
        user = person(name, DATA)
        user.shared_export_jobs.set(has.jobs.values())
        user.shared_export_presets.set(has.presets.values())
        made = signed_in(user, has, loss)
        owners(has.user)
        return made

    return make


def another(
    *permissions: str, is_staff: bool = False, is_superuser: bool = False, group: str = "", loss: Loss = nothing
) -> Made:
    """Who has nothing to do with it, but these permissions."""

    def make(world: World, name: str) -> Person:
        user = person(name, permissions, is_staff=is_staff, is_superuser=is_superuser)
        user.groups.set(Group.objects.filter(name=group))
        return signed_in(user, world.first, loss)

    return make


def nobody(world: World, name: str) -> Person:
    """Who has not signed in, but was given a link by the owner."""
    return Person(world.first.visits(link_by(world.first.user)))


def signed_in(user: User, has: Owned, loss: Loss) -> Person:
    """In a browser."""
    client = Client()
    client.force_login(user)
    made = Person(has.visits(link_by(user)), cookies=client.cookies)
    loss(user)
    return made


def link_by(user: User) -> Callable[[ExportJob], str]:
    """Links by this user, where they may."""

    def link_to(job: ExportJob) -> str:
        try:
            return downloads.make_token(job, User.objects.get(pk=user.pk)).token
        except errors.ExportError:
            return ""

    return link_to


def person(name: str, permissions: Collection[str], **values: Any) -> User:
    return make_user(name, permissions=tuple(each.rpartition(".")[2] for each in permissions), **values)


CAST: dict[str, Made] = {
    "owner": owner(),
    "owner without main": owner(without(MAIN)),
    "owner without main column": owner(without(MAIN_COLUMN)),
    "owner without sheet": owner(without(SHEET)),
    "owner without sheet column": owner(without(SHEET_COLUMN)),
    "owner switched off": owner(switched_off),
    "owner deleted": owner(erasure.erase_user),
    "key: read": key("read"),
    "key: export": key("export"),
    "key: manage": key("manage"),
    "key: read, export": key("read", "export"),
    "key: read, manage": key("read", "manage"),
    "key: export, manage": key("export", "manage"),
    "key: all": key(),
    "key of main alone": key(of=["groups"]),
    "key of main and sheet": key(of=["groups", "abilities"]),
    "key of other data": key(of=["test_data"]),
    "key expired": key(loss=expired),
    "key revoked": key(loss=revoked),
    "key, new password": key(loss=another_password),
    "key, user without main": key(loss=without(MAIN)),
    "key, user without sheet": key(loss=without(SHEET)),
    "key, user switched off": key(loss=switched_off),
    "key, user deleted": key(loss=erasure.erase_user),
    "receiver": receiver(),
    "receiver without main": receiver(without(MAIN)),
    "receiver without main column": receiver(without(MAIN_COLUMN)),
    "receiver without sheet": receiver(without(SHEET)),
    "receiver without sheet column": receiver(without(SHEET_COLUMN)),
    "receiver switched off": receiver(switched_off),
    "receiver, owner lacks main": receiver(owners=without(MAIN)),
    "receiver, owner lacks sheet": receiver(owners=without(SHEET)),
    "receiver, owner lacks column": receiver(owners=without(SHEET_COLUMN)),
    "receiver, owner off": receiver(owners=switched_off),
    "receiver, owner deleted": receiver(owners=erasure.erase_user),
    "ex-receiver, unshared": receiver(unshared),
    "ex-receiver, left": receiver(left),
    "stranger": another(*DATA),
    "nobody": nobody,
    "staff": another(is_staff=True),
    "ex-staff": another(VIEW, CHANGE, is_staff=True, loss=no_staff),
    "view": another(VIEW, is_staff=True),
    "change": another(CHANGE, is_staff=True),
    "download": another(OPEN, *DATA, is_staff=True),
    "trace": another(TRACE, is_staff=True),
    "unlimited": another(UNLIMITED, is_staff=True),
    "view, change": another(VIEW, CHANGE, is_staff=True),
    "view, download": another(VIEW, OPEN, is_staff=True),
    "view, trace": another(VIEW, TRACE, is_staff=True),
    "view, download, data": another(VIEW, OPEN, *DATA, is_staff=True),
    "view, download, main": another(VIEW, OPEN, MAIN, MAIN_COLUMN, is_staff=True),
    "download taken away": another(VIEW, OPEN, *DATA, is_staff=True, loss=without(OPEN)),
    "view taken away": another(VIEW, OPEN, *DATA, is_staff=True, loss=without(VIEW)),
    "member": another(is_staff=True, group=OPERATORS.GROUP),
    "ex-member": another(is_staff=True, group=OPERATORS.GROUP, loss=no_member),
    "superuser": another(is_staff=True, is_superuser=True),
}
"""Everybody, by what they have or had. Operators are staff, so that the doors of the admin say what permissions do."""
