"""Whether a resource can be described and compiled, found out without a database: what ``manage.py check`` asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.db import DatabaseError, InterfaceError, connections
from django.db.models import QuerySet
from django.http import Http404

from exports_app.resources.base import Resource, User
from exports_app.resources.filters import filter_names
from exports_app.resources.queries import fields_of
from exports_app.resources.shapes import shown

Found = TypeVar("Found")
NO_DATABASE = (DatabaseError, InterfaceError, psycopg.Error)
OF_THE_USER = (AttributeError, TypeError, ValueError, LookupError, ObjectDoesNotExist, PermissionDenied, Http404)
"""What code that looks at its user may well raise for one who is not stored and has nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that was raised."""

    what: str
    """Goes on behind the name of the class."""
    hint: str
    number: str
    """Of the check."""
    certain: bool = True
    """False: it may be due to the user that the check made up."""


class _Unknown(Exception):
    """It takes a database to tell."""


def findings(declared: type[Resource]) -> Iterator[Finding]:
    """The first thing that asking this resource raises, if there is one."""
    try:
        yield from _findings(declared)
    except _Unknown:
        return


def _findings(declared: type[Resource]) -> Iterator[Finding]:
    resource, user = declared(), _nobody()
    for describe in (resource.get_title, resource.get_description):
        _, error = _tried(describe)
        if error is not None:
            yield Finding(what=f"raises {said(error)}", hint="Mend what the error names.", number="E012")
            return
    if declared.is_python():
        return
    rows, error = _tried(lambda: resource.get_queryset(user))
    if error is not None:
        certain = declared.get_queryset is Resource.get_queryset or not isinstance(error, OF_THE_USER)
        yield Finding(
            what=f"raises {said(error)} in get_queryset()",
            hint="Mend it; where a user without rights and rows cannot be served, return none().",
            number="E012" if certain else "W001",
            certain=certain,
        )
        return
    if not isinstance(rows, QuerySet):
        yield Finding(what=f"gives {shown(rows)} in get_queryset()", hint="Give a QuerySet.", number="E018")
        return
    if rows.db not in connections or connections[rows.db].vendor != "postgresql":
        return  # has a check of its own
    with _without_literals():
        _, error = _tried(lambda: fields_of(resource, user, resource.get_columns()))
    if error is not None:
        yield Finding(
            what=f"has rows that cannot be exported: {said(error)}",
            hint="Mend get_queryset() and columns: the rows must still take columns, filters and an order.",
            number="E015",
        )
        return
    _, error = _tried(lambda: filter_names(resource, user))
    if error is not None:
        certain = not isinstance(error, OF_THE_USER)
        yield Finding(
            what=f"has the filterset {_name(declared.filterset_class)}, which raises {said(error)}",
            hint="Its request has user, GET, query_params, method and META.",
            number="E016" if certain else "W002",
            certain=certain,
        )


def _tried(ask: Callable[[], Found]) -> tuple[Found | None, Exception | None]:
    try:
        return ask(), None
    except NO_DATABASE as error:
        raise _Unknown from error
    except Exception as error:
        if "Database access not allowed" in str(error):  # pytest-django's, in a test of a host
            raise _Unknown from error
        return None, error


def said(error: BaseException) -> str:
    """The error in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text:.300}".rstrip(": .")


@contextmanager
def _without_literals() -> Iterator[None]:
    """Compiled queries keep the places of their parameters, for which Django needs no connection."""
    operations: list[Any] = [each.ops for each in connections.all()]  # this thread's own
    for each in operations:
        each.compose_sql = lambda statement, parameters: statement
    try:
        yield
    finally:
        for each in operations:
            del each.compose_sql


def _name(declared: type[Any] | None) -> str:
    return declared.__name__ if declared else "None"


def _nobody() -> User:
    """A user who is not stored, but whose key can be compared with."""
    model = get_user_model()
    user: User = model()
    primary = model._meta.pk
    if user.pk is None:
        user.pk = primary.to_python("0") if primary.get_internal_type().endswith(("AutoField", "IntegerField")) else ""
    return user
