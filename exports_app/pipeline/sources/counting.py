"""How many rows a run should write, counted apart from the reader that gives them.

The count is PostgreSQL's own ``count(*)`` of the query as the ORM compiles it, under the reader's snapshot. A run that
reads at one moment counts the query alone. One that goes on behind an earlier run's last row counts three stretches of
the key, which together must be the whole; the bounds are parameters, typed by the columns they are compared with.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import psycopg

from exports_app.pipeline import errors
from exports_app.pipeline.sources.cursors import Key
from exports_app.pipeline.types import Cursor
from exports_app.pipeline.waiting import POLL_SECONDS, look

BESIDE_SECONDS = 0.3
"""A run that is over sooner is counted on its own connection: most exports are, and signing in costs more than that."""
CONNECT_SECONDS = 1.0
"""A second connection that is not there so long after the last row is not waited for."""
CANCEL_AGAIN_SECONDS = 0.1
"""A cancel that comes before its statement has no effect."""
LEAST_SECONDS = 10.0
"""A count may take as long as the reading did, and so long at least."""
MARK_SECONDS = 10.0
"""Between two counts of what is stored so far."""
MARK_SHARE = 20
"""So many times as long as the last such count took, at least."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Rows of one query at one moment."""

    before: int
    """Up to the key behind which the run began."""
    stretch: int
    """What the run should write."""
    behind: int
    """Behind the last key of the export."""
    whole: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is counted of one query."""

    rows: str
    """SQL of the rows."""
    keys: str
    """SQL of their keys alone."""
    key: Key
    after: Cursor | None = None
    last: Cursor | None = None
    """Where another moment than this one has fixed it."""

    @property
    def is_whole(self) -> bool:
        """Whether the run reads all rows of its moment."""
        return self.after is None and self.last is None

    def between(self, after: Cursor | None, last: Cursor | None) -> tuple[bytes, list[str]]:
        """Statement and parameters of the number of rows with keys behind ``after``, up to ``last``."""
        bounds = [(operator, cursor) for operator, cursor in ((">", after), ("<=", last)) if cursor is not None]
        conditions = " AND ".join(self._compared(operator) for operator, _ in bounds)
        where = f"WHERE {conditions}" if bounds else ""
        return self._statement("count(*)", where), [text for _, cursor in bounds for text in cursor]

    def whole(self, limit: int | None) -> bytes:
        """Statement of the number of all rows, ``limit`` at most."""
        if limit is None:
            return f"SELECT count(*) FROM ({self.rows}) AS counted".encode()
        return f"SELECT count(*) FROM (SELECT FROM ({self.rows}) AS every LIMIT {limit}) AS counted".encode()

    def stretches(self) -> tuple[bytes, list[str]]:
        """Statement and parameters of the columns of ``Counted``."""
        begins, ends = self.after or (), self.last or ()
        inside = [self._compared(operator) for operator, bound in ((">", begins), ("<=", ends)) if bound]
        parts = [
            self._compared("<=") if begins else "false",
            " AND ".join(inside),
            self._compared(">") if ends else "false",
        ]
        counts = ", ".join(f"count(*) FILTER (WHERE {part})" for part in parts)
        return self._statement(f"{counts}, count(*)", ""), [*begins, *begins, *ends, *ends]

    def _statement(self, counts: str, where: str) -> bytes:
        names = ", ".join(column.name for column in self.key.columns)
        bound = "%s" in counts + where
        keys = self.keys.replace("%", "%%") if bound else self.keys
        return f"SELECT {counts} FROM ({keys}) AS q({names}) {where}".encode()

    def _compared(self, operator: str) -> str:
        return f"({self.key.names()}) {operator} ({self.key.parameters()})"


class Countable(Protocol):
    """A source whose rows can be counted."""

    question: Question

    def beside(self) -> psycopg.Connection[Any]:
        """Another connection that reads at the same moment; raises what psycopg raises where there is none."""

    def ask(self, statement: bytes, parameters: Sequence[str], seconds: float) -> tuple[int, ...]:
        """One row from its own connection, once no more rows are read. Raises ``errors.DatabaseBusy``."""


@runtime_checkable
class HasCountable(Protocol):
    """A source that can name those whose rows can be counted, one for each table that it reads, in their order."""

    def countable(self) -> Sequence[Countable]:
        """Empty: rows of some table are not PostgreSQL's."""


