"""Objects in S3: multipart uploads that another process can go on with, proven at the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from isal import isal_zlib

from exports_app.pipeline.errors import Mismatch, PipelineError, StorageUnavailable, UnequalParts, UploadLost
from exports_app.pipeline.parts import MIB, are_equal, check_order, record
from exports_app.pipeline.sinks import s3_removal
from exports_app.pipeline.sinks.guard import Guard
from exports_app.pipeline.sinks.s3_object import S3Object, md5_etag, multipart_etags, part_key
from exports_app.pipeline.types import Discarded, Part, Receipt, StoredPart, Upload
from exports_app.pipeline.waiting import POLL_SECONDS, look

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

IN_FLIGHT = 2  # parts on their way at a time
IN_FLIGHT_BYTES = 32 * MIB  # beyond which there is only one
CONNECT_TIMEOUT = 5  # seconds
READ_TIMEOUT = 60  # seconds without a byte
ATTEMPTS = 4  # of one call, the first included


def client_config(**others: Any) -> Config:
    """How a client must be set up for these sinks; ``others`` are further options of botocore's ``Config``.

    The client tries each call four times. It adds no checksums of its own, since many stores cannot read
    them; each part carries its MD5 instead. A Complete that outlasts the time-out is asked again, which does
    no harm.
    """
    return Config(
        **{
            "signature_version": "s3v4",
            "connect_timeout": CONNECT_TIMEOUT,
            "read_timeout": READ_TIMEOUT,
            "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
            "tcp_keepalive": True,
            "max_pool_connections": 10,
            **others,
        }
    )


class S3Store:
    """Objects of one bucket. ``parameters`` (encryption, storage class…) go into every object."""

    def __init__(self, client: S3Client, bucket: str, *, parameters: Mapping[str, Any] | None = None) -> None:
        self._client, self._bucket = client, bucket
        self._parameters = dict(parameters or {})

    def open(
        self,
        upload: Upload,
        *,
        content_type: str,
        on_upload: Callable[[str], None],
        after: Sequence[StoredPart] = (),
    ) -> S3Sink:
        headers = {**self._parameters, "ContentType": content_type}
        return S3Sink(self._object(upload), headers=headers, on_upload=on_upload, after=after)

    def verify(self, upload: Upload, parts: Sequence[StoredPart]) -> list[StoredPart]:
        if upload.id is None:
            return []
        there = self._object(upload).parts()
        return list(takewhile(lambda part: part_key(part) in there, parts))

    def finished(self, upload: Upload, parts: Sequence[StoredPart]) -> Receipt | None:
        if not parts:
            return None
        try:
            last = parts[-1]
            return self._object(upload).prove(size=last.end, etags=multipart_etags(parts), crc32=last.crc32)
        except Mismatch:
            return None

    def discard(self, upload: Upload) -> bool:
        leftover = self._object(upload)
        leftover.abort()
        return leftover.delete()

    def discard_all(self, uploads: Sequence[Upload], *, seek: bool = False) -> Discarded:
        return s3_removal.discard_all(self._client, self._bucket, uploads, seek=seek)

    def _object(self, upload: Upload) -> S3Object:
        return S3Object(self._client, self._bucket, upload)


class S3Sink(Guard):
    """One object: a single PutObject if one part is all, otherwise a multipart upload.

    ``put`` and the other methods belong to one thread; parts travel in others. A detached sink
    leaves its upload to whoever opens it again with the parts on record.
    """

    def __init__(
        self,
        target: S3Object,
        *,
        headers: Mapping[str, Any],
        on_upload: Callable[[str], None],
        after: Sequence[StoredPart] = (),
    ) -> None:
        self._object = target
        self._headers = headers
        self._on_upload = on_upload
        self._parts = list(after)
        self._reported = len(self._parts)
        self._number = len(self._parts)
        self._only: bytes | None = None
        self._sent: deque[tuple[Future[StoredPart], int]] = deque()
        self._threads = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="export-part")
        self._may_exist = target.upload.id is not None  # an earlier attempt may have got as far

    def put(self, part: Part, *, last: bool) -> None:
        self._raise_failure()
        check_order(part, self._number)
        self._number = part.number
        if last and part.number == 1:
            self._only = part.data
            return
        if self._object.upload.id is None:
            self._start()
        self._wait_for_room(len(part.data))
        self._sent.append((self._threads.submit(self._send, part, last), len(part.data)))

    def stored(self) -> list[StoredPart]:
        fresh = self._fresh()
        if not fresh:  # what is stored comes before what failed, so that it can be recorded
            self._raise_failure()
        return fresh

    def flush(self) -> None:
        _await([future for future, _ in self._sent])
        self._raise_failure()

    def complete(self) -> Receipt:
        self.flush()
        self._collect()
        self._may_exist = True
        lost = None
        try:
            self._make()
        except (StorageUnavailable, UploadLost) as error:
            lost = error  # or only its answer is: an earlier try may have made the object
        receipt = self._prove()
        if receipt is None:
            raise lost or Mismatch
        self._settle()
        return receipt

    def detach(self, timeout: float | None = None) -> list[StoredPart]:
        wait([future for future, _ in self._sent], timeout)
        self._settle()
        return self._fresh()

    def abort(self) -> None:
        # A part that arrives after the abort could bring the upload back to life.
        wait([future for future, _ in self._sent])
        self._settle()
        self._object.abort()
        if self._may_exist:
            self._object.delete()

    def _start(self) -> None:
        """Open the upload; it counts only once the caller has its id on record."""
        upload_id = self._object.start(self._headers)
        try:
            self._on_upload(upload_id)
        except BaseException:
            with suppress(PipelineError):
                self._object.abort()
            raise

    def _send(self, part: Part, last: bool) -> StoredPart:
        return record(part, self._object.send(part.number, part.data), last=last)

    def _wait_for_room(self, size: int) -> None:
        while True:
            busy = [(future, bytes_) for future, bytes_ in self._sent if not future.done()]
            full = len(busy) >= IN_FLIGHT or sum(n for _, n in busy) + size > IN_FLIGHT_BYTES
            if not busy or not full:
                self._raise_failure()
                return
            _await([future for future, _ in busy], any_of_them=True)

    def _raise_failure(self) -> None:
        for future, _ in self._sent:
            if future.done():
                future.result()

    def _collect(self) -> None:
        """Move the unbroken run of stored parts out of those sent."""
        while self._sent and self._sent[0][0].done() and not self._sent[0][0].exception():
            self._parts.append(self._sent.popleft()[0].result())

    def _fresh(self) -> list[StoredPart]:
        self._collect()
        fresh = self._parts[self._reported :]
        self._reported = len(self._parts)
        return fresh

    def _make(self) -> None:
        if self._parts:
            self._join()
        else:
            self._object.abort()  # an earlier attempt may have begun one
            self._object.write(self._only or b"", self._headers)

    def _join(self) -> None:
        try:
            self._object.join(self._parts)
        except UnequalParts as error:
            if are_equal(self._parts):
                raise UploadLost(str(error)) from error  # other parts would be refused as well
            raise

    def _prove(self) -> Receipt | None:
        try:
            if self._parts:
                last = self._parts[-1]
                return self._object.prove(size=last.end, etags=multipart_etags(self._parts), crc32=last.crc32)
            data = self._only or b""
            return self._object.prove(size=len(data), etags=[md5_etag(data)], crc32=isal_zlib.crc32(data))
        except Mismatch:
            self._object.delete()
            raise

    def _settle(self) -> None:
        self.settled = True
        self._threads.shutdown(wait=False)


def _await(futures: Sequence[Future[StoredPart]], *, any_of_them: bool = False) -> None:
    """Until all are done; the run may end the wait."""
    until = FIRST_COMPLETED if any_of_them else ALL_COMPLETED
    while True:
        done, pending = wait(futures, POLL_SECONDS, return_when=until)
        if not pending or (any_of_them and done):
            return
        look()
