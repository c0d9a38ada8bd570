"""One export, thought through: format, options and tables, checked against what the user may."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, models

from exports_app import clock, conf, errors, questions, spare
from exports_app.pipeline import formats, loop
from exports_app.pipeline.errors import DatabaseBusy
from exports_app.pipeline.formats.gzip import GzipEncoder
from exports_app.pipeline.formats.stored import as_stored, in_session
from exports_app.pipeline.sources import wire
from exports_app.pipeline.sources.chain import ChainSource, bounds_up_to
from exports_app.pipeline.sources.counting import NO_QUERY, HasCountable, RowCounter, Uncounted, too_long
from exports_app.pipeline.sources.finished import FinishedSource
from exports_app.pipeline.sources.rows import RowSource
from exports_app.pipeline.sources.session import zone_of
from exports_app.pipeline.sources.sql import HasTypes, Query, SqlSource
from exports_app.pipeline.types import (
    Chunk,
    Cursor,
    Encoder,
    Field,
    Format,
    Options,
    Progress,
    Sheet,
    Sink,
    Source,
    SqlRows,
    StoredPart,
)
from exports_app.resources import faults, registry
from exports_app.resources.base import Resource, User
from exports_app.resources.databases import steady
from exports_app.resources.filters import check
from exports_app.resources.finishing import Finish, compile_table
from exports_app.resources.queries import Selected, first_rows, related_rows, select_rows, user_rows
from exports_app.resources.spelling import spelled
from exports_app.validation import (
    COMPRESSIONS,
    allowed_resource,
    choose_format,
    choose_sheets,
    parse_options,
    parse_parameters,
    refuse_kinds,
    select_columns,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody asked for, in the words of the API; plain JSON throughout."""

    resource: str
    format: str = "csv"
    compression: str | None = None
    columns: Sequence[str | Mapping[str, str]] | None = None
    filters: Mapping[str, Any] = field(default_factory=dict)
    ids: Sequence[Any] | None = None
    limit: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    sheets: Sequence[str] | None = None
    """Related tables by resource; None: all that the user may export."""
    sheet_columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of related tables of a job that goes on, by resource; of any other all that the user may see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of one resource; a file has one table, a workbook may have several."""

    resource: Resource
    title: str
    fields: list[Field]
    query: Query | None
    """None: the rows come from ``Resource.iter_rows``."""
    finish: Finish | None = None
    """How Python finishes the rows of the query; None: PostgreSQL renders them."""
    database: str = DEFAULT_DB_ALIAS
    """Alias in ``DATABASES`` of the query."""

    def open(
        self,
        format_: Format,
        options: Options,
        *,
        after: Cursor | None = None,
        last: Cursor | None = None,
        snapshot: str | None = None,
        chunk_rows: int | None = None,
        lock_timeout: float | None = None,
    ) -> SqlSource | FinishedSource | RowSource:
        """Begin to read, on a connection of its own; the caller closes the source.

        ``chunk_rows``: of the first chunk; the others are adapted to their size. None: ``EXPORTS_CHUNK_ROWS``.
        Raises ``DatabaseUnavailable`` where there is none to be had, ``DatabaseBusy`` where somebody holds a table
        for longer than ``lock_timeout`` seconds.
        """
        if self.query is None:
            return self._open_rows(format_, options, after)
        with wire.database_errors():
            connection = spare.take(self.database)
        try:
            return self._source(
                connection,
                self.query,
                format_,
                options,
                after=after,
                last=last,
                chunk_rows=chunk_rows or conf.settings.CHUNK_ROWS,
                statement_timeout=conf.settings.STATEMENT_TIMEOUT,
                snapshot=snapshot,
                connect=partial(questions.connect_reader, self.database),
                lock_timeout=lock_timeout,
                end=partial(spare.give_back, self.database),
            )
        except BaseException:
            connection.close()
            raise

    def peek(self, format_: Format, options: Options, *, rows: int, timeout: float) -> Chunk | None:
        """The first rows as the format has them; None: there are none.

        Raises ``DatabaseBusy`` where a statement would take more than ``timeout`` seconds, somebody holds the table or
        other requests ask too much, ``DatabaseUnavailable``.
        """
        if self.query is None:
            with closing(self._open_rows(format_, options, None)) as made:
                return made.read(rows)
        beside = 0 if self.finish is None else 1  # the ORM's, at the same moment
        with wire.database_errors(), questions.ask(self.database, own=True, beside=beside) as connection:
            source = self._source(
                connection,
                self.query,
                format_,
                options,
                chunk_rows=rows,
                statement_timeout=timeout,
                lock_timeout=timeout / 2,
                bounded=False,
            )
            if isinstance(source, SqlSource):
                chunk = source.read(rows)
                source.release()
                return chunk
            with closing(source):
                return source.read(rows)

    def _source(
        self,
        connection: psycopg.Connection[Any],
        query: Query,
        format_: Format,
        options: Options,
        *,
        chunk_rows: int,
        statement_timeout: float,
        **values: Any,
    ) -> SqlSource | FinishedSource:
        make: Callable[..., SqlSource] = partial(SqlSource, connection, query, **values)
        sent = in_session(options, zone_of(connection))
        if self.finish is None:
            rows = self._rows(format_, sent)
            return make(rows, chunk_rows=chunk_rows, statement_timeout=statement_timeout)
        render = format_.python(self.fields, options)
        return self.finish.open(
            make, render, timezone=sent.timezone, chunk_rows=chunk_rows, statement_timeout=statement_timeout
        )

    def _rows(self, format_: Format, options: Options) -> Callable[[Sequence[int]], SqlRows]:
        return lambda types: format_.sql(as_stored(self.fields, types), options)

    def count(self, after: Cursor | None, upto: Cursor | None) -> int:
        """Rows behind the key ``after``, up to ``upto``. Raises ``Uncounted``, ``DatabaseUnavailable``."""
        if self.query is None:
            raise Uncounted(NO_QUERY)
        nothing = SqlRows(expressions=(), copy_options="", delimiter=b"", joint=b"", end=b"")
        seconds = conf.settings.STATEMENT_TIMEOUT
        try:
            with wire.database_errors(), closing(questions.connect_reader(self.database)) as connection:
                source = SqlSource(connection, self.query, nothing, statement_timeout=seconds, bounded=False)
                (rows,) = source.ask(*source.question.between(after, upto), seconds)
                return int(rows)
        except DatabaseBusy as error:
            raise Uncounted(too_long(seconds)) from error

    def _open_rows(self, format_: Format, options: Options, after: Cursor | None) -> RowSource:
        resource = self.resource
        names = [column.name for column in resource.get_columns()]
        return RowSource(
            lambda key: resource.iter_rows(resource.parameters, key),
            format_.python(self.fields, options),
            picked=[names.index(field.name) for field in self.fields],
            keys=[names.index(name) for name in resource.key],
            moment=clock.now(),
            after=after,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that is needed to write the file; made anew for each run, so that permissions are checked each time."""

    resource: Resource
    format: Format
    compression: str | None
    options: Options
    tables: list[Table]
    """The resource's own rows first."""
    limit: int | None

    @property
    def fields(self) -> list[Field]:
        """Columns of the resource's own rows."""
        return self.tables[0].fields

    @property
    def query(self) -> Query | None:
        """Query of the resource's own rows."""
        return self.tables[0].query

    def open_source(
        self,
        *,
        after: Cursor | None = None,
        last: Cursor | None = None,
        chunk_rows: int | None = None,
        lock_timeout: float | None = None,
    ) -> SqlSource | FinishedSource | RowSource | ChainSource:
        """Begin a snapshot on a connection of its own, one in each database; the caller closes the source.

        Raises what ``Table.open`` raises.
        """
        openers = [
            partial(table.open, self.format, self.options, chunk_rows=chunk_rows, lock_timeout=lock_timeout)
            for table in self.tables
        ]
        if len(openers) == 1:
            return openers[0](after=after, last=last)
        return ChainSource(openers, [table.database for table in self.tables], after=after, last=last)

    def encoder(self, state: Mapping[str, Any] | None = None, types: Sequence[int] | None = None) -> Encoder:
        """A new container, or one that goes on behind the part that ``state`` was recorded with.

        ``types``: OIDs of the columns' types in the database, where a source of one table knows them.
        """
        sheets = [Sheet(title=table.title, fields=table.fields) for table in self.tables]
        more = {"sheets": sheets} if self.format.sheets else {}
        fields = self.fields if types is None else as_stored(self.fields, types)
        encoder = self.format.encoder(fields, self.options, state, **more)
        return GzipEncoder(encoder, resumed=state is not None) if self.compression == "gzip" else encoder

    def counter(self, source: Source, after: StoredPart | None = None) -> RowCounter:
        """Counts what a run over ``source`` should write behind ``after``; the caller closes it before the source."""
        sources = source.countable() if isinstance(source, HasCountable) else ()
        limits: list[int | None] = [None] * len(sources)
        if limits and self.limit is not None:
            limits[0] = self.limit - (after.rows if after else 0)
        return RowCounter(sources, limits, passed=len(self.tables) - len(sources))

    def count_stored(self, after: Cursor | None, upto: Cursor, last: Cursor | None) -> int:
        """Rows behind the key ``after``, up to ``upto``, as they are now; ``last`` as a source has it.

        ``after`` is heeded in a file of one table. Raises ``Uncounted`` where that is not known in time,
        ``DatabaseUnavailable``.
        """
        if len(self.tables) == 1:
            return self.tables[0].count(after, upto)
        return sum(table.count(None, key) for table, key in zip(self.tables, bounds_up_to(upto, last), strict=False))

    def write(
        self,
        source: Source,
        sink: Sink,
        *,
        part_size: Callable[[int], int],
        equal_parts: bool = False,
        after: StoredPart | None = None,
        counter: RowCounter | None = None,
    ) -> Generator[Progress, None, None]:
        """``loop.run`` of this plan: copy the rows of ``source`` into ``sink``, behind ``after`` where there is one."""
        return loop.run(
            source,
            self.encoder(after.state if after else None, source.types if isinstance(source, HasTypes) else None),
            sink,
            part_size=part_size,
            equal_parts=equal_parts,
            after=after,
            limit=self.limit,
            max_rows=self.resource.max_rows,
            verify=counter.verify if counter else None,
        )

    @property
    def extension(self) -> str:
        return self.format.extension + (".gz" if self.compression == "gzip" else "")

    @property
    def content_type(self) -> str:
        return formats.content_type(self.format.name, self.compression)


