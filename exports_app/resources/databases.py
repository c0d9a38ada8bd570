"""Which database the rows of a queryset are read from."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import models

Rows = models.QuerySet[Any, Any]

TRIES = 20
"""A router that spreads its reads at random names another replica each time it is asked."""


def steady(queryset: Rows) -> Rows:
    """The same rows, of the database that Django would read them from now, also when it is asked again."""
    return queryset.using(queryset.db)


def beside(queryset: Rows, main: Rows) -> Rows:
    """The same rows, in the database of ``main``, with whose rows they are to be joined.

    Raises ``ImproperlyConfigured`` where Django reads them from another one only.
    """
    if any(queryset.db == main.db for _ in range(TRIES)):
        return queryset.using(main.db)
    raise ImproperlyConfigured(
        f"Rows of {queryset.model.__name__} are read from the database {queryset.db!r}, and cannot be narrowed to "
        f"those that belong to rows of {main.model.__name__} in {main.db!r}. Leave via out of the Sheet."
    )
