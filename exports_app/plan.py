"""One export, thought through: format, options, columns and query, checked against what the user may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections

from exports_app import conf, errors
from exports_app.pipeline import formats
from exports_app.pipeline.formats import csv as csv_format
from exports_app.pipeline.formats.gzip import GzipEncoder
from exports_app.pipeline.sources.rows import RowSource
from exports_app.pipeline.sources.sql import Query, SqlSource
from exports_app.pipeline.types import Cursor, Encoder, Field, Format, Options
from exports_app.resources import registry
from exports_app.resources.base import Resource, User
from exports_app.resources.filters import check
from exports_app.resources.queries import Selected, compile_query, select_rows

COMPRESSIONS = ("gzip",)
CONNECT_TIMEOUT = 10  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody asked for, in the words of the API; plain JSON throughout."""

    resource: str
    format: str = "csv"
    compression: str | None = None
    columns: Sequence[str | Mapping[str, str]] | None = None
    filters: Mapping[str, Any]
    ids: Sequence[Any] | None = None
    limit: int | None = None
    parameters: Mapping[str, Any]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that is needed to write the file; made anew for each run, so that permissions are checked each time."""

    resource: Resource
    format: Format
    compression: str | None
    options: Options
    fields: list[Field]
    query: Query | None
    """None: the rows come from ``Resource.iter_rows``."""
    limit: int | None

    def open_source(self, *, after: Cursor | None = None, last: Cursor | None = None) -> SqlSource | RowSource:
        """Begin a snapshot on a connection of its own; the caller closes the source."""
        if self.query is None:
            return self._row_source(after)
        connection = connect_source()
        try:
            return SqlSource(
                connection,
                self.query,
                self.format.sql(self.fields, self.options),
                after=after,
                last=last,
                chunk_rows=conf.settings.CHUNK_ROWS,
                statement_timeout=conf.settings.STATEMENT_TIMEOUT,
            )
        except BaseException:
            connection.close()
            raise

    def _row_source(self, after: Cursor | None) -> RowSource:
        resource = self.resource
        names = [column.name for column in resource.get_columns()]
        return RowSource(
            lambda key: resource.iter_rows(resource.parameters, key),
            self.format.python(self.fields, self.options),
            picked=[names.index(field.name) for field in self.fields],
            keys=[names.index(name) for name in resource.key],
            after=after,
        )

    def encoder(self, state: Mapping[str, Any] | None = None) -> Encoder:
        """A new container, or one that goes on behind the part that ``state`` was recorded with."""
        encoder = self.format.encoder(self.fields, self.options, state)
        return GzipEncoder(encoder, resumed=state is not None) if self.compression == "gzip" else encoder

    @property
    def extension(self) -> str:
        return self.format.extension + (".gz" if self.compression == "gzip" else "")

    @property
    def content_type(self) -> str:
        return "application/gzip" if self.compression == "gzip" else self.format.content_type


def make_plan(request: Request, user: User, moment: datetime | None = None) -> Plan:
    """Check the whole request. Raises the errors of ``exports_app.errors`` that the API answers with."""
    resource = allowed_resource(request.resource, user, moment)
    format_ = _format(request.format, request.compression, resource)
    options = parse_options(format_, request.options)
    resource.parameters = parse_parameters(resource, request.parameters)
    selected = _select_columns(resource, user, request.columns)
    query, columns = _rows(resource, user, request, selected)
    _refuse_kinds(format_, columns)
    return Plan(
        resource=resource,
        format=format_,
        compression=request.compression,
        options=options,
        fields=columns,
        query=query,
        limit=request.limit,
    )


def allowed_resource(name: str, user: User, moment: datetime | None = None) -> Resource:
    """The resource, if there is one and the user may export it."""
    declared = registry.get(name)
    if declared is None:
        known = [each.name for each in registry.every() if each().is_allowed(user)]
        message = errors.unknown("resource", name, known)
        raise errors.Invalid(message, errors={"resource": [message]})
    resource = declared(moment)
    if not resource.is_allowed(user):
        raise errors.PermissionDenied(f"You may not export {resource.get_title()}.")
    return resource


def parse_parameters(resource: Resource, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with their defaults. Raises ``errors.Invalid``, nested under ``parameters``."""
    declared = resource.parameters_class
    if declared is None:
        if given:
            message = "This data takes no parameters."
            raise errors.Invalid("The parameters are not valid.", errors={"parameters": [message]})
        return {}
    serializer = declared(data=dict(given))
    known = sorted(serializer.fields)
    wrong: dict[str, Any] = {name: [errors.unknown("parameter", name, known)] for name in given if name not in known}
    if not serializer.is_valid():
        wrong |= serializer.errors
    if wrong:
        raise errors.Invalid("The parameters are not valid.", errors={"parameters": wrong})
    return dict(serializer.validated_data)


