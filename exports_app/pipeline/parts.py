"""How large parts are, and the record of one that is stored."""

from __future__ import annotations

from collections.abc import Sequence

from exports_app.pipeline.types import Part, StoredPart

MIB = 1024 * 1024
MIN_PART_SIZE = 5 * MIB  # S3 refuses a smaller part unless it is the last
MAX_PART_SIZE = 4096 * MIB  # S3 allows 5 GiB; the rest is room for the chunk that overshoots
MAX_PARTS = 10_000
DEFAULT_PART_SIZE = 8 * MIB
FLAT_PARTS = 4_000
SPARE = 2  # times what a file is expected to have
DOUBLED_EVERY = 666  # nine doublings to part 10,000: 8 MiB * 2**9 = MAX_PART_SIZE


def part_size(number: int, base: int = DEFAULT_PART_SIZE) -> int:
    """Bytes that part ``number`` (from 1) has at least: 10,000 parts hold 5 TiB whatever the base.

    Parts are kept in memory, so they stay at ``base`` for as long as can be. From 8 MiB: 31 GiB in parts of
    8 MiB, 62 GiB before a part passes 32 MiB, 5.2 TiB in all.
    """
    doublings = -(-max(0, number - FLAT_PARTS) // DOUBLED_EVERY)
    curve = DEFAULT_PART_SIZE << doublings if doublings else 0
    return min(MAX_PART_SIZE, max(MIN_PART_SIZE, base, curve))


def equal_part_size(expected: int | None, base: int = DEFAULT_PART_SIZE) -> int:
    """Bytes of each part but the last where all must have one size; ``expected``: bytes of the file, if anybody knows.

    10,000 of them hold twice as much as is expected: from 8 MiB, 78 GiB.
    """
    needed = -(-SPARE * (expected or 0) // (MAX_PARTS * MIB)) * MIB
    return min(MAX_PART_SIZE, max(MIN_PART_SIZE, base, needed))


def are_equal(parts: Sequence[StoredPart]) -> bool:
    """Whether all have one size but the file's last, which is no larger."""
    if not parts:
        return True
    size = parts[0].size
    return all(part.size == size or (part.last and part.size < size) for part in parts)


def check_order(part: Part, before: int) -> None:
    """Refuse a part that does not follow the ``before`` parts: the file would have a hole."""
    if part.number != before + 1:
        raise ValueError(f"part {part.number} after part {before}")


def record(part: Part, etag: str, *, last: bool) -> StoredPart:
    """What is kept of ``part`` once it is stored."""
    return StoredPart(
        number=part.number,
        etag=etag,
        offset=part.offset,
        size=len(part.data),
        rows=part.rows,
        cursor=part.cursor,
        crc32=part.crc32,
        state=part.state,
        tail=part.tail,
        inner=part.inner,
        last=last,
    )
