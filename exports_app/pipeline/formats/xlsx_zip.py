"""A zip archive as a stream: nothing is read back, nothing is sought, and it goes on from JSON after a cut.

PKWARE APPNOTE 6.3.10. Small files are deflated at once; one long file at a time is deflated as it comes, its
sizes and CRC behind it in a data descriptor (§4.3.9). Zip64 records are written only where a number needs them,
as Go's and Java's writers do: Excel "repairs" archives that declare Zip64 without need.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from isal import isal_zlib

from exports_app.pipeline.formats.deflate import Deflate

RAW_DEFLATE = -15
DEFLATED = 8
STREAMED = 0x08
"""General purpose bit 3: sizes and CRC stand behind the data."""
PLAIN_VERSION, ZIP64_VERSION = 20, 45
DOS_DATE = 0x0021
"""1980-01-01, the first day that zip knows: the same rows give the same bytes whenever they are written."""
UINT32_MAX = 0xFFFFFFFF
UINT16_MAX = 0xFFFF

_LOCAL = struct.Struct("<4sHHHHHLLLHH")
_CENTRAL = struct.Struct("<4sHHHHHHLLLHHHHHLL")
_END = struct.Struct("<4sHHHHLLH")
_END64 = struct.Struct("<4sQHHLLQQQQ")
_LOCATOR64 = struct.Struct("<4sLQL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file in the archive, or as much of it as there is."""

    name: str
    offset: int
    """Byte at which its local header begins."""
    streamed: bool = False
    crc32: int = 0
    size: int = 0
    """Bytes before compression."""
    packed: int = 0
    """Bytes after compression."""


@dataclass(slots=True)
class ZipStream:
    """Gives the bytes of the archive piece by piece."""

    entries: list[Entry] = field(default_factory=list)
    offset: int = 0
    """Bytes given so far."""
    _open: Entry | None = None
    _deflate: Any = None

    @classmethod
    def resume(cls, state: Mapping[str, Any]) -> ZipStream:
        """An archive that goes on behind the ``cut()`` after which ``state()`` was taken."""
        opened = state["open"]
        return cls(
            entries=[Entry(**entry) for entry in state["entries"]],
            offset=state["offset"],
            _open=Entry(**opened) if opened else None,
            _deflate=Deflate(RAW_DEFLATE) if opened else None,
        )

    def state(self) -> dict[str, Any]:
        """JSON for ``resume``."""
        return {
            "entries": [asdict(entry) for entry in self.entries],
            "offset": self.offset,
            "open": asdict(self._open) if self._open else None,
        }

    def add(self, name: str, data: bytes) -> bytes:
        """A whole file; not while another one is open."""
        # Not isal's: it was seen to give 375 bytes once for what it gives 374 bytes otherwise.
        deflate = zlib.compressobj(wbits=RAW_DEFLATE)
        packed = deflate.compress(data) + deflate.flush()
        entry = Entry(name=name, offset=self.offset, crc32=isal_zlib.crc32(data), size=len(data), packed=len(packed))
        self.entries.append(entry)
        return self._given(_local_header(entry) + packed)

    def begin(self, name: str) -> bytes:
        """The head of a file whose data come through ``write``."""
        self._open = Entry(name=name, offset=self.offset, streamed=True)
        self._deflate = Deflate(RAW_DEFLATE)
        return self._given(_local_header(self._open))

    def write(self, data: bytes) -> bytes:
        """More of the open file."""
        opened = self._opened()
        self._open = replace(opened, crc32=isal_zlib.crc32(data, opened.crc32), size=opened.size + len(data))
        return self._packed(self._deflate.compress(data))

    def cut(self) -> bytes:
        """Bring everything out up to a byte's end, so that a new compressor may go on from here."""
        if self._open is None:
            return b""
        data = self._packed(self._deflate.flush(isal_zlib.Z_FULL_FLUSH))
        self._deflate = Deflate(RAW_DEFLATE)  # as after a resume, so that both give the same bytes
        return data

    def end(self) -> bytes:
        """The end of the open file."""
        data = self._packed(self._deflate.flush())
        entry = self._opened()
        self.entries.append(entry)
        self._open = self._deflate = None
        return data + self._given(_descriptor(entry))

    def finish(self) -> bytes:
        """The central directory; nothing may follow."""
        begin = self.offset
        directory = b"".join([_central_header(entry) for entry in self.entries])
        return self._given(directory + _end_records(len(self.entries), len(directory), begin))

    def _opened(self) -> Entry:
        if self._open is None:
            raise ValueError("no file is open")
        return self._open

    def _packed(self, data: bytes) -> bytes:
        opened = self._opened()
        self._open = replace(opened, packed=opened.packed + len(data))
        return self._given(data)

    def _given(self, data: bytes) -> bytes:
        self.offset += len(data)
        return data


def _local_header(entry: Entry) -> bytes:
    name = entry.name.encode("ascii")
    flags = STREAMED if entry.streamed else 0
    numbers = (0, 0, 0) if entry.streamed else (entry.crc32, entry.packed, entry.size)
    head = _LOCAL.pack(b"PK\x03\x04", PLAIN_VERSION, flags, DEFLATED, 0, DOS_DATE, *numbers, len(name), 0)
    return head + name


def _descriptor(entry: Entry) -> bytes:
    """Sizes of 8 bytes where 4 do not hold them (§4.3.9.2); readers take them from the directory anyway."""
    wide = max(entry.size, entry.packed) >= UINT32_MAX
    return struct.pack("<4sLQQ" if wide else "<4sLLL", b"PK\x07\x08", entry.crc32, entry.packed, entry.size)


def _central_header(entry: Entry) -> bytes:
    name = entry.name.encode("ascii")
    numbers = (entry.size, entry.packed, entry.offset)
    wide = [number for number in numbers if number >= UINT32_MAX]
    extra = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    size, packed, offset = (min(number, UINT32_MAX) for number in numbers)
    version = ZIP64_VERSION if wide else PLAIN_VERSION
    flags = STREAMED if entry.streamed else 0
    head = _CENTRAL.pack(
        *(b"PK\x01\x02", version, version, flags, DEFLATED, 0, DOS_DATE, entry.crc32, packed, size),
        *(len(name), len(extra), 0, 0, 0, 0, offset),
    )
    return head + name + extra


def _end_records(count: int, size: int, offset: int) -> bytes:
    """The end of the directory, behind its Zip64 twin where a number does not fit."""
    end = _END.pack(
        *(b"PK\x05\x06", 0, 0, min(count, UINT16_MAX), min(count, UINT16_MAX)),
        *(min(size, UINT32_MAX), min(offset, UINT32_MAX), 0),
    )
    if count < UINT16_MAX and size < UINT32_MAX and offset < UINT32_MAX:
        return end
    wide = _END64.pack(b"PK\x06\x06", _END64.size - 12, ZIP64_VERSION, ZIP64_VERSION, 0, 0, count, count, size, offset)
    return wide + _LOCATOR64.pack(b"PK\x06\x07", 0, offset + size, 1) + end
