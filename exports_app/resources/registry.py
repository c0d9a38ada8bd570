"""The resources of the site, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from exports_app.resources import faults
from exports_app.resources.base import Resource, User, may_export
from exports_app.resources.spelling import spelled

Declared = TypeVar("Declared", bound=type[Resource])

_resources: dict[str, type[Resource]] = {}
duplicates: list[tuple[str, type[Resource], type[Resource]]] = []
"""Registrations that came second; a system check reports them."""


def register(name: str) -> Callable[[Declared], Declared]:
    """Class decorator that makes a resource exportable under ``name``."""

    def decorate(resource: Declared) -> Declared:
        if name in _resources and _resources[name] is not resource:
            duplicates.append((name, _resources[name], resource))
        else:
            resource.name = name
            _resources[name] = resource
        return resource

    return decorate


def spelled_name(name: str) -> str:
    """The name of the resource that is meant, however its case and joints are written; else ``name``."""
    return name if name in _resources else spelled(name, _resources)


def unregister(name: str) -> None:
    """Take a resource away again. Raises ``KeyError`` where there is none."""
    del _resources[name]


def get(name: str) -> type[Resource] | None:
    """The resource of this name, or None."""
    return _resources.get(name)


def title_of(name: str) -> str:
    """What people call the resource of this name; the name itself where there is none any more, or it is broken."""
    declared = _resources.get(name)
    found = faults.working([declared], lambda resource: str(resource.get_title())) if declared else iter(())
    return next(found, name)


def every() -> list[type[Resource]]:
    """All resources, in the order of their names."""
    return [_resources[name] for name in sorted(_resources)]


def allowed(user: User) -> list[Resource]:
    """What this user may export, in the order of the names; without what is broken."""
    return list(faults.working(every(), lambda resource: resource if may_export(resource, user) else None))