def parse_options(format_: Format, given: Mapping[str, Any]) -> Options:
    """Typed options. Raises ``errors.Invalid`` for names and values that the format does not know."""
    types = {field.name: field for field in fields(Options)}
    wrong: dict[str, list[str]] = {}
    for name, value in given.items():
        if name not in format_.options:
            known = sorted(format_.options)
            where = "option" if name not in types else f"option for {format_.name}"
            wrong[name] = [errors.unknown(where, name, known)]
        elif problem := _option_problem(name, value, str(types[name].type)):
            wrong[name] = [problem]
    if wrong:
        raise errors.Invalid("The options are not valid.", errors={"options": wrong})
    return Options(**given)


def connect_source() -> psycopg.Connection[Any]:
    """A connection of its own to the source database. Raises ``psycopg.OperationalError``."""
    url = conf.settings.SOURCE_DATABASE_URL
    if url:
        return psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT, prepare_threshold=None, **_KEEPALIVE)
    parameters = connections[DEFAULT_DB_ALIAS].get_connection_params()
    wanted = {name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if name in parameters}
    return psycopg.connect(**wanted, connect_timeout=CONNECT_TIMEOUT, prepare_threshold=None, **_KEEPALIVE)


_KEEPALIVE: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "exports",
}


def _format(name: str, compression: str | None, resource: Resource) -> Format:
    if name not in formats.FORMATS:
        message = errors.unknown("format", name, list(formats.FORMATS))
        raise errors.Invalid(message, errors={"format": [message]})
    if resource.formats is not None and name not in resource.formats:
        message = f"{resource.get_title()} cannot be exported as {name}. Valid: {', '.join(resource.formats)}."
        raise errors.Invalid(message, errors={"format": [message]})
    format_ = formats.get_format(name)
    if compression is not None and compression not in COMPRESSIONS:
        message = errors.unknown("compression", str(compression), list(COMPRESSIONS))
        raise errors.Invalid(message, errors={"compression": [message]})
    if compression and not format_.text:
        message = f"{name} compresses by itself. Leave compression out."
        raise errors.Invalid(message, errors={"compression": [message]})
    return format_


def _rows(
    resource: Resource, user: User, request: Request, selected: Sequence[Selected]
) -> tuple[Query | None, list[Field]]:
    if not resource.is_python():
        queryset = select_rows(resource, user, filters=request.filters, ids=request.ids)
        return compile_query(resource, queryset, selected, DEFAULT_DB_ALIAS)
    if request.filters:
        check(resource, request.filters)
    if request.ids is not None:
        raise errors.Invalid("This data has no ids.", errors={"ids": ["This data cannot be chosen by id."]})
    return None, [each.column.field(None, label=each.label) for each in selected]


def _select_columns(resource: Resource, user: User, wanted: Sequence[str | Mapping[str, str]] | None) -> list[Selected]:
    visible = {column.name: column for column in resource.visible_columns(user)}
    if wanted is None:
        return [Selected(column=column) for column in visible.values()]
    hidden = {column.name for column in resource.get_columns()} - visible.keys()
    chosen: dict[str, Selected] = {}
    problems: list[str] = []
    for each in wanted:
        name, label = (each, None) if isinstance(each, str) else (each["name"], each.get("label"))
        if name in hidden:
            raise errors.ColumnForbidden(f"You may not export the column {name}.", errors={"columns": [name]})
        if name not in visible:
            problems.append(errors.unknown("column", name, list(visible)))
        elif name in chosen:
            problems.append(f"The column {name} is named twice.")
        else:
            chosen[name] = Selected(column=visible[name], label=label)
    if not wanted:
        problems.append("Choose at least one column, or leave columns out for all of them.")
    if problems:
        raise errors.Invalid("The columns are not valid.", errors={"columns": problems})
    return list(chosen.values())


def _refuse_kinds(format_: Format, columns: Sequence[Field]) -> None:
    bad = [column.name for column in columns if column.kind not in format_.kinds]
    if bad:
        message = f"{format_.name} cannot hold the column {bad[0]}. Leave it out or choose another format."
        raise errors.Invalid(message, errors={"format": [message]})
    if format_.max_columns is not None and len(columns) > format_.max_columns:
        message = f"{format_.name} holds {format_.max_columns:,} columns at most. Leave some out."
        raise errors.Invalid(message, errors={"columns": [message]})


_CHOICES: dict[str, tuple[str, ...]] = {
    "delimiter": csv_format.DELIMITERS,
    "line_ending": tuple(csv_format.LINE_ENDINGS),
}


def _option_problem(name: str, value: Any, annotation: str) -> str | None:
    if name in _CHOICES:
        return None if value in _CHOICES[name] else f"Give one of: {', '.join(map(repr, _CHOICES[name]))}."
    if annotation.startswith("bool"):
        return None if isinstance(value, bool) else "Give true or false."
    return None if isinstance(value, str) else "Give a text."
