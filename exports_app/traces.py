"""What is kept and logged of an exception: its type and the frames that it passed, never a row's value or a secret.

The sentence of an exception may hold anything, so logs show only those that are known to hold none: the engine's own,
and a database's with its literals masked. Those of a project's own code stand in the traceback that is kept with the
job, which is for ``exports_app.view_error_trace`` alone.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterator
from typing import Final

import psycopg
from django.db import Error as DjangoDatabaseError

from exports_app.errors import ExportError
from exports_app.masking import MASK, mask
from exports_app.pipeline.errors import PipelineError

CLIENTS: Final = frozenset(
    {
        "botocore.exceptions.ClientError",
        "botocore.exceptions.ConnectTimeoutError",
        "botocore.exceptions.EndpointConnectionError",
        "kombu.exceptions.OperationalError",
        "redis.exceptions.ConnectionError",
        "redis.exceptions.TimeoutError",
    }
)
"""What did not answer, or refused: such a sentence says which server, and nothing that was sent to it."""
CAUSE: Final = "\nThe above exception was the direct cause of the following exception:\n\n"
CONTEXT: Final = "\nDuring handling of the above exception, another exception occurred:\n\n"
WITHIN: Final = "\nOne of the exceptions of the following group:\n\n"
RAISED: Final = "exec_stmt_raise"
"""PostgreSQL's function behind ``RAISE`` in PL/pgSQL, whose sentence is a project's own code's."""
DATA: Final = "22"
"""Class of the SQLSTATEs about values: such a sentence ends with one, behind its colon."""
UNDEFINED: Final = ("42P01", "42703", "42883", "42704", "3F000")
"""No such table, column, function, type or schema. The name is the query's where the error has a place in it."""

_TEXT = re.compile(r"""(?<!\w)[EeBbXxNn]?["'«„“\u2018](?:.*["'»“”\u2019]|.*)""", re.DOTALL)
_NUMBER = re.compile(r"(?<![\w$])[+-]?\d[\w.:+-]*")
_REASON = re.compile(r"(:\s).*", re.DOTALL)
_CONNECTION = re.compile(r"""((?:server at|user|database|role|host|host name) )(["'])[\w.:/-]*\2|"[^"]*"|'[^']*'""")


def trace(error: BaseException, *, everything: bool) -> str:
    """The traceback with all causes, the first one first, as Python prints it; no values of variables.

    ``everything``: with the sentences of all exceptions, secrets masked; otherwise with those alone that logs may show.
    """
    return "".join(reversed([*_blocks(error, everything, set())]))


def said(error: BaseException, *, everything: bool = False) -> str:
    """The exception in one line: its type, and its sentence where that may be shown."""
    what = sentence(error, everything=everything)
    return f"{_name(error)}: {what}" if what else _name(error)


def sentence(error: BaseException, *, everything: bool = False) -> str:
    """What it says, in one line; empty where that may hold anything."""
    return " ".join(_sentence(error, everything).split())


def _blocks(error: BaseException, everything: bool, seen: set[int]) -> Iterator[str]:
    """The exception itself, then what came before it, the last one first."""
    seen.add(id(error))
    frames = "".join(traceback.format_tb(error.__traceback__))
    notes = [mask(note) for note in getattr(error, "__notes__", ())] if everything else []
    head = f"Traceback (most recent call last):\n{frames}" if frames else ""
    yield "\n".join([head + said(error, everything=everything), *notes, ""])
    for each in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        if id(each) not in seen:
            yield WITHIN
            yield from _blocks(each, everything, seen)
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield CAUSE if error.__cause__ else CONTEXT
        yield from _blocks(before, everything, seen)


def _sentence(error: BaseException, everything: bool) -> str:
    known = error.__cause__ if isinstance(error, DjangoDatabaseError) else error
    if isinstance(known, psycopg.Error):
        return mask(_of_server(known) if known.sqlstate else _of_client(known))
    if everything or isinstance(error, ExportError | PipelineError) or _name(error) in CLIENTS:
        return mask(str(error))
    if isinstance(error, OSError) and error.errno is not None:
        return f"[Errno {error.errno}] {os.strerror(error.errno)}"
    return ""


def _name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _of_server(error: psycopg.Error) -> str:
    """Severity, SQLSTATE, the sentence with its literals masked, and the names that PostgreSQL gives apart.

    Never its DETAIL, CONTEXT, HINT and LINE, which hold rows, and the query.
    """
    diag, state = error.diag, error.sqlstate or ""
    severity = diag.severity_nonlocalized or diag.severity or "ERROR"
    if diag.source_function == RAISED:
        return f"{severity} {state}: {MASK}"
    sentence = diag.message_primary or ""
    if not (state in UNDEFINED and diag.statement_position):
        sentence = _literals(_REASON.sub(rf"\g<1>{MASK}", sentence) if state.startswith(DATA) else sentence)
    names = {
        "schema": diag.schema_name,
        "table": diag.table_name,
        "column": diag.column_name,
        "type": diag.datatype_name,
        "constraint": diag.constraint_name,
    }
    about = ", ".join(f"{what} {name}" for what, name in names.items() if name)
    return f"{severity} {state}: {sentence}{f' ({about})' if about else ''}"


def _of_client(error: psycopg.Error) -> str:
    """What the client's library says: of a connection that failed, where to and as whom; of a value, nothing."""
    sentence = str(error).partition("\n")[0]
    if isinstance(error, psycopg.OperationalError):
        return _CONNECTION.sub(lambda found: found[0] if found[1] else MASK, mask(sentence))
    return _literals(mask(sentence))


def _literals(sentence: str) -> str:
    return _NUMBER.sub(MASK, _TEXT.sub(MASK, sentence))
