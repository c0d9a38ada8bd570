"""What a request for an export can be refused for. The docstring is the default sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any, ClassVar

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, OperationalError

from exports_app.pipeline.sqlstates import Meaning, meaning

DATABASE_RETRY_SECONDS = 5

NO_PLACE = "53300"
"""SQLSTATE of a server, or a role, that has no connection free; the next request may have one."""
PASSING = (Meaning.AWAY, Meaning.READ_ONLY, Meaning.BUSY)
OF_CLIENTS = (psycopg.OperationalError, psycopg.InterfaceError, OperationalError, InterfaceError)

MOST_PROBLEMS = 20
"""Problems that one answer names."""
SHOWN_BYTES = 600
"""Of a sentence about one of them."""
SHOWN_CHARACTERS = 100
"""Of a name that does not exist; a longer one is like none that does."""
SHOWN_NAMES = 50
"""Names that exist, in a sentence about one that does not."""
COMPARISONS = 1_000
"""Of names, looking for the nearest ones; each takes some 20 µs."""

FieldErrors = Mapping[str, Any]
"""Nests as the request's body does: ``{"filters": {"status": ["…"]}}``."""


class ExportError(Exception):
    """The export could not be made."""

    code: str = "internal"
    status: ClassVar[int] = 500

    def __init__(self, detail: str = "", *, errors: FieldErrors | None = None, retry_after: int | None = None) -> None:
        super().__init__(detail or (type(self).__doc__ or "").strip())
        self.errors = errors
        self.retry_after = retry_after
        """Seconds after which the same request may work."""


class Invalid(ExportError):
    """The request is not valid."""

    code = "invalid"
    status = 400

    @classmethod
    def of(cls, field: str, message: str) -> Invalid:
        """One sentence about one field is all there is to say."""
        return cls(message, errors={field: [message]})


class PermissionDenied(ExportError):
    """You may not export this data."""

    code = "permission_denied"
    status = 403


class ColumnForbidden(ExportError):
    """You may not export this column."""

    code = "column_forbidden"
    status = 403


class NotFound(ExportError):
    """There is no such thing here."""

    code = "not_found"
    status = 404


class Conflict(ExportError):
    """The export is in a state that does not allow this."""

    code = "conflict"
    status = 409


class Gone(ExportError):
    """The file of this export has expired."""

    code = "gone"
    status = 410


class LinkWrong(PermissionDenied):
    """This link is not right. Copy it whole, or ask for a new one."""


class LinkUsed(PermissionDenied):
    """This link was used already; each works once. Ask for a new one."""


class LinkWithdrawn(PermissionDenied):
    """This link was withdrawn. Ask for a new one."""


class LinkExpired(Gone):
    """This link has expired. Ask for a new one."""


class TooLarge(ExportError):
    """The request is too large."""

    code = "too_large"
    status = 413

    @classmethod
    def of(cls, maximum: int) -> TooLarge:
        return cls(f"The request has more than {maximum:,} bytes.")


class TooManyRows(ExportError):
    """The export has more rows than are allowed for this data."""

    code = "too_many_rows"
    status = 422

    @classmethod
    def of(cls, rows: int, maximum: int) -> TooManyRows:
        return cls(
            f"Export would contain {rows:,} rows, which exceeds the maximum of {maximum:,}. Please narrow your filters."
        )


class FormatLimit(ExportError):
    """The data does not fit into the chosen file format."""

    code = "format_limit"
    status = 422


class Unmakeable(ExportError):
    """The export could not be made."""

    status = 422

    def __init__(self, detail: str, *, code: str) -> None:
        """``code``: that of the pipeline's error, as a job would have it."""
        super().__init__(detail)
        self.code = code


class BadQuery(ExportError):
    """The database refused the query behind this data. An operator has to mend it."""

    code = "bad_query"
    status = 422


class BadResource(BadQuery):
    """This data cannot be exported at the moment: its declaration is broken, and an operator has to mend it."""


class Misdeclared(BadQuery, ImproperlyConfigured):
    """This data is declared in a way that cannot be exported. An operator has to mend it."""


class Throttled(ExportError):
    """Too many exports at once."""

    code = "throttled"
    status = 429


class Unavailable(ExportError):
    """The service is not available at the moment. Please try again."""

    code = "unavailable"
    status = 503


class DatabaseAway(Unavailable):
    """The database is away at the moment."""

    def __init__(self) -> None:
        super().__init__(retry_after=DATABASE_RETRY_SECONDS)


