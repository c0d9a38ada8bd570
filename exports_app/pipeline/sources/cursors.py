"""Values of a key on their way: from a row of ``COPY`` to text, into JSON, and back into a comparison.

Each travels as its type prints it under the settings of ``session.SESSION``, and comes back through the same type
without a modifier: ``'INV00500'::character(3)`` would be cut, ``'INV00500'::bpchar`` is not. The column that it is
compared with brings domain and collation. What a type prints may hold delimiters, quotes and line ends; all
but a few types that never do are sent in hexadecimal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exports_app.pipeline import errors
from exports_app.pipeline.literals import quote
from exports_app.pipeline.types import Cursor

SEPARATOR = "\x1f"
"""Between two values of a row: COPY does not escape it in any format, and no value as sent has it."""

PLAIN = {
    16: "boolean",
    20: "bigint",
    21: "smallint",
    23: "integer",
    26: "oid",
    700: "real",
    701: "double precision",
    1082: "date",
    1083: "time without time zone",
    1114: "timestamp without time zone",
    1184: "timestamp with time zone",
    1186: "interval",
    1700: "numeric",
    2950: "uuid",
}
"""Types whose text has only digits, letters, spaces and ``+-.:``, by OID (``pg_type.dat``, fixed for all versions)."""
TEXT = {25: "text", 1043: "character varying", 1042: "bpchar"}
THROUGH = {18: "integer"} | dict.fromkeys((24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191), "oid")
"""Types whose text does not lead back to the value: ``"char"`` beyond ASCII, and the names that ``regclass`` and its
kind print for a number. They are sent as the number."""
ANONYMOUS = frozenset({2249, 2287})
"""Rows without a type of their own, which no text can be cast to: ``record`` and its array."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyColumn:
    """One column of a key."""

    name: str
    """In SQL: ``k1``."""
    oid: int
    """Of its type; of a domain, of the type below it."""
    type: str
    """In SQL, without a modifier."""

    @property
    def plain(self) -> bool:
        return self.oid in PLAIN or self.oid in THROUGH

    def sent(self) -> str:
        """Expression of the value as a row carries it; NULL for NULL, never empty."""
        if through := THROUGH.get(self.oid):
            return f"{self.name}::{through}::text"
        if self.plain:
            return f"{self.name}::text"
        return f"'x' || encode(convert_to({self.name}::text, 'UTF8'), 'hex')"

    def received(self, sent: str) -> str:
        """Text of the value, of what ``sent`` gave."""
        return sent if self.plain else bytes.fromhex(sent[1:]).decode()

    def literal(self, text: str) -> str:
        """Expression of the value with this text."""
        through = THROUGH.get(self.oid)
        return f"{quote(text)}::{through}::{self.type}" if through else f"{quote(text)}::{self.type}"

    def parameter(self) -> str:
        """Placeholder of the value's text. The types that need no cast take the column's, whatever is thought of it."""
        if self.oid in PLAIN or self.oid in TEXT:
            return "%s"
        through, name = THROUGH.get(self.oid), self.type.replace("%", "%%")
        return f"%s::{through}::{name}" if through else f"%s::{name}"


class Key:
    """The columns of a key, in order. Raises ``errors.BadKey`` for one that cannot be sent, by the name of its type."""

    def __init__(self, columns: Sequence[KeyColumn]) -> None:
        self.columns = tuple(columns)
        for column in columns:
            if column.oid in ANONYMOUS:
                raise errors.BadKey(f"The key is of a type that no text leads back to: {column.type}.")

    def names(self) -> str:
        """Qualified: a bare ``k1`` is the output column of that name, as text, which sorts 10 before 9."""
        return ", ".join(f"q.{column.name}" for column in self.columns)

    def order(self, direction: str = "") -> str:
        return ", ".join(f"q.{column.name}{direction}" for column in self.columns)

    def sent(self) -> str:
        """Expression of the whole key as one field."""
        return f" || {quote(SEPARATOR)} || ".join(column.sent() for column in self.columns)

    def received(self, field: bytes) -> Cursor:
        """The key of a row, of the field that ``sent`` gave. Raises ``errors.BadKey`` for anything else."""
        values = field.decode().split(SEPARATOR)
        if len(values) != len(self.columns) or "" in values:
            raise errors.BadKey
        return tuple([column.received(value) for column, value in zip(self.columns, values, strict=True)])

    def compared(self, operator: str, cursor: Cursor) -> str:
        """Condition that a row's key is so (``>``, ``<=``) in order to ``cursor``."""
        values = [column.literal(text) for column, text in zip(self.columns, cursor, strict=True)]
        return f"({self.names()}) {operator} ({', '.join(values)})"

    def parameters(self) -> str:
        """Placeholders of a key whose texts are bound: each takes the type of the column that it is compared with."""
        return ", ".join(column.parameter() for column in self.columns)

    def is_null(self) -> str:
        """Condition that a value is missing; ``IS NULL`` also holds for a value of a composite type with only NULLs."""
        return " OR ".join(f"q.{column.name} IS NOT DISTINCT FROM NULL" for column in self.columns)

    def unordered(self) -> str | None:
        """A statement that PostgreSQL refuses where a type has no order; None: all of them surely have one."""
        doubtful = [column for column in self.columns if column.oid not in PLAIN and column.oid not in TEXT]
        if not doubtful:
            return None
        columns = ", ".join(f"NULL::{column.type} AS {column.name}" for column in doubtful)
        names = ", ".join(f"q.{column.name}" for column in doubtful)
        return f"SELECT 1 FROM (SELECT {columns}) AS q WHERE ({names}) > ({names}) ORDER BY {names}"


def known_type(oid: int) -> str | None:
    """Name of a type that every database has under this OID; None: the database must be asked."""
    return PLAIN.get(oid) or TEXT.get(oid)
