"""Rows out of PostgreSQL, rendered there: keyset chunks through ``COPY``, all from one snapshot."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import psycopg

from exports_app.pipeline import errors
from exports_app.pipeline.sources import cursors, diagnosis, plans, types, wire
from exports_app.pipeline.sources.counting import Question
from exports_app.pipeline.sources.keys import Unique, are_unique
from exports_app.pipeline.sources.session import begin, look
from exports_app.pipeline.types import Chunk, Cursor, SqlRows

TARGET_CHUNK_BYTES = 1_048_576
"""Chunks are grown or shrunk towards this size. Larger ones cost the client more: memory of so many lines is not used
again but asked of the kernel anew, chunk after chunk (4 MB: a third more CPU, 12 MB more memory)."""
MAX_CHUNK_ROWS = 20_000
MIN_CHUNK_ROWS = 100
"""A statement for so few rows that takes too long is not cut down any more."""
STATEMENT_CHUNKS = 128
"""Chunks that one statement serves, so that PostgreSQL goes on while the last one is worked on: with 4 MB a
statement, CSV takes 1.7 times as long as psql, with 128 MB 1.25 times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A compiled query without parameters, its columns in order: those of the file, then the key's."""

    text: str
    columns: int
    keys: int
    proven_key: bool
    """True: constraints of the database say that the key is unique and never NULL."""
    unique: tuple[Unique, ...] = ()
    """What the database must make unique to prove it: looked up at the start of a run, whatever ``proven_key`` says."""
    bare: str = ""
    """As many rows without the columns, and the joins that only they need; empty: not known."""
    count: str = ""
    """The rows as the ORM means them, compiled apart from ``text``: as many as the export has; empty: not known."""
    keys_text: str = ""
    """Those rows with the key's columns alone, in their order; empty: not known."""
    names: tuple[str, ...] = ()
    """Of the columns of the file, for messages; empty: they are told by number."""


@runtime_checkable
class HasTypes(Protocol):
    """A source that knows the types of its columns, given as OIDs."""

    types: Sequence[int]


