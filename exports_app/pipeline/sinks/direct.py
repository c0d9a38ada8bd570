"""What the sinks without a network have in common: a part is stored when ``put()`` returns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from exports_app.pipeline.parts import check_order, record
from exports_app.pipeline.sinks.guard import Guard
from exports_app.pipeline.types import Part, Receipt, StoredPart


class DirectSink(Guard):
    """Writes each part at once. A subclass says where to."""

    def __init__(self, after: Sequence[StoredPart] = ()) -> None:
        self._parts = list(after)
        self._reported = len(after)

    @property
    def _size(self) -> int:
        return self._parts[-1].end if self._parts else 0

    @abstractmethod
    def _write(self, data: bytes) -> None:
        """Store the bytes of one part behind the others."""

    @abstractmethod
    def _publish(self) -> None:
        """Make the object whole and visible."""

    def put(self, part: Part, *, last: bool) -> None:
        check_order(part, len(self._parts))
        self._write(part.data)
        self._parts.append(record(part, "", last=last))

    def stored(self) -> list[StoredPart]:
        fresh = self._parts[self._reported :]
        self._reported = len(self._parts)
        return fresh

    def flush(self) -> None:
        """Nothing is ever on its way."""

    def complete(self) -> Receipt:
        self._publish()
        self.settled = True
        return Receipt(size=self._size, etag="")

    def detach(self, timeout: float | None = None) -> list[StoredPart]:
        self.settled = True
        return self.stored()
