"""One bad declaration harms itself alone: what a resource raises is caught, logged, and answered by name."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, OperationalError, connections, transaction
from django.http import Http404

from exports_app import errors
from exports_app.pipeline import scarcity
from exports_app.pipeline.errors import PipelineError
from exports_app.resources import shapes
from exports_app.resources.base import Resource

Shown = TypeVar("Shown")
AWAY = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError)


@contextmanager
def declared_by(resource: Resource | type[Resource]) -> Iterator[None]:
    """Whatever the declaration raises within becomes ``errors.BadQuery``, with the reason in the log.

    Left as they are: the errors of ``exports_app.errors`` and of the pipeline, what a process lacks (memory, threads),
    and a database that is away or busy.
    """
    try:
        with _caught(resource):
            yield
    except errors.BadQuery as error:
        _log("export.resource.broken", resource, error.__cause__ or error)
        raise


def working(
    resources: Iterable[Resource | type[Resource]],
    show: Callable[[Resource], Shown | None],
    *,
    asks_database: bool = False,
) -> Iterator[Shown]:
    """``show`` of each resource, where it is not None; one that raises is left out, with a line in the log.

    ``asks_database``: a query of one may fail, and shall not spoil the transaction that there may be. Raises what the
    database raises where it is away for all of them.
    """
    for each in resources:
        try:
            with _savepoint() if asks_database else nullcontext(), _caught(each):
                shown = show(each() if isinstance(each, type) else each)
        except (errors.ExportError, *AWAY) as error:
            if isinstance(error, AWAY) and _is_away():
                raise
            _log("export.resource.left_out", each, error.__cause__ or error)
            continue
        if shown is not None:
            yield shown


@contextmanager
def _caught(resource: Resource | type[Resource]) -> Iterator[None]:
    try:
        _require_shape(resource)
        yield
    except (errors.ExportError, PipelineError, *AWAY):
        raise
    except ImproperlyConfigured as error:
        # Ours names the class and the way out; a project's own may name anything.
        raise (errors.Misdeclared(str(error)) if _is_ours(error) else errors.BadResource()) from error
    except DjangoPermissionDenied as error:
        raise errors.PermissionDenied() from error
    except Http404 as error:
        raise errors.NotFound() from error
    except (DatabaseError, psycopg.Error) as error:
        if errors.is_outage(error):
            raise
        raise errors.BadQuery() from error
    except Exception as error:
        if scarcity.lack(error):
            raise
        raise errors.BadResource() from error


def _is_ours(error: BaseException) -> bool:
    """Whether it was raised by a line of the engine."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == __name__.partition(".")[0]


def _log(event: str, resource: Resource | type[Resource], error: BaseException) -> None:
    from exports_app.logs import log  # structlog takes a tenth of a second, which no command waits for in vain

    log.error(event, resource=resource.name, exc_info=error)


def _require_shape(resource: Resource | type[Resource]) -> None:
    """Refuse attributes of a wrong type, in the words of the system check."""
    declared = resource if isinstance(resource, type) else type(resource)
    for problem in shapes.problems(declared):
        raise ImproperlyConfigured(f"{declared.__name__} {problem.what}. {problem.hint}")


def _is_away() -> bool:
    """Whether the site's own database does not answer."""
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        connection.ensure_connection()
    except AWAY:
        return True
    return not connection.is_usable()


def _savepoint() -> transaction.Atomic | nullcontext[None]:
    inside = connections[DEFAULT_DB_ALIAS].in_atomic_block
    return transaction.atomic() if inside else nullcontext()