class SqlSource:
    """One run over a query, from ``after`` (exclusive) to ``last`` (inclusive), in key order.

    Takes over the connection: a ``REPEATABLE READ READ ONLY`` transaction on it lasts until ``close``. It sees the
    ``snapshot`` that another source shares, or takes its own, which it shares where ``connect`` opens connections for a
    count. ``rows`` may depend on the types of the columns, given as OIDs. Not ``bounded``, it asks nothing about the
    key, the last row and the order: all that is wanted are the first few rows. A chunk has
    ``most_rows`` at most.
    Raises ``errors.BadKey`` where the key is NULL or doubled, ``errors.BadQuery``, ``errors.DatabaseBusy`` and
    ``errors.DatabaseUnavailable`` for what PostgreSQL answers.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        query: Query,
        rows: SqlRows | Callable[[Sequence[int]], SqlRows],
        *,
        after: Cursor | None = None,
        last: Cursor | None = None,
        chunk_rows: int = 10_000,
        statement_timeout: float = 60.0,
        snapshot: str | None = None,
        bounded: bool = True,
        connect: Callable[[], psycopg.Connection[Any]] | None = None,
        most_rows: int | None = None,
        lock_timeout: float | None = None,
        end: Callable[[psycopg.Connection[Any]], None] = psycopg.Connection.close,
    ) -> None:
        """Time-outs in seconds: of a statement, and of its wait for a lock; None: the statement's.

        ``end`` gets the connection once it is not needed any more.
        """
        self._connection = connection
        self._end: Callable[[psycopg.Connection[Any]], None] | None = end
        self._connect = connect
        self._query = query
        self._cursor = after
        self._chunk_rows = chunk_rows
        self._timeout_ms = int(statement_timeout * 1000)
        self._stream: wire.CopyOut | None = None
        self._asked: int | None = None
        self._asked_at = 0.0
        self._chunks = STATEMENT_CHUNKS
        self._most_rows = most_rows or MAX_CHUNK_ROWS
        self._saved = self._done = self._one_pass = False
        self._recast: list[str] | None = None
        wire.look_while_waiting(connection)
        with wire.database_errors():
            lock_ms = None if lock_timeout is None else int(lock_timeout * 1000)
            self.moment, self.types = look(connection, self._from(), self._timeout_ms, snapshot, lock_ms)
            self._recast = types.recast(self._names()[0], self.types[: query.columns])
            self._rows = rows(self.types[: query.columns]) if callable(rows) else rows
            self._key = self._find_key()
            self._snapshot = snapshot or (self._export_snapshot() if connect else "")
            self.question = self._ask_for(after, last)
            self.last = last
            if bounded:
                self._find_bounds()

    # What is read

    def read(self, limit: int) -> Chunk | None:
        """The next ``limit`` rows at most (fewer where rows are wide); None after the last one."""
        if self._done or limit <= 0:
            return None
        try:
            lines = self._patient_lines(limit)
        except errors.BadQuery as error:
            raise self._explained(error) from error.__cause__
        if not lines.texts:
            self._done = True
            return None
        chunk = self._chunk(lines)
        self._cursor = chunk.cursor
        self._adapt(len(chunk.data), chunk.rows)
        return chunk

    def share_snapshot(self) -> str:
        """A name under which another source reads what this one reads, for as long as this one is open."""
        if not self._snapshot:
            with wire.database_errors():
                self._snapshot = self._export_snapshot()
        return self._snapshot

    def countable(self) -> Sequence[Self]:
        """Itself: all its rows are PostgreSQL's."""
        return (self,)

    def beside(self) -> psycopg.Connection[Any]:
        """Another connection that reads at the same moment. Raises what psycopg raises where there is none."""
        if self._connect is None or not self._snapshot:
            raise psycopg.OperationalError("no second connection")
        connection = self._connect()
        try:
            begin(connection, 0, self._snapshot)
        except BaseException:
            connection.close()
            raise
        return connection

    def ask(self, statement: bytes, parameters: Sequence[str], seconds: float) -> tuple[Any, ...]:
        """One row from its own connection, once no more rows are read.

        Raises ``errors.DatabaseBusy`` after ``seconds``, or after the time that any statement has.
        """
        with wire.database_errors():
            self._end_statement()
            self._execute(f"SET LOCAL statement_timeout = {min(int(seconds * 1000), self._timeout_ms)}")
            return self._connection.execute(statement, parameters or None).fetchone() or ()

    def release(self) -> psycopg.Connection[Any]:
        """End the snapshot and give the connection back, open. Not to be used again, nor closed."""
        with wire.database_errors():
            if self._stream is not None:
                self._stream.drain()
            self._connection.rollback()
        return self._connection

    def close(self) -> None:
        """End the snapshot, and a statement that still runs. May be called twice.

        The connection is closed, unless it is in order and somebody takes it back.
        """
        is_idle = self._stream is None or self._stream.ended
        if self._has_more() and not self._connection.closed:
            # PostgreSQL sees a closed connection only when it next writes, which a long sort does not.
            with suppress(psycopg.Error):
                self._connection.cancel_safe(timeout=wire.CANCEL_SECONDS)
        wire.look_no_more(self._connection)
        end, self._end = self._end, None
        if end is not None:
            (end if is_idle else psycopg.Connection.close)(self._connection)

    def _patient_lines(self, limit: int) -> wire.Lines:
        """Rows of the snapshot, in halved chunks from where a statement took too long."""
        while True:
            try:
                with wire.database_errors():
                    return self._lines(min(limit, self._chunk_rows))
            except errors.DatabaseBusy as error:
                if not self._timed_out(error):
                    raise
                with wire.database_errors():
                    self._execute("ROLLBACK TO SAVEPOINT chunk")
                self._stream = None
                self._ask_for_less()

    def _end_statement(self) -> None:
        """Give up a statement that has more rows than were wanted."""
        if self._stream is not None and self._has_more():
            self._connection.cancel_safe(timeout=wire.CANCEL_SECONDS)
            with suppress(psycopg.Error):
                self._stream.drain()
            self._execute("ROLLBACK TO SAVEPOINT chunk")
        elif self._stream is not None:
            self._stream.drain()

    def _has_more(self) -> bool:
        """Whether the statement has rows left to send; each cancel is a connection of its own."""
        stream = self._stream
        return stream is not None and not stream.ended and (self._asked is None or stream.rows < self._asked)

    def _explained(self, error: errors.BadQuery) -> errors.PipelineError:
        """What a value or a literal that no text can hold is called; anything else stays as it is."""
        if not isinstance(error.__cause__, diagnosis.UNFIT):
            return error
        self._execute("ROLLBACK TO SAVEPOINT chunk")
        if literal := diagnosis.literal_error(self._connection, self._copy(None)):
            return literal
        kinds = dict(zip(self._names()[0], self.types, strict=False))
        found = diagnosis.unreadable_document(self._connection, kinds, self._first_key)
        if found is None:
            return error
        number = int(found[0][1:])
        return diagnosis.document_error(self._query.names[number - 1] if self._query.names else str(number), found[1])

    def _first_key(self, condition: str) -> str | None:
        """Key of the first row to come that fulfils a condition."""
        bounds = f"{self._where()} AND" if self._where() else "WHERE"
        select = f"SELECT {self._key.sent()} {self._from()} {bounds} {condition} ORDER BY {self._key.order()} LIMIT 1"
        row = self._fetch(select)
        return ", ".join(self._key.received(row[0].encode())) if row else None

    def _ask_for_less(self) -> None:
        """One chunk a statement, then half a chunk, and so on."""
        if self._chunks > 1:
            self._chunks = 1
        else:
            self._most_rows = self._chunk_rows = max(MIN_CHUNK_ROWS, (self._asked or 0) // 2)

    def _timed_out(self, error: errors.DatabaseBusy) -> bool:
        """Whether fewer rows may help: not where somebody cancelled the statement, nor at the smallest chunk."""
        if not isinstance(error.__cause__, psycopg.errors.QueryCanceled) or (self._asked or 0) <= MIN_CHUNK_ROWS:
            return False
        return (time.monotonic() - self._asked_at) * 1000 >= self._timeout_ms * 0.9

    def _lines(self, count: int) -> wire.Lines:
        """Rows of the running statement; of the next one where it has ended. None only after the last row."""
        while True:
            if self._stream is None or self._stream.ended:
                self._stream = self._next_statement(count)
            lines = self._stream.read(count, TARGET_CHUNK_BYTES, self._rows.delimiter)
            if self._stream.ended:
                self._done = self._asked is None or self._stream.rows < self._asked
            # A statement whose last row was read by the call before shows its end only now: not yet our end.
            if lines.texts or self._done:
                return lines

    def _next_statement(self, count: int) -> wire.CopyOut:
        limit: int | None = count  # fewer rows than a chunk are all that is wanted
        if count == self._chunk_rows:
            limit = None if self._one_pass else count * self._chunks
        if self._one_pass:
            self._execute("SET LOCAL statement_timeout = 0")  # one sort may outlast any chunk
        if not self._saved:
            self._execute("SAVEPOINT chunk")  # the snapshot outlives a statement that is given up
            self._saved = True
        self._asked, self._asked_at = limit, time.monotonic()
        return wire.CopyOut(self._connection, self._copy(limit))

    def _chunk(self, lines: wire.Lines) -> Chunk:
        """The key of the last line is the cursor."""
        rows, key = self._rows, lines.field
        if key == rows.null:
            raise errors.BadKey  # a NULL in it makes the whole field NULL
        texts = lines.texts
        if rows.escaped:  # line by line: few have a backslash, and one byte is found faster than two
            texts = [text.replace(b"\\\\", b"\\") if b"\\" in text else text for text in texts]
            key = key.replace(b"\\\\", b"\\")
        texts[-1] += rows.end  # behind the whole chunk it would copy it
        data = rows.joint.join(texts)
        if rows.removed:
            data = data.translate(None, rows.removed)
        return Chunk(data=data, rows=len(texts), cursor=self._key.received(key))

    def _adapt(self, size: int, rows: int) -> None:
        if rows < 100:
            return
        fitting = int(TARGET_CHUNK_BYTES / max(1, size / rows))
        self._chunk_rows = max(MIN_CHUNK_ROWS, min(self._most_rows, fitting, self._chunk_rows * 2))

    # SQL

    def _names(self) -> tuple[list[str], list[str]]:
        query = self._query
        return [f"c{n}" for n in range(1, query.columns + 1)], [f"k{n}" for n in range(1, query.keys + 1)]

    def _from(self) -> str:
        columns, keys = self._names()
        rows = f"FROM ({self._query.text}) AS q({', '.join(columns + keys)})"
        if self._recast is None:
            return rows
        return f"FROM (SELECT {', '.join(self._recast + keys)} {rows}) AS q({', '.join(columns + keys)})"

    def _bound(self, operator: str, cursor: Cursor | None) -> str | None:
        return None if cursor is None else self._key.compared(operator, cursor)

    def _where(self) -> str:
        bounds = [bound for bound in (self._bound(">", self._cursor), self._bound("<=", self.last)) if bound]
        return f"WHERE {' AND '.join(bounds)}" if bounds else ""

    def _select(self, expressions: Sequence[str], limit: int | None) -> str:
        limited = f" LIMIT {limit}" if limit is not None else ""
        return f"SELECT {', '.join(expressions)} {self._from()} {self._where()} ORDER BY {self._key.order()}{limited}"

    def _copy(self, limit: int | None) -> str:
        select = self._select([*self._rows.expressions, self._key.sent()], limit)
        return f"COPY ({select}) TO STDOUT ({self._rows.copy_options})"

    # Questions asked once, at the start

    def _find_bounds(self) -> None:
        """Whether the key is one, what the last row is, and whether an index gives the order."""
        if self._cursor is None and not self._is_proven():
            self._probe_key()
        self.last = self.last or self._find_last()
        self._done = self.last is None
        self._one_pass = not self._done and self._order_needs_sort()

    def _export_snapshot(self) -> str:
        row = self._fetch("SELECT pg_export_snapshot()")
        return str(row[0]) if row else ""

    def _is_proven(self) -> bool:
        unique = self._query.unique
        return are_unique(self._connection, unique) if unique else self._query.proven_key

    def _ask_for(self, after: Cursor | None, last: Cursor | None) -> Question:
        query = self._query
        keys = query.keys_text or f"SELECT {', '.join(self._names()[1])} {self._from()}"
        return Question(rows=query.count or query.text, keys=keys, key=self._key, after=after, last=last)

    def _find_key(self) -> cursors.Key:
        """The key's types by name. Raises ``BadKey`` where one has no order, or no text that leads back to it."""
        oids = self.types[self._query.columns :]
        names = [cursors.known_type(oid) for oid in oids]
        if None in names:
            row = self._fetch(f"SELECT {', '.join(f'format_type({oid}, -1)' for oid in oids)}")
            names = list(row) if row else names
        columns = [
            cursors.KeyColumn(name=f"k{n}", oid=oid, type=str(name))
            for n, (oid, name) in enumerate(zip(oids, names, strict=True), 1)
        ]
        key = cursors.Key(columns)
        if statement := key.unordered():
            try:
                self._execute(statement)
            except psycopg.errors.UndefinedFunction as error:
                types = ", ".join(column.type for column in columns)
                raise errors.BadKey(f"The key is of a type that has no order: {types}.") from error
        return key

    def _find_last(self) -> Cursor | None:
        select = f"SELECT {self._key.sent()} {self._from()} ORDER BY {self._key.order(' DESC')} LIMIT 1"
        row = self._fetch(select)
        if row is None:
            return None
        if row[0] is None:
            raise errors.BadKey
        return self._key.received(row[0].encode())

    def _probe_key(self) -> None:
        doubled = f"SELECT 1 {self._from()} GROUP BY {self._key.order()} HAVING count(*) > 1"
        row = self._fetch(f"SELECT EXISTS (SELECT 1 {self._from()} WHERE {self._key.is_null()}) OR EXISTS ({doubled})")
        if row and row[0]:
            raise errors.BadKey

    def _order_needs_sort(self) -> bool:
        """True where each chunk would sort all rows anew: no index gives the order."""
        select = self._select(["*"], self._chunk_rows)
        return plans.has_sort(self._fetch(f"EXPLAIN (FORMAT JSON) {select}"))

    def _execute(self, statement: str) -> psycopg.Cursor[Any]:
        # Compiled SQL without parameters: as bytes, so that a percent sign in it means nothing.
        return self._connection.execute(statement.encode())

    def _fetch(self, statement: str) -> tuple[Any, ...] | None:
        return self._execute(statement).fetchone()
