"""A sink that writes into a file object of the caller, such as standard output."""

from __future__ import annotations

from typing import BinaryIO

from exports_app.pipeline.sinks.direct import DirectSink


class StreamSink(DirectSink):
    """Writes straight through. What went out cannot be taken back, so a failed run leaves a cut stream.

    The file must be a buffered one: a raw file may take only some of the bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file

    def _write(self, data: bytes) -> None:
        self._file.write(data)

    def _publish(self) -> None:
        self._file.flush()

    def abort(self) -> None:
        self.settled = True