Ask = Callable[[bytes, Sequence[str]], tuple[int, ...]]


class Uncounted(Exception):
    """The rows could not be counted; the message says why."""


NO_QUERY = "a program makes these rows, so that the database has nothing to count"


def too_long(seconds: float) -> str:
    """Why a count was given up."""
    return f"the count took more than {seconds:.0f} seconds"


class RowCounter:
    """Counts beside one run what it should write.

    ``limits``: rows that it may write of each table at most; None: all. ``passed``: tables that an earlier run has
    written, before the first of ``sources``.
    """

    def __init__(self, sources: Sequence[Countable], limits: Sequence[int | None], *, passed: int = 0) -> None:
        self.verified: bool | None = None
        """True: the count agreed. None: there was none yet, or never, and ``why``."""
        self.why = ""
        self._sources, self._limits, self._passed = sources, limits, passed
        self._began = time.monotonic()
        self._over, self._connected, self._done = threading.Event(), threading.Event(), threading.Event()
        self._found: list[Counted] = []
        self._failure: Exception | None = None
        self._connection: psycopg.Connection[Any] | None = None
        self._marks: queue.SimpleQueue[tuple[int, Cursor] | None] = queue.SimpleQueue()
        self._next_mark = self._began + MARK_SECONDS
        self._confirmed: int | None = None
        self._doubt: tuple[int, Cursor] | None = None
        """A mark that the count beside did not confirm, the last of the run: ``verify`` decides."""
        self._thread = threading.Thread(target=self._count_beside, name="row-count", daemon=True)
        if sources:
            self._start()

    # What the run asks

    def mark(self, rows: int, cursor: Cursor | None) -> None:
        """Have it counted whether this run's first ``rows`` rows are those up to ``cursor``: ``confirmed`` will say.

        Only so often, and only of a run over one table.
        """
        ready = self._done.is_set() and self._failure is None and len(self._sources) == 1
        if ready and cursor is not None and time.monotonic() >= self._next_mark:
            self._next_mark = float("inf")  # until this one is counted
            self._marks.put((rows, cursor))

    def confirmed(self) -> int | None:
        """How many of this run's first rows a count has confirmed since the last call; None: no more than before."""
        found, self._confirmed = self._confirmed, None
        return found

    def verify(self, written: Sequence[int]) -> None:
        """Compare with the rows that this run wrote of each table; waits for the count as long as it may take.

        Tables behind the last one that has rows may be missing in ``written``.
        """
        try:
            patience = self._patience()
            expected = self._expected(self._in_time(patience))
            found = [*written, *[0] * (len(expected) - len(written))]
            if found != expected and not self._over.is_set():
                # Where rows depend on the clock, as those of a view may, the other connection's began later.
                expected = self._expected(self._count_here(patience))
            if found != expected:
                raise errors.Incomplete(f"The file has {_told(found)}, and the database counts {_told(expected)}.")
            self._settle_doubt(patience)
        except Uncounted as why:
            self.why = str(why)
            return
        self.verified = True

    def _settle_doubt(self, patience: float) -> None:
        """Have the connection that read count the rows up to the doubted mark, by its own clock."""
        if self._doubt is None:
            return
        (rows, cursor), (source,) = self._doubt, self._sources
        statement, bounds = source.question.between(source.question.after, cursor)
        with _in_time_or_uncounted(patience):
            (counted,) = source.ask(statement, bounds, patience)
        if counted != rows:
            raise errors.Incomplete(f"The file's first {rows:,} rows are {counted:,} by the database's count.")

    def _expected(self, counts: Sequence[Counted]) -> list[int]:
        """Rows that this run should write of each table."""
        return [0] * self._passed + [
            counted.stretch if limit is None else min(limit, counted.stretch)
            for counted, limit in zip(counts, self._limits, strict=True)
        ]

    def close(self) -> None:
        """End the count. May be called twice."""
        self._over.set()
        self._marks.put(None)
        ends = time.monotonic() + CONNECT_SECONDS
        while self._thread.is_alive() and time.monotonic() < ends:
            if (connection := self._connection) is not None:
                with suppress(psycopg.Error):  # it may have ended by itself
                    connection.cancel_safe(timeout=CONNECT_SECONDS)
            self._thread.join(CANCEL_AGAIN_SECONDS)

    # The count

    def _patience(self) -> float:
        """Seconds that a count may take."""
        return max(LEAST_SECONDS, time.monotonic() - self._began)

    def _in_time(self, patience: float) -> list[Counted]:
        if not self._sources:
            raise Uncounted(NO_QUERY)
        took = time.monotonic() - self._began
        if took < BESIDE_SECONDS or not self._await(self._connected, CONNECT_SECONDS):
            self._over.set()
            return self._count_here(patience)
        if not self._await(self._done, patience):
            raise Uncounted(too_long(patience))
        if isinstance(self._failure, errors.Incomplete):
            raise self._failure
        return self._found if self._failure is None else self._count_here(patience)

    def _await(self, event: threading.Event, seconds: float) -> bool:
        ends = time.monotonic() + seconds
        while not event.wait(min(POLL_SECONDS, max(0.0, ends - time.monotonic()))):
            look()
            if time.monotonic() >= ends:
                return False
        return True

    def _count_here(self, seconds: float) -> list[Counted]:
        """On the connections that read."""
        with _in_time_or_uncounted(seconds):
            return [
                count(each.question, limit, partial(_ask_within, each, seconds))
                for each, limit in zip(self._sources, self._limits, strict=True)
            ]

    def _start(self) -> None:
        try:
            self._thread.start()
        except RuntimeError as error:  # there may be no more threads: then it is counted by the run itself
            self._failure = error
            self._connected.set()
            self._done.set()

    def _count_beside(self) -> None:
        """In a thread of its own, unless the run is over before it begins."""
        if self._over.wait(BESIDE_SECONDS):
            return
        try:
            for each, limit in zip(self._sources, self._limits, strict=True):
                with each.beside() as self._connection:
                    self._connected.set()
                    if self._over.is_set():
                        return
                    ask = partial(_ask, self._connection)
                    self._found.append(count(each.question, limit, ask))
                    if each is self._sources[-1]:
                        self._done.set()
                        self._count_marks(each.question, ask)
        except Exception as error:
            self._failure = error
        finally:
            self._connected.set()
            self._done.set()

    def _count_marks(self, question: Question, ask: Ask) -> None:
        counted, after = 0, question.after
        while (mark := self._marks.get()) is not None:
            rows, cursor = mark
            began = time.monotonic()
            (more,) = ask(*question.between(after, cursor))
            counted, after = counted + more, cursor
            if counted != rows:
                self._doubt = mark
                return
            self._confirmed = rows
            now = time.monotonic()
            self._next_mark = now + max(MARK_SECONDS, MARK_SHARE * (now - began))


