"""Rows that Python finishes: columns computed of the rows' objects, and values that only the ORM can decode."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import DataError, Error
from psycopg import pq
from psycopg.adapt import Transformer

from exports_app import errors
from exports_app.pipeline import errors as pipeline_errors
from exports_app.pipeline import scarcity
from exports_app.pipeline.formats.labels import stored_kind
from exports_app.pipeline.formats.text import sql_text
from exports_app.pipeline.sources import wire
from exports_app.pipeline.sources.finished import BATCH_ROWS, FinishedSource, Record, as_records
from exports_app.pipeline.sources.sql import Query, SqlSource
from exports_app.pipeline.types import Field, Kind, Options, RowRenderer, SqlRows
from exports_app.pipeline.waiting import look
from exports_app.resources.base import Resource
from exports_app.resources.columns import Column
from exports_app.resources.computed import MISFITS, Misfit, as_kind, from_text, getter, has_no_objects
from exports_app.resources.converters import Decoder
from exports_app.resources.queries import Compiled, Rows, Selected, compile_columns
from exports_app.resources.snapshots import Snapshot
from exports_app.traces import sentence

INTERRUPTIONS = frozenset({"SoftTimeLimitExceeded"})
"""What a worker's signals raise wherever the run stands; Celery's, which is not known here."""

Load = Callable[[bytes], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A column of the query, counted from 1."""

    number: int
    field: Field
    decoder: Decoder | None = None
    """None: the file has the value that PostgreSQL prints."""

    def expression(self, timezone: str | None) -> str:
        """What PostgreSQL sends of it: its text form, or its own text for the ORM to load."""
        column = f"c{self.number}"
        if self.decoder is not None:
            return column
        if stored_kind(self.field) is Kind.DATETIME:
            return f"{column}::text"
        # The texts of ranges stay as they are; those of all others are read, with whatever offsets they have.
        return sql_text(self.field, column, Options(timezone=timezone if self.field.range_type else None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """A column that Python computes."""

    column: Column
    field: Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """Where the objects of the rows come from."""

    rows: Rows
    """What the resource selects and fetches beside them."""
    primary_key: list[Stored]
    annotations: Mapping[str, Stored]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """How Python finishes the rows of one query."""

    database: str
    keys: int
    stored: list[Stored]
    """Every column of the query."""
    cells: list[Stored | Computed]
    """Every column of the file."""
    objects: Objects | None

    @property
    def names(self) -> list[str]:
        """Headers of the columns that make the export slower."""
        return [cell.field.label for cell in self.cells if isinstance(cell, Computed) or cell.decoder is not None]

    def open(
        self,
        make: Callable[..., SqlSource],
        render: RowRenderer,
        *,
        timezone: str | None,
        chunk_rows: int,
        statement_timeout: float,
    ) -> FinishedSource:
        """The source whose rows are finished. ``make`` gets what a ``SqlSource`` needs beside connection and query.

        ``timezone``: of the texts that PostgreSQL has the last word on, such as ranges.
        """
        rows = min(BATCH_ROWS, chunk_rows)
        source = make(self._sql(timezone), chunk_rows=rows, most_rows=BATCH_ROWS, statement_timeout=statement_timeout)
        try:
            snapshot = Snapshot(self.database, source.share_snapshot(), statement_timeout=statement_timeout)
        except BaseException:
            source.close()
            raise
        finisher = Finisher(self, snapshot, source.types)
        types = self._types(source.types)
        return FinishedSource(source, finisher.finish, render, types=types, close=snapshot.close)

    def _types(self, stored: Sequence[int]) -> list[int]:
        """Of the file's columns, given those of the query; 0: the value is one that Python makes or decodes."""
        return [
            stored[cell.number - 1] if isinstance(cell, Stored) and cell.decoder is None else 0 for cell in self.cells
        ]

    def _sql(self, timezone: str | None) -> SqlRows:
        """The key for messages, then every column."""
        key = f"concat_ws(', ', {', '.join(f'k{n}' for n in range(1, self.keys + 1))})"
        return as_records([key, *(stored.expression(timezone) for stored in self.stored)])


class Finisher:
    """Finishes rows at one moment. ``types``: OIDs of the types of the query's columns."""

    def __init__(self, finish: Finish, snapshot: Snapshot, types: Sequence[int]) -> None:
        self._objects, self._connection = finish.objects, snapshot.connection
        self._transformer = Transformer(snapshot.connection.connection)
        self._types = types
        self._alias = snapshot.alias
        self._cells = [self._cell(cell) for cell in finish.cells]
        self._labels = [cell.field.label for cell in finish.cells]
        objects = finish.objects
        self._primary_key = [self._orm(each) for each in objects.primary_key] if objects else []
        self._annotations = {name: self._orm(each) for name, each in objects.annotations.items()} if objects else {}
        self._fetched = _fetched(objects.rows, self._alias) if objects else None

    def finish(self, records: Sequence[Record]) -> list[list[Any]]:
        """Values of the file's columns. Raises ``errors.BadColumn`` with row and column, ``errors.BadKey``."""
        return [
            self._row(record, instance) for record, instance in zip(records, self._objects_of(records), strict=True)
        ]

    # One row

    def _row(self, record: Record, instance: Any) -> list[Any]:
        look()  # a row may take any time
        self._annotate(instance, record)
        values: list[Any] = []
        try:
            for cell in self._cells:
                values.append(cell(record, instance))
        except Exception as error:  # whatever a project's code raises
            if scarcity.lack(error) or type(error).__name__ in INTERRUPTIONS:
                raise
            raise self._known(error, record, self._labels[len(values)]) from error
        return values

    def _known(self, error: Exception, record: Record, label: str) -> pipeline_errors.PipelineError:
        """What the database cannot do now passes; everything else is the column's fault."""
        if isinstance(error, Error):
            try:
                with _database_errors():
                    raise error
            except pipeline_errors.PipelineError as known:
                if not known.terminal:
                    return known
        row = (record[0] or b"").decode(errors="replace")
        why = _told(error)
        return pipeline_errors.BadColumn(f"The column “{label}” could not be computed in the row {row}: {why}.")

    def _annotate(self, instance: Any, record: Record) -> None:
        for name, value in self._annotations.items():
            setattr(instance, name, value(record))

    # Columns

    def _cell(self, cell: Stored | Computed) -> Callable[[Record, Any], Any]:
        form = as_kind(cell.field)
        if isinstance(cell, Computed):
            get = getter(cell.column)
            return lambda record, instance: _formed(get(instance), form)
        if cell.decoder is not None:
            decoded = self._orm(cell)
            return lambda record, instance: _formed(decoded(record), form)
        number, read = cell.number, from_text(cell.field)
        return lambda record, instance: None if (text := record[number]) is None else _read(read, text)

    def _orm(self, stored: Stored) -> Callable[[Record], Any]:
        """The value that the ORM has."""
        oid = self._types[stored.number - 1]
        load: Load = self._transformer.get_loader(oid, pq.Format.TEXT).load
        number, decoder, connection = stored.number, stored.decoder, self._connection
        assert decoder is not None  # noqa: S101 - given to all that are not taken as PostgreSQL prints them

        def value(record: Record) -> Any:
            text = record[number]
            return decoder.value(None if text is None else load(text), connection)

        return value

    # Objects

    def _objects_of(self, records: Sequence[Record]) -> list[Any]:
        """The object of each row, read at the moment at which the row was."""
        if self._fetched is None:
            return [None] * len(records)
        keys = [tuple(part(record) for part in self._primary_key) for record in records]
        wanted = [key if len(key) > 1 else key[0] for key in keys]
        try:
            found = {each.pk: each for each in self._fetched.filter(pk__in=set(wanted))}
        except Error as error:
            if isinstance(error, DataError) and getattr(error.__cause__, "sqlstate", None) is None:
                raise _unloadable(wanted, error) from error
            with _database_errors():
                raise
        if missing := [key for key in wanted if key not in found]:
            raise pipeline_errors.BadKey(f"{len(missing)} of {len(wanted)} rows were not found again by primary key.")
        return [found[key] for key in wanted]


def compile_table(
    resource: Resource, queryset: Rows, selected: Sequence[Selected], *, whole: Rows | None = None
) -> tuple[Query, list[Field], Finish | None]:
    """``compile_query``, and how Python finishes the rows; None: PostgreSQL renders them.

    Raises ``errors.Invalid`` for columns computed of objects where the rows have none.
    """
    of_sql = [each for each in selected if not each.column.reads_object]
    if len(of_sql) == len(selected):
        compiled = compile_columns(resource, queryset, selected, whole=whole)
        finish = _finish(compiled, selected, None) if any(compiled.decoders) else None
        return compiled.query, compiled.fields, finish
    computed = next(each.column for each in selected if each.column.reads_object)
    if why := has_no_objects(queryset):
        raise errors.Invalid.of(
            "columns", f"{computed.name} is computed in Python of a row's object, and {why}. Leave it out."
        )
    beside = [field.attname for field in queryset.model._meta.pk_fields]
    annotations = [*queryset.query.annotation_select, *queryset.query.extra_select]
    helpers = [Selected(column=Column(name)) for name in [*beside, *annotations]]
    compiled = compile_columns(resource, queryset, [*helpers, *of_sql], whole=whole)
    stored = [
        Stored(number=n, field=compiled.fields[n - 1], decoder=compiled.orm_decoders[n - 1])
        for n in range(1, len(helpers) + 1)
    ]
    objects = Objects(
        rows=queryset,
        primary_key=stored[: len(beside)],
        annotations=dict(zip(annotations, stored[len(beside) :], strict=True)),
    )
    finish = _finish(compiled, selected, objects, stored)
    return compiled.query, [cell.field for cell in finish.cells], finish


def _finish(
    compiled: Compiled, selected: Sequence[Selected], objects: Objects | None, helpers: Sequence[Stored] = ()
) -> Finish:
    first = len(helpers)
    own = [
        Stored(number=n, field=field, decoder=decoder)
        for n, (field, decoder) in enumerate(
            zip(compiled.fields[first:], compiled.decoders[first:], strict=True), first + 1
        )
    ]
    remaining = iter(own)
    cells: list[Stored | Computed] = [
        Computed(column=each.column, field=each.column.field(None, label=each.label))
        if each.column.reads_object
        else next(remaining)
        for each in selected
    ]
    return Finish(
        database=compiled.database,
        keys=compiled.query.keys,
        stored=[*helpers, *own],
        cells=cells,
        objects=objects,
    )


def _fetched(rows: Rows, alias: str) -> Rows:
    """Objects of the model with what ``rows`` selects and fetches beside them, but none of its conditions."""
    fetched = type(rows)(model=rows.model, using=alias)
    fetched.query.select_related = rows.query.select_related
    fetched.query.max_depth = rows.query.max_depth
    fetched.query.deferred_loading = rows.query.deferred_loading
    fetched._iterable_class = rows._iterable_class
    fetched._prefetch_related_lookups = rows._prefetch_related_lookups  # type: ignore[attr-defined]  # stubs leave it out
    return fetched


@contextmanager
def _database_errors() -> Iterator[None]:
    """What Django raises for the database, as errors of the pipeline."""
    try:
        yield
    except Error as error:
        with wire.database_errors():
            raise (error.__cause__ or error) from error


def _read(read: Callable[[str], Any], text: bytes) -> Any:
    try:
        return read(text.decode())
    except MISFITS as error:
        raise Misfit("Python has no value for what the database holds") from error


def _formed(value: Any, form: Callable[[Any], Any]) -> Any:
    if value is None:
        return None
    try:
        return form(value)
    except MISFITS as error:
        why = _told(error)
        raise Misfit(f"the value is of the type {type(value).__name__}, and {why}") from error


def _unloadable(keys: Sequence[Any], error: DataError) -> pipeline_errors.BadColumn:
    """A value of one of these rows is one that psycopg has no Python value for, such as a moment before the year 1."""
    return pipeline_errors.BadColumn(
        f"Python cannot load all of the rows with the primary keys {keys[0]} to {keys[-1]}, which a column of this "
        f"export needs: {sentence(error) or type(error).__name__}."
    )


def _told(error: Exception) -> str:
    """What the owner of the export may read; what a project's code says is for operators, in the traceback."""
    return str(error) if isinstance(error, Misfit) else type(error).__name__
