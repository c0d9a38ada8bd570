"""What a process can lack: memory, address space, threads, processes, open files; by whatever error it is told."""

from __future__ import annotations

import errno
import ssl
import threading
import zlib
from collections.abc import Iterator, Sequence

import psycopg

from exports_app.pipeline.errors import MemoryLimit, NoRoom, PipelineError

FULL = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE})
"""Of ``fork``, ``clone``, ``open`` and ``socket``: another thread, process or file is one too many."""
NO_THREAD = (
    "can't start new thread",  # Python
    "failed to launch worker thread",  # Arrow
)
NO_MEMORY = (
    "out of memory",  # libpq
    "cannot allocate memory",  # the C library
    "failed to map segment",  # its loader
    "cannot map zero-fill pages",
    "bad_alloc",  # C++, through Arrow
    "malloc of size",  # Arrow
    "realloc of size",
    "memory allocation",  # getaddrinfo
    "malloc failure",  # OpenSSL
    "insufficient memory",  # zlib
)
"""In English, as Python does not ask these libraries for another language."""
TOLD_BY_TEXT = (ImportError, OSError, RuntimeError, SystemError, psycopg.Error, ssl.SSLError, zlib.error)
LONGEST_CHAIN = 20


def lack(error: BaseException) -> PipelineError | None:
    """The error for what this process lacked, where that is what ``error`` or a cause of it says."""
    for each in _causes(error):
        if isinstance(each, PipelineError):
            continue
        if (kind := _lacked(each)) is not None:
            found = kind()
            found.__cause__ = error
            return found
    return None


def lacks_memory(error: BaseException) -> bool:
    """Whether this very error says that this process, no server, had no memory."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        return False
    return _says(error, NO_MEMORY)


def require_threads(count: int) -> None:
    """Raises ``RuntimeError`` where no so many more can be started: a library would end the process instead."""
    over = threading.Event()
    try:
        for _ in range(count):
            threading.Thread(target=over.wait, name="room", daemon=True).start()
    finally:
        over.set()


def _lacked(error: BaseException) -> type[PipelineError] | None:
    if lacks_memory(error):
        return MemoryLimit
    full = isinstance(error, OSError) and error.errno in FULL
    return NoRoom if full or _says(error, NO_THREAD) else None


def _says(error: BaseException, words: Sequence[str]) -> bool:
    told = isinstance(error, TOLD_BY_TEXT) or type(error).__module__.startswith("pyarrow")
    return told and any(each in str(error).lower() for each in words)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what is behind it, the nearest first; clients wrap what they do not know."""
    waiting = [error]
    for _ in range(LONGEST_CHAIN):
        if not waiting:
            return
        each = waiting.pop(0)
        yield each
        wrapped = [*each.args, getattr(each, "kwargs", {}).get("error")]  # urllib3's, botocore's
        behind = [each.__cause__ or (None if each.__suppress_context__ else each.__context__), *wrapped]
        waiting += [other for other in behind if isinstance(other, BaseException)]