@contextmanager
def _in_time_or_uncounted(seconds: float) -> Iterator[None]:
    try:
        yield
    except errors.DatabaseBusy as error:
        raise Uncounted(too_long(seconds)) from error


def count(question: Question, limit: int | None, ask: Ask) -> Counted:
    """Ask it. Raises ``errors.Incomplete`` where the stretches are not the whole."""
    if question.is_whole:
        (whole,) = ask(question.whole(limit), ())
        return Counted(0, whole, 0, whole)
    counted = Counted(*ask(*question.stretches()))
    if (missing := counted.whole - counted.before - counted.stretch - counted.behind) != 0:
        raise errors.Incomplete(f"Of {counted.whole:,} rows, {missing:,} have no place in the order of the key.")
    return counted


def _ask(connection: psycopg.Connection[Any], statement: bytes, parameters: Sequence[str]) -> tuple[int, ...]:
    return connection.execute(statement, parameters or None).fetchone() or ()


def _ask_within(source: Countable, seconds: float, statement: bytes, parameters: Sequence[str]) -> tuple[int, ...]:
    return source.ask(statement, parameters, seconds)


def _told(rows: Sequence[int]) -> str:
    return " and ".join(f"{each:,}" for each in rows) + (" row" if list(rows) == [1] else " rows")
