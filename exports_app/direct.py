"""Downloads: files that the answer to their request carries, built first or streamed as they are made.

The job's row says what became of one, as of any export, but no worker takes it and no file is kept. Its lease is that
of this process: where the process dies, the sweep ends the job.
"""

from __future__ import annotations

import contextvars
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, cast

from django.db import Error, connections, transaction
from isal import isal_zlib

from exports_app import conf, downloads, errors, lifecycle, live, metrics, performance, questions, services, traces
from exports_app.choices import Strategy
from exports_app.counted import counts, unverified
from exports_app.lifecycle import LeaseLost
from exports_app.logs import log
from exports_app.models import ExportJob
from exports_app.pipeline import errors as pipeline_errors
from exports_app.pipeline import scarcity
from exports_app.pipeline.errors import PipelineError
from exports_app.pipeline.sinks.pipe import SEND_SECONDS, PipeSink, ReaderGone, ReaderStalled
from exports_app.pipeline.sinks.stream import StreamSink
from exports_app.pipeline.sources.chain import ChainSource
from exports_app.pipeline.sources.counting import RowCounter
from exports_app.pipeline.sources.finished import FinishedSource
from exports_app.pipeline.sources.rows import RowSource
from exports_app.pipeline.sources.sql import SqlSource
from exports_app.pipeline.types import Progress, Sink
from exports_app.pipeline.waiting import while_waiting
from exports_app.plan import Request
from exports_app.progress import Rate
from exports_app.slots import Slots

MAX_STREAMS = 16
"""Of one process at once: each holds a thread, a connection to the source and a few MiB."""
USER_STREAMS = 2
"""Of these, of one user."""
STREAMS_RETRY_SECONDS = 5
SPOOL_BYTES = 8 * conf.MIB
"""A built file is in memory up to here, then in a temporary file."""
BLOCK_BYTES = 65_536
FIRST_ROWS = 1_000
"""Of the first chunk, so that the first byte does not wait for thousands; the chunks double from there."""
RENEW_SECONDS = 1.0
"""Progress, lease and the look whether somebody cancelled are one UPDATE, this often."""
OPENING_STATEMENTS = 4
"""What a source asks before the first row; each within the statement time-out, and nobody renews meanwhile."""

