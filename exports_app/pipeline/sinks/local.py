"""Objects as files of a directory."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from isal.isal_zlib import crc32

from exports_app.pipeline import scarcity
from exports_app.pipeline.errors import AccessDenied, Mismatch, PipelineError, StorageUnavailable, UploadLost
from exports_app.pipeline.sinks.direct import DirectSink
from exports_app.pipeline.sinks.removal import discard_each
from exports_app.pipeline.types import Discarded, Receipt, StoredPart, Upload

FILE_MODE = 0o640  # whatever the umask: for the site and its group, which may be that of a web server
READ_SIZE = 1024 * 1024  # bytes at a time when a file is read again

REFUSALS = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EISDIR,
}
"""What waiting does not mend. A full disk is among them: an export that waits for room takes up that room."""


def translate(error: OSError) -> PipelineError:
    """The pipeline's error for an error of the file system."""
    if (lacking := scarcity.lack(error)) is not None:
        return lacking
    kind = AccessDenied if error.errno in REFUSALS else StorageUnavailable
    return kind(f"{kind.__doc__} ({error.strerror})")


@contextmanager
def file_errors() -> Iterator[None]:
    """Errors of the file system leave the block as the pipeline's."""
    try:
        yield
    except OSError as error:
        raise translate(error) from error


class LocalStore:
    """Files below ``directory``; a file has its name only when it is whole."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory).absolute()

    def open(
        self,
        upload: Upload,
        *,
        content_type: str = "",
        on_upload: Callable[[str], None] | None = None,
        after: Sequence[StoredPart] = (),
    ) -> LocalSink:
        return LocalSink(*self._paths(upload), after=after)

    def verify(self, upload: Upload, parts: Sequence[StoredPart]) -> list[StoredPart]:
        _, unfinished = self._paths(upload)
        if not parts:
            return []
        with file_errors():
            try:
                return _unbroken(unfinished, parts)
            except FileNotFoundError:
                raise UploadLost from None

    def finished(self, upload: Upload, parts: Sequence[StoredPart]) -> Receipt | None:
        path, _ = self._paths(upload)
        with file_errors(), suppress(FileNotFoundError):
            size = path.stat().st_size
            if parts and size == parts[-1].end and len(_unbroken(path, parts)) == len(parts):
                return Receipt(size=size, etag="")
        return None

    def discard(self, upload: Upload) -> bool:
        with file_errors():
            for path in self._paths(upload):
                path.unlink(missing_ok=True)
        return False

    def discard_all(self, uploads: Sequence[Upload], *, seek: bool = False) -> Discarded:
        return discard_each(self.discard, uploads)

    def _paths(self, upload: Upload) -> tuple[Path, Path]:
        """Where the whole file and the unfinished one stand."""
        path = Path(os.path.normpath(self.directory / upload.key))
        if not path.is_relative_to(self.directory) or path == self.directory:
            raise ValueError(f"{upload.key!r} is not a name below the directory")
        return path, path.with_name(f"{path.name}.{upload.token}.part")


class LocalSink(DirectSink):
    """Writes beside the file's place, to be renamed when whole. A stored part has reached the disk."""

    def __init__(self, path: Path, unfinished: Path, *, after: Sequence[StoredPart] = ()) -> None:
        super().__init__(after)
        self._path, self._unfinished = path, unfinished
        self._resumed = bool(after)
        self._published = False
        with file_errors():
            self._file = self._continued() if after else self._created()

    def _created(self) -> BinaryIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # A new file, not an emptied one: a writer that lost the job may still hold the old one open.
        self._unfinished.unlink(missing_ok=True)
        file = self._unfinished.open("xb")
        os.fchmod(file.fileno(), FILE_MODE)
        return file

    def _continued(self) -> BinaryIO:
        try:
            file = self._unfinished.open("r+b")
        except FileNotFoundError:
            raise UploadLost from None
        if os.fstat(file.fileno()).st_size < self._size:
            file.close()
            raise UploadLost
        file.truncate(self._size)
        file.seek(0, os.SEEK_END)
        return file

    def _write(self, data: bytes) -> None:
        with file_errors():
            self._file.write(data)
            self._file.flush()
            os.fsync(self._file.fileno())

    def _publish(self) -> None:
        self._release()
        with file_errors():
            try:
                self._check()
                self._unfinished.replace(self._path)
            except FileNotFoundError:
                raise UploadLost from None
            self._published = True
            _sync_directory(self._path.parent)

    def _check(self) -> None:
        """A resumed file had another writer, who may have come back to it."""
        size = self._unfinished.stat().st_size
        if size != self._size:
            raise Mismatch
        if self._resumed:
            with self._unfinished.open("rb") as file:
                if _crc32(file, size, 0) != self._parts[-1].crc32:
                    raise Mismatch

    def _release(self) -> None:
        with file_errors():
            self._file.close()

    def detach(self, timeout: float | None = None) -> list[StoredPart]:
        self._release()
        return super().detach(timeout)

    def abort(self) -> None:
        self.settled = True
        with suppress(PipelineError):
            self._release()
        with file_errors():
            self._unfinished.unlink(missing_ok=True)
            if self._published:
                self._path.unlink(missing_ok=True)


def _unbroken(path: Path, parts: Sequence[StoredPart]) -> list[StoredPart]:
    """The parts, from the first on, whose bytes have the recorded running CRC."""
    good: list[StoredPart] = []
    crc = 0
    with path.open("rb") as file:
        for part in parts:
            crc = _crc32(file, part.size, crc)
            if crc != part.crc32 or file.tell() != part.end:
                break
            good.append(part)
    return good


def _crc32(file: BinaryIO, size: int, crc: int) -> int:
    while size > 0 and (data := file.read(min(size, READ_SIZE))):
        crc = crc32(data, crc)
        size -= len(data)
    return crc


def _sync_directory(directory: Path) -> None:
    """A rename lasts only once the directory is on the disk too."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
