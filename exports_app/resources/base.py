"""``Resource``: one class that says what may be exported, by whom, and in which order."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models.sql.datastructures import Join
from django.http import QueryDict
from django_filters import FilterSet

from exports_app import clock, keys
from exports_app.resources import filtersets, meaning
from exports_app.resources.columns import Column
from exports_app.resources.requests import FilterRequest

if TYPE_CHECKING:
    from rest_framework.serializers import Serializer
from exports_app.resources.retry import RetryPolicy

User = AbstractBaseUser | AnonymousUser


@dataclass(frozen=True, slots=True)
class Sheet:
    """A further table in a workbook: rows of another registered resource, with that one's columns and permission.

    ``via`` is the ORM path from its model to the main rows: only rows that belong to one of them are written.
    None: all that the user may see.
    """

    resource: str
    via: str | None = None
    title: str = ""


class Resource:
    """Declare with attributes, override with ``get_*()``. The docstring is what users read about the data.

    An instance belongs to one request; ``moment`` is the time of that request. Use it instead of the clock in
    ``get_queryset``, so that a run that is continued an hour later means the same rows.
    """

    # Rows
    model: ClassVar[type[models.Model] | None] = None
    key: ClassVar[tuple[str, ...]] = ("pk",)
    """Unique, never NULL, unchanging while a row lives; also the order of the file."""
    filterset_class: ClassVar[type[FilterSet] | None] = None
    max_rows: ClassVar[int | None] = None

    # Rows that are not SQL
    parameters_class: ClassVar[type[Serializer[Any]] | None] = None
    """DRF serializer of the parameters a request may give; its validated data must be plain JSON."""

    filter_reads: ClassVar[Mapping[str, Sequence[str]]] = {}
    """What filters with a ``method`` read: ORM paths, by the filter's name. Who may not see one has no such filter."""

    # Columns and files
    columns: ClassVar[Sequence[Column | str]] = ()
    """Empty: every concrete field of the model."""
    formats: ClassVar[Sequence[str] | None] = None
    """None: all formats that can hold the columns."""
    sheets: ClassVar[Sequence[Sheet]] = ()
    """Related tables that formats with several sheets hold beside the main rows."""
    file_ttl: ClassVar[int | None] = None
    """Seconds a file of this resource lives; None: EXPORTS_FILE_TTL."""
    retry: ClassVar[RetryPolicy] = RetryPolicy()
    """How often and how soon a run that failed in a way that may pass is tried again."""

    # Who and how it is called
    permission: ClassVar[str | None] = None
    """Permission that a user needs; None: everybody who is signed in."""
    title: ClassVar[str] = ""
    name: ClassVar[str] = ""
    """Set by ``register``."""

    def __init__(self, moment: datetime | None = None) -> None:
        if moment is not None:
            self.moment = moment
        self.parameters: dict[str, Any] = {}
        """What the request gave, validated, defaults filled in."""
        self.request: FilterRequest | None = None
        """What the filterset sees as its request; set before ``filter_queryset`` is called."""

    @cached_property
    def moment(self) -> datetime:
        """The time of its request; of one that has none, as where it is only described, that of its first use.

        No database is asked for it: system checks have none.
        """
        return clock.latest()

    # To override

    def get_queryset(self, user: User) -> models.QuerySet[Any, Any]:
        """Rows that this user may export. Called again when the job runs."""
        if self.model is None:
            raise ImproperlyConfigured(
                f"{type(self).__name__} must either define 'model' or override 'get_queryset()'."
            )
        return self.model._default_manager.all()

    def iter_rows(self, parameters: Mapping[str, Any], after: tuple[Any, ...] | None) -> Iterator[Sequence[Any]]:
        """Instead of a queryset: rows in key order behind ``after`` (None: all), values in the order of the columns.

        Columns then name their ``kind``, and the key names columns that hold integers or texts. The same
        parameters must give the same rows again, since a run may be continued behind any of them.
        """
        raise NotImplementedError

    def count_rows(self, parameters: Mapping[str, Any]) -> int | None:
        """How many rows ``iter_rows`` will give; None: not known."""
        return None

    def get_context(self, user: User) -> dict[str, Any]:
        """What shall be kept on the job about who asked and why; plain JSON."""
        return {}

    def get_rights(self, user: User) -> dict[str, Any] | None:
        """What the user's rows depend on besides permissions, as plain JSON: their region, their accounts.

        Kept with each file; once it is another for its owner, nobody can fetch the file. None: on nothing.
        """
        return None

    @classmethod
    def get_parameters_class(cls) -> type[Serializer[Any]] | None:
        """``parameters_class``; override it where the serializer is to load when it is first needed."""
        return cls.parameters_class

    def get_columns(self) -> Sequence[Column]:
        """All columns, those that need a permission included."""
        declared = self.columns or self._model_columns()
        return tuple(Column(column) if isinstance(column, str) else column for column in declared)

    def get_title(self) -> str:
        """Name of the data in words."""
        return self.title or self.name.replace("_", " ").replace("-", " ").capitalize()

    def get_description(self) -> str:
        """The docstring, without its indentation."""
        return inspect.cleandoc(type(self).__doc__ or "") if type(self).__doc__ != Resource.__doc__ else ""

    @classmethod
    def is_python(cls) -> bool:
        """Whether the rows come from ``iter_rows``."""
        return cls.iter_rows is not Resource.iter_rows

    def filter_queryset(self, queryset: models.QuerySet[Any, Any], data: QueryDict) -> models.QuerySet[Any, Any]:
        """Narrow the rows; ``data`` are values that ``filters.check`` accepted.

        The filterset is asked without filters too, since its ``qs`` may narrow by the user. Filters over joins become
        ``pk IN (…)``, so that no join can multiply rows.
        """
        if self.filterset_class is None:
            return queryset
        request = self.request or FilterRequest(AnonymousUser(), data)
        plain = self._is_plain(queryset) and meaning.tells_rows(queryset.model, self.key_paths())
        filtered: models.QuerySet[Any, Any] = filtersets.bind(
            self.filterset_class, queryset=queryset, request=request, moment=self.moment
        ).qs
        if not plain or (self._is_plain(filtered) and _joins(filtered) <= _joins(queryset)):
            return filtered
        ordered = filtered.query.is_sliced or filtered.query.distinct_fields  # their order chooses the rows
        return queryset.filter(pk__in=(filtered if ordered else filtered.order_by()).values("pk"))

    # Who may

    def is_allowed(self, user: User) -> bool:
        """Whether this user may export from this resource at all."""
        return bool(user.is_authenticated and (not self.permission or has_permission(user, self.permission)))

    def visible_columns(self, user: User) -> tuple[Column, ...]:
        """Columns that exist for this user."""
        return tuple(
            column for column in self.get_columns() if not column.sensitive or has_permission(user, column.sensitive)
        )

    # What the declaration means

    def key_paths(self) -> tuple[str, ...]:
        """The key as ORM paths, ``pk`` spelled out: the fields of a composite one."""
        if self.model is None:
            return self.key
        primary = [field.attname for field in self.model._meta.pk_fields]
        return tuple(path for name in self.key for path in (primary if name == "pk" else [name]))

    def _model_columns(self) -> Iterable[Column]:
        if self.model is None:
            raise ImproperlyConfigured(f"{type(self).__name__} must define 'columns' or 'model'.")
        # A link to a parent is the parent's key once more, which is among the fields already.
        fields = self.model._meta.concrete_fields
        return [Column(field.attname) for field in fields if not getattr(field.remote_field, "parent_link", False)]

    def _is_plain(self, queryset: models.QuerySet[Any, Any]) -> bool:
        """Whether each row of the queryset is one row of the model."""
        query = queryset.query
        return queryset.model is self.model and not (
            query.combinator or query.group_by or query.distinct or query.is_sliced
        )


def _joins(queryset: models.QuerySet[Any, Any]) -> int:
    """Further tables that the rows are read from."""
    return sum(isinstance(each, Join) for each in queryset.query.alias_map.values())


def has_permission(user: User, permission: str) -> bool:
    """``user.has_perm`` for whatever kind of user the project has."""
    check = getattr(user, "has_perm", None)
    return bool(check and check(permission))


def may_export(resource: Resource, user: User) -> bool:
    """``is_allowed`` by the resource's own rule, within what the API key leaves that the user acts by."""
    return keys.permit_of(user).allows_resource(resource.name) and resource.is_allowed(user)
