"""Why PostgreSQL could not put a value or a literal into text: the column, the row and the way out."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import psycopg

from exports_app.pipeline import errors
from exports_app.pipeline.sources.types import JSON

UNFIT = (
    psycopg.errors.UntranslatableCharacter,
    psycopg.errors.InvalidTextRepresentation,
    psycopg.errors.NumericValueOutOfRange,
)
"""What a document of the type json may end a statement with: the type keeps any text, and only reading it fails."""
NUL = r"(^|[^\\])(\\\\)*\\u0000"
CHECKS_INPUT = 160_000
"""PostgreSQL from which on ``pg_input_is_valid`` finds every such document; before, those with U+0000."""


def json_columns(types: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Columns, by the names in the query, whose documents may not be readable, and the condition that they are not."""
    for column, oid in types.items():
        if oid in JSON:
            yield column, f"to_json({column})::text"


def unreadable_document(
    connection: psycopg.Connection[Any],
    types: Mapping[str, int],
    find: Callable[[str], str | None],
) -> tuple[str, str] | None:
    """Name in the query, and key, of the first document that PostgreSQL cannot read; None: that was not the reason.

    ``find`` gives the first key of the rows that fulfil a condition.
    """
    checks = connection.info.server_version >= CHECKS_INPUT
    for column, document in json_columns(types):
        condition = f"NOT pg_input_is_valid({document}, 'jsonb')" if checks else f"{document} ~ E'{_escaped(NUL)}'"
        with suppress(psycopg.errors.QueryCanceled):
            if (key := find(condition)) is not None:
                return column, key
    return None


def document_error(column: str, key: str) -> errors.FormatLimit:
    """For a document that was found."""
    return errors.FormatLimit(
        f"The column {column} holds JSON that no text can hold (\\u0000, half a surrogate pair or a number out of "
        f"range), first in the row with the key {key}. Mend that document, or leave the column out."
    )


def literal_error(connection: psycopg.Connection[Any], statement: str) -> errors.FormatLimit | None:
    """For a statement, labels of choices included, with a character that the database has none for; None: it has."""
    encoding = connection.info.parameter_status("server_encoding") or ""
    character = next((each for each in statement if not _has(encoding, each)), None)
    if character is None:
        return None
    return errors.FormatLimit(
        f"The database's encoding, {encoding}, has no “{character}”, which a label of this export holds. "
        "Leave choice_labels out, or choose other labels."
    )


def _has(encoding: str, character: str) -> bool:
    if character.isascii():
        return True
    try:
        character.encode(codecs.lookup(encoding.replace("WIN", "cp")).name)
    except UnicodeEncodeError:
        return False
    except LookupError:
        return True
    return True


def _escaped(pattern: str) -> str:
    return pattern.replace("\\", "\\\\")