def as_spelled(request: Request) -> Request:
    """The same request with the names of resource and format as they are registered: ``CSV`` means ``csv``.

    For requests that come from people; what is stored is what it says.
    """
    return replace(
        request,
        resource=registry.spelled_name(request.resource),
        format=spelled(request.format, formats.FORMATS),
        compression=spelled(request.compression, COMPRESSIONS) if request.compression else request.compression,
    )


def make_plan(request: Request, user: User, moment: datetime | None = None, *, shown: bool = False) -> Plan:
    """Check the whole request. Raises the errors of ``exports_app.errors`` that the API answers with.

    What the user may not see is unknown, unless the names in the request were ``shown`` to them lawfully: then
    ``errors.PermissionDenied`` and ``errors.ColumnForbidden`` say what they may not.
    """
    resource = allowed_resource(request.resource, user, moment, shown=shown)
    with faults.declared_by(resource):
        return _plan_of(resource, request, user, shown=shown)


def _plan_of(resource: Resource, request: Request, user: User, *, shown: bool) -> Plan:
    format_ = choose_format(request.format, request.compression, resource)
    options = parse_options(format_, request.options)
    resource.parameters = parse_parameters(resource, request.parameters)
    selected = select_columns(resource, user, request.columns, shown=shown)
    if resource.is_python():
        tables = [_python_table(resource, user, request, selected)]
    else:
        rows = steady(select_rows(resource, user, filters=request.filters, ids=request.ids, shown=shown))
        related = choose_sheets(resource, format_, user, request.sheets, shown=shown)
        if related and request.limit is not None:
            rows = first_rows(resource, rows, request.limit)
        tables = [_table(resource, user, rows, selected)]
        for sheet in related:
            other = allowed_resource(sheet.resource, user, resource.moment, shown=shown)
            columns = select_columns(other, user, request.sheet_columns.get(other.name), shown=shown)
            tables.append(_table(other, user, related_rows(other, user, rows, sheet.via), columns, sheet.title))
    for table in tables:
        refuse_kinds(format_, table.fields)
    return Plan(
        resource=resource,
        format=format_,
        compression=request.compression,
        options=options,
        tables=tables,
        limit=request.limit if len(tables) == 1 else None,
    )


def _table(
    resource: Resource, user: User, rows: models.QuerySet[Any, Any], selected: Sequence[Selected], title: str = ""
) -> Table:
    rows = steady(rows)
    whole = user_rows(resource, user).using(rows.db)
    query, columns, finish = compile_table(resource, rows, selected, whole=whole)
    return Table(
        resource=resource,
        title=title or resource.get_title(),
        fields=columns,
        query=query,
        finish=finish,
        database=rows.db,
    )


def _python_table(resource: Resource, user: User, request: Request, selected: Sequence[Selected]) -> Table:
    check(resource, user, request.filters)
    if request.ids is not None:
        raise errors.Invalid("This data has no ids.", errors={"ids": ["This data cannot be chosen by id."]})
    columns = [each.column.field(None, label=each.label) for each in selected]
    return Table(resource=resource, title=resource.get_title(), fields=columns, query=None)
