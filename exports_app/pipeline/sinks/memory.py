"""Objects in memory: for previews, small direct downloads and tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile
from zlib import crc32

from exports_app.pipeline.errors import UploadLost
from exports_app.pipeline.sinks.direct import DirectSink
from exports_app.pipeline.sinks.removal import discard_each
from exports_app.pipeline.types import Discarded, Receipt, StoredPart, Upload


class MemoryStore:
    """Finished objects by key, unfinished ones by token."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, bytearray] = {}

    def open(
        self,
        upload: Upload,
        *,
        content_type: str = "",
        on_upload: Callable[[str], None] | None = None,
        after: Sequence[StoredPart] = (),
    ) -> MemorySink:
        if after and upload.token not in self.uploads:
            raise UploadLost
        return MemorySink(self, upload, after=after)

    def verify(self, upload: Upload, parts: Sequence[StoredPart]) -> list[StoredPart]:
        if parts and upload.token not in self.uploads:
            raise UploadLost
        data = bytes(self.uploads.get(upload.token, b""))
        return list(takewhile(lambda part: _as_recorded(data, part), parts))

    def finished(self, upload: Upload, parts: Sequence[StoredPart]) -> Receipt | None:
        data = self.objects.get(upload.key)
        if data is None or not parts or upload.token in self.uploads:
            return None
        last = parts[-1]
        if len(data) != last.end or not _as_recorded(data, last):
            return None
        return Receipt(size=len(data), etag="")

    def discard(self, upload: Upload) -> bool:
        self.uploads.pop(upload.token, None)
        self.objects.pop(upload.key, None)
        return False

    def discard_all(self, uploads: Sequence[Upload], *, seek: bool = False) -> Discarded:
        return discard_each(self.discard, uploads)


class MemorySink(DirectSink):
    """Keeps the file in memory; ``data`` is what there is of it."""

    def __init__(
        self,
        store: MemoryStore | None = None,
        upload: Upload | None = None,
        *,
        after: Sequence[StoredPart] = (),
    ) -> None:
        super().__init__(after)
        self._store = store or MemoryStore()
        self._upload = upload or Upload(key="", token="")
        self._file = self._store.uploads.setdefault(self._upload.token, bytearray())
        del self._file[self._size :]

    @property
    def data(self) -> bytes:
        return bytes(self._file)

    def _write(self, data: bytes) -> None:
        self._file += data

    def _publish(self) -> None:
        self._store.objects[self._upload.key] = self.data
        self._store.uploads.pop(self._upload.token, None)

    def abort(self) -> None:
        self.settled = True
        self._file.clear()
        self._store.discard(self._upload)


def _as_recorded(data: bytes, part: StoredPart) -> bool:
    """Whether ``data`` has this part's end and, up to it, the recorded CRC."""
    return len(data) >= part.end and crc32(data[: part.end]) == part.crc32
