"""What a process lacks, by every error that says so: the run ends with ``memory_limit`` or is tried again."""

from __future__ import annotations

import errno
import ssl
import zlib

import psycopg
import pyarrow
import pytest
from botocore.exceptions import EndpointConnectionError, HTTPClientError

from exports_app.pipeline import scarcity
from exports_app.pipeline.errors import BadQuery, MemoryLimit, NoRoom, PipelineError
from exports_app.pipeline.sinks.local import translate as translate_file
from exports_app.pipeline.sinks.s3_errors import translate
from exports_app.pipeline.sources.wire import database_errors


def caused(error: Exception, by: BaseException) -> Exception:
    error.__cause__ = by
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), MemoryLimit),
        (pyarrow.ArrowMemoryError("malloc of size 8388608 failed"), MemoryLimit),
        (pyarrow.ArrowException("Unknown error: std::bad_alloc"), MemoryLimit),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), MemoryLimit),
        (OSError("[Errno Out of memory] realloc of size 64 failed"), MemoryLimit),  # Arrow's, without a number
        (ImportError("libarrow.so.2500: failed to map segment from shared object"), MemoryLimit),
        (ImportError("_parquet.cpython-311-x86_64-linux-gnu.so: cannot map zero-fill pages"), MemoryLimit),
        (ImportError("libssl.so.3: cannot allocate memory in static TLS block"), MemoryLimit),
        (psycopg.OperationalError("out of memory for query result"), MemoryLimit),  # libpq's
        (psycopg.OperationalError("out of memory"), MemoryLimit),
        (ssl.SSLError(1, "[SSL] malloc failure (_ssl.c:1)"), MemoryLimit),
        (zlib.error("Error -4 while compressing data: insufficient memory"), MemoryLimit),
        (RuntimeError("can't start new thread"), NoRoom),
        (pyarrow.ArrowException("Unknown error: Failed to launch worker thread: Resource temporarily"), NoRoom),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), NoRoom),  # of fork
        (OSError(errno.EMFILE, "Too many open files"), NoRoom),
        (OSError(errno.ENFILE, "Too many open files in system"), NoRoom),
        (HTTPClientError(error=MemoryError()), MemoryLimit),
        (EndpointConnectionError(endpoint_url="http://s3", error=OSError(errno.EMFILE, "")), NoRoom),
        (caused(ValueError("no such backend"), by=ImportError("x.so: cannot allocate memory")), MemoryLimit),
        (caused(caused(KeyError("a"), by=ValueError("b")), by=MemoryError()), MemoryLimit),
    ],
    ids=lambda value: f"{type(value).__name__}: {value}" if isinstance(value, Exception) else value.__name__,
)
def test_an_error_that_tells_of_a_lack(error: Exception, kind: type[PipelineError]) -> None:
    found = scarcity.lack(error)
    assert type(found) is kind
    assert found.code == "memory_limit"
    assert found.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        ValueError("out of memory"),  # of a project's own code
        KeyError("cannot allocate memory"),
        psycopg.errors.OutOfMemory("out of memory"),  # PostgreSQL's, which is away then
        psycopg.OperationalError("connection refused"),
        OSError(errno.ECONNREFUSED, "Connection refused"),
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("dictionary changed size during iteration"),
        pyarrow.ArrowInvalid("In CSV column #0: bad value"),
        HTTPClientError(error=OSError(errno.ECONNRESET, "Connection reset by peer")),
        caused(BadQuery(), by=ValueError("no")),
    ],
    ids=lambda error: f"{type(error).__name__}: {error}",
)
def test_an_error_of_another_kind(error: Exception) -> None:
    assert scarcity.lack(error) is None


def test_an_error_that_was_dealt_with_before_tells_nothing_of_a_later_one() -> None:
    def fall_back() -> None:
        try:
            raise MemoryError
        except MemoryError:
            raise ValueError("no such file") from None

    with pytest.raises(ValueError, match="no such file") as caught:
        fall_back()
    assert scarcity.lack(caught.value) is None


def test_the_clients_of_storage_and_database_do_not_take_a_lack_for_an_outage() -> None:
    assert type(translate(HTTPClientError(error=MemoryError()))) is MemoryLimit
    assert type(translate(HTTPClientError(error=OSError(errno.EMFILE, "Too many open files")))) is NoRoom
    assert type(translate_file(OSError(errno.ENOMEM, "Cannot allocate memory"))) is MemoryLimit
    assert type(translate_file(OSError(errno.EMFILE, "Too many open files"))) is NoRoom
    with pytest.raises(MemoryLimit), database_errors():
        raise psycopg.OperationalError("out of memory for query result")


def test_a_lack_of_memory_ends_the_export_and_a_lack_of_room_is_tried_again() -> None:
    assert (MemoryLimit.terminal, NoRoom.terminal, NoRoom.outage) == (True, False, False)