_places = Slots(MAX_STREAMS, USER_STREAMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file on its way to who asked for it."""

    job: ExportJob
    content_type: str
    content: BinaryIO | PipeSink
    """Whole and proven, or as it is made."""
    size: int | None = None
    """Bytes; None: known at the end."""


Answer = Download | tuple[ExportJob, bool]
"""A file; or a job, and whether it is new, as ``services.request_export`` gives it."""


def request_download(
    user: Any, request: Request, extras: services.Extras, *, address: str = "", streams: bool = True
) -> Answer:
    """The file, or a job where it has too many rows for that, or somebody holds its tables.

    ``streams``: whether the answer can say that it broke off; otherwise all is built before it begins.
    Raises the errors of ``exports_app.errors``, also for what goes wrong before the first byte.
    """
    if known := services.known_export(user, request, extras):
        return _not_again(known)
    order = services.check_request(user, request, extras)
    strategy = order.estimate.strategy
    if strategy == Strategy.BACKGROUND:
        job, new = services.accept(user, order)
        return (job, True) if new else _not_again(job)
    make = _stream if strategy == Strategy.STREAM and streams else build
    return make(user, order, address)


def build(user: Any, order: services.Order, address: str) -> Answer:
    """The whole file, and its proof, before the first byte is sent."""
    job, new = services.accept(user, order, strategy=Strategy.DIRECT, **_begun_here(order))
    if not new:
        return _not_again(job)
    spool = cast(BinaryIO, tempfile.SpooledTemporaryFile(SPOOL_BYTES))  # noqa: SIM115 - closed with the answer
    try:
        progress = Making(job, order, address).make(StreamSink(spool), prove=partial(_prove, spool))
    except LeftToWorkers:
        spool.close()
        return job, True
    except BaseException:
        spool.close()
        raise
    return Download(job=job, content_type=order.plan.content_type, content=spool, size=progress.bytes)


def _prove(spool: BinaryIO, progress: Progress) -> None:
    """Read back what was written. Raises ``Mismatch``; leaves the file at its first byte."""
    spool.seek(0)
    size = crc32 = 0
    while block := spool.read(BLOCK_BYTES):
        size, crc32 = size + len(block), isal_zlib.crc32(block, crc32)
    if (size, crc32) != (progress.bytes, progress.crc32):
        raise pipeline_errors.Mismatch
    spool.seek(0)


def _stream(user: Any, order: services.Order, address: str) -> Answer:
    """The file as a thread makes it; what goes wrong before the first byte is raised here."""
    _places.take(user.pk, what="downloads", retry_after=STREAMS_RETRY_SECONDS)
    with ExitStack() as undo:
        undo.callback(_places.give_back, user.pk)
        job, new = services.accept(user, order, strategy=Strategy.STREAM, **_begun_here(order))
        if not new:
            return _not_again(job)
        pipe = PipeSink(send_seconds=SEND_SECONDS)
        stream = _Stream(pipe, job, order, address)
        stream.start()
        undo.pop_all()  # the thread gives its place back itself
    connections.close_all()  # while we wait, the thread may need its last free connection
    begun = pipe.wait_for_first()
    if stream.is_left:
        return job, True
    if not begun and stream.failure:
        raise stream.failure
    return Download(job=job, content_type=order.plan.content_type, content=pipe)


class LeftToWorkers(Exception):
    """Nothing was sent, and the job is one in the background now: somebody holds a table that it reads."""


class _Stream(threading.Thread):
    """Makes the file while its pieces are sent."""

    def __init__(self, pipe: PipeSink, job: ExportJob, order: services.Order, address: str) -> None:
        super().__init__(name=f"stream-{job.pk}", daemon=True)
        self.failure: errors.ExportError | None = None
        self.is_left = False
        """Workers have the job."""
        self._pipe, self._making = pipe, Making(job, order, address, is_wanted=self._is_wanted)
        self._context = contextvars.copy_context()  # the request's id, for the log

    def run(self) -> None:
        self._context.run(self._make)

    def _is_wanted(self) -> None:
        """Also gives back the connection of what was written last: a slow client must not keep one from others."""
        connections.close_all()
        self._pipe.check()

    def _make(self) -> None:
        with ExitStack() as after:  # whatever happens, the reader learns that it is over
            after.callback(_places.give_back, self._making.job.owner_id)
            after.callback(lambda: self._pipe.end(whole=self._making.is_done))
            after.callback(connections.close_all)
            try:
                self._making.make(self._pipe)
            except LeftToWorkers:
                self.is_left = True
            except errors.ExportError as failure:
                self.failure = failure


class Making:
    """One file in the making, and what the job's row says about it."""

    def __init__(
        self, job: ExportJob, order: services.Order, address: str, *, is_wanted: Callable[[], None] = lambda: None
    ) -> None:
        """``is_wanted`` raises ``ReaderGone`` where the file is no longer waited for."""
        self.job, self.plan = job, order.plan
        self._order = order
        self._is_wanted = is_wanted
        self.is_done = False
        """The file is whole, and on record as that."""
        self._address = address
        self._began = self._renewed = time.monotonic()
        self._pace = Rate(rows=0, at=self._began)
        self._progress = Progress(rows=0, bytes=0)
        self._live = live.Reporter(job.pk, job.claim)
        self._chunk_seconds: list[float] = []
        self._counter: RowCounter | None = None

    def make(self, sink: Sink, *, prove: Callable[[Progress], None] = lambda progress: None) -> Progress:
        """Write the whole file and record how that ended. Raises the ``errors`` that the API answers with.

        Raises ``LeftToWorkers`` where the database cannot begin at once.
        """
        log.info("export.job.started", **self.job.names(), strategy=self.job.strategy)
        try:
            with while_waiting(self._look), sink:
                self._write(sink)
                prove(self._progress)
                self._complete()
        except LeftToWorkers:
            raise
        except LeaseLost as lost:
            log.info("export.job.left", **self.job.names())
            raise errors.Conflict("This export was cancelled.") from lost
        except ReaderGone as gone:
            self._settle(lambda: lifecycle.cancel(self.job.pk))
            log.info("export.job.cancelled", **self.job.names(), reason="the client left")
            raise errors.Conflict("The client left.") from gone
        except Exception as error:
            known = _known(error)
            self._fail(known)
            raise _answer(known) from known
        finally:
            metrics.chunks_read(self._chunk_seconds)
        self.is_done = True
        return self._progress

    def _write(self, sink: Sink) -> None:
        job, plan = self.job, self.plan
        with (
            closing(self._open()) as source,
            closing(plan.counter(source)) as self._counter,
        ):
            job.last_key = list(source.last) if source.last else None
            lifecycle.record_snapshot(job, at=source.moment, after_key=None, rows_before=0)
            steps = plan.write(source, sink, part_size=lambda number: 1, counter=self._counter)
            with closing(steps):  # each chunk goes out at once
                for self._progress in steps:
                    if self._progress.chunk_rows:
                        self._chunk_seconds.append(self._progress.chunk_seconds)
                    self._look()

    def _open(self) -> SqlSource | FinishedSource | RowSource | ChainSource:
        rows = min(FIRST_ROWS, conf.settings.CHUNK_ROWS)
        try:
            return self.plan.open_source(chunk_rows=rows, lock_timeout=questions.LOCK_SECONDS)
        except pipeline_errors.DatabaseBusy as busy:
            services.leave_to_workers(self.job, self._order)
            raise LeftToWorkers from busy

    def _look(self) -> None:
        """Between two steps, and while nothing moves: whether to go on."""
        self._is_wanted()
        now = time.monotonic()
        if now - self._began > conf.settings.SLICE_SECONDS:
            raise pipeline_errors.TimeLimit(
                f"A download may take {conf.settings.SLICE_SECONDS:,} seconds. Ask for an export and fetch its file."
            )
        if now - self._renewed >= RENEW_SECONDS:
            self._renewed = now
            done = self._progress
            rate = self._pace.update(rows=done.rows, at=now)
            lifecycle.renew(self.job, rows_done=done.rows, bytes_done=done.bytes, rows_per_second=rate)
            self._live.report(rows=done.rows, bytes=done.bytes, rows_per_second=rate)

    def _complete(self) -> None:
        job, done = self.job, self._progress
        seconds = time.monotonic() - self._began
        with transaction.atomic():
            downloads.keep(job, job.owner, via=downloads.BY_LOGIN, address=self._address)
            performance.record(job, rows=done.rows, size=done.bytes, seconds=seconds, chunk_seconds=self._chunk_seconds)
            lifecycle.complete(
                job,
                ttl=None,
                **counts(self.plan, done),
                rows_verified=self._counter.verified if self._counter else None,
                rows_done=done.rows,
                file_size=done.bytes,
                bytes_done=done.bytes,
                crc32=f"{done.crc32:08x}",
                rows_per_second=done.rows / max(seconds, 0.001),
                warnings=[*done.warnings, *self._doubts()],
            )
        log.info("export.job.completed", **job.names(), rows=done.rows, bytes=done.bytes, seconds=round(seconds, 3))

    def _doubts(self) -> list[str]:
        return [unverified(self._counter.why)] if self._counter and self._counter.why else []

    def _fail(self, error: PipelineError) -> None:
        trace = traces.trace(error, everything=True)  # shown to exports_app.view_error_trace alone
        self._settle(lambda: lifecycle.fail(self.job, code=error.code, detail=str(error), trace=trace))
        if type(error) is PipelineError:
            log.error("export.job.crashed", **self.job.names(), exc_info=error)
        log.warning("export.job.failed", **self.job.names(), code=error.code)

    def _settle(self, write: Callable[[], object]) -> None:
        """Record the end. Where that cannot be done, somebody else has, or the sweep will once the lease is over."""
        try:
            write()
        except (LeaseLost, Error) as error:
            if isinstance(error, Error) and not errors.is_outage(error):
                raise
            log.warning("export.job.left", **self.job.names(), error=type(error).__name__)


def _begun_here(order: services.Order) -> dict[str, Any]:
    lease = conf.settings.LEASE_SECONDS + OPENING_STATEMENTS * conf.settings.STATEMENT_TIMEOUT
    begun = lifecycle.begun_here(f"web:{socket.gethostname()}:{os.getpid()}", lease=lease)
    # A mail would lead to a file that is not kept.
    return begun | {"notify": {**(order.extras.notify or {}), "email": False}}


def _not_again(job: ExportJob) -> tuple[ExportJob, bool]:
    """The job of the same ``Idempotency-Key``; a file that was sent is not there to be sent again."""
    if job.strategy != Strategy.BACKGROUND:
        raise errors.Conflict(f"The download of this Idempotency-Key was made before, as {job.pk}. Use a new key.")
    return job, False


def _known(error: Exception) -> PipelineError:
    """The error as one that a job can end with."""
    known: PipelineError
    if isinstance(error, PipelineError):
        return error
    if (lacking := scarcity.lack(error)) is not None:
        return lacking
    if errors.is_outage(error):
        known = pipeline_errors.DatabaseUnavailable()
    elif isinstance(error, ReaderStalled):
        known = pipeline_errors.TimeLimit(f"The client took nothing for {SEND_SECONDS:.0f} seconds.")
    else:
        known = PipelineError()
    known.__cause__ = error
    return known


def _answer(error: PipelineError) -> errors.ExportError:
    """What the API says where nothing was sent yet."""
    if isinstance(error, pipeline_errors.TooManyRows):
        return errors.TooManyRows(str(error))
    if isinstance(error, pipeline_errors.FormatLimit):
        return errors.FormatLimit(str(error))
    if not error.terminal and not isinstance(error, pipeline_errors.Incomplete):
        return errors.Unavailable(str(error), retry_after=errors.DATABASE_RETRY_SECONDS)
    if type(error) is not PipelineError:
        return errors.Unmakeable(str(error), code=error.code)
    return errors.ExportError(str(error))
