"""What a request for an export can be refused for. The docstring is the default sentence."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, ClassVar

DATABASE_RETRY_SECONDS = 5

FieldErrors = Mapping[str, Any]
"""Nests as the request's body does: ``{"filters": {"status": ["…"]}}``."""


class ExportError(Exception):
    """The export could not be made."""

    code: ClassVar[str] = "internal"
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


class BadQuery(ExportError):
    """The database refused the query behind this data. An operator has to mend it."""

    code = "bad_query"
    status = 422


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


class Disabled(ExportError):
    """Exports are switched off at the moment."""

    code = "exports_disabled"
    status = 503


def unknown(what: str, name: str, known: list[str]) -> str:
    """A sentence for a name that does not exist, with the nearest one that does."""
    near = get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]}?" if near else f" Valid: {', '.join(known)}." if known else ""
    return f"Unknown {what} {name}.{hint}"