class NotMigrated(Unavailable):
    """The database is not migrated to this release. An operator has to run manage.py migrate."""

    def __init__(self) -> None:
        super().__init__(retry_after=DATABASE_RETRY_SECONDS)


class DatabaseBusy(Unavailable):
    """The database could not answer in time. Please try again."""

    def __init__(self) -> None:
        super().__init__(retry_after=DATABASE_RETRY_SECONDS)


class Disabled(ExportError):
    """Exports are switched off at the moment."""

    code = "exports_disabled"
    status = 503


def of_database(error: BaseException) -> ExportError | None:
    """What a database's answer to the query behind an export means, by its SQLSTATE; None: it is no such answer."""
    code = sqlstate(error)
    meant = meaning(code)
    if meant is Meaning.BUSY or code == NO_PLACE:
        return DatabaseBusy()
    if meant is not Meaning.TOO_MUCH and is_outage(error):
        return DatabaseAway()
    return BadQuery() if isinstance(error, psycopg.Error | DatabaseError) else None


def is_outage(error: BaseException) -> bool:
    """Whether the site's own database is away, busy or takes no writes, by what psycopg or Django raised.

    That a class of theirs says so is true only of errors without a SQLSTATE, and of those that no table knows.
    """
    meant = meaning(sqlstate(error))
    if meant is not None:
        return meant in PASSING
    return isinstance(error, OF_CLIENTS)


def sqlstate(error: BaseException | None) -> str | None:
    """PostgreSQL's five characters, where an error has them."""
    while error is not None:
        if isinstance(error, psycopg.Error):
            return error.sqlstate
        error = error.__cause__
    return None


def first_sentence(error: ExportError) -> str:
    """What is wrong with the first field that it names, else the error's own sentence."""
    nested: Any = error.errors
    while isinstance(nested, Mapping) and nested:
        nested = next(iter(nested.values()))
    return str(nested[0]) if isinstance(nested, list) and nested else str(error)


def unknown(what: str, name: str, known: Sequence[str], *, is_near: bool = True) -> str:
    """A sentence for a name that does not exist, with the nearest one that does unless ``is_near`` says not to look."""
    near = get_close_matches(name, known, n=1) if is_near and len(name) <= SHOWN_CHARACTERS else []
    if near:
        hint = f" Did you mean {near[0]}?"
    else:
        more = f" and {len(known) - SHOWN_NAMES:,} more" if len(known) > SHOWN_NAMES else ""
        hint = f" Valid: {', '.join(known[:SHOWN_NAMES])}{more}." if known else ""
    return f"Unknown {what} {cut(name)}.{hint}"


def unknown_names(what: str, names: Iterable[str], known: Sequence[str]) -> dict[str, list[str]]:
    """Such a sentence for each of the names that are not known, the first ``MOST_PROBLEMS`` of them."""
    certain = frozenset(known)
    wrong = islice((name for name in names if name not in certain), MOST_PROBLEMS)
    looked_for = max(1, COMPARISONS // max(1, len(known)))
    return {name: [unknown(what, name, known, is_near=number < looked_for)] for number, name in enumerate(wrong)}


def few(nested: Any) -> tuple[Any, bool]:
    """Problems that nest in mappings and lists, the first ``MOST_PROBLEMS`` of them, and whether these are all."""
    taken = _few(nested, [MOST_PROBLEMS])
    return taken, _count(nested, MOST_PROBLEMS + 1) <= MOST_PROBLEMS


def _few(value: Any, left: list[int]) -> Any:
    if isinstance(value, Mapping):
        return {cut(str(name)): _few(each, left) for name, each in value.items() if left[0] > 0}
    if isinstance(value, list | tuple):
        return [_few(each, left) for each in value if left[0] > 0]
    left[0] -= 1
    return cut(str(value), SHOWN_BYTES)


def _count(value: Any, most: int) -> int:
    """Problems, ``most`` at most."""
    if not isinstance(value, Mapping | list | tuple):
        return 1
    found = 0
    for each in value.values() if isinstance(value, Mapping) else value:
        found += _count(each, most - found)
        if found >= most:
            break
    return found


def cut(text: str, most: int = 100) -> str:
    """The text, or so many bytes of it."""
    if 4 * len(text) <= most or len(raw := text.encode("utf-8", "replace")) <= most:
        return text
    return raw[:most].decode("utf-8", "ignore") + "…"
