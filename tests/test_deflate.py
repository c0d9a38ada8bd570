"""Compressed bytes depend on what is compressed alone, not on the pieces that it came in."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence

import pytest

from exports_app.pipeline.formats.deflate import Deflate

RAW, GZIP = -15, 31


def text_of(chance: random.Random, size: int) -> bytes:
    """Cells as sheets have them, some of which come back."""
    cells = [b'<c r="%c%d"><v>%d</v></c>' % (65 + at % 14, at, chance.choice((1, 77, at))) for at in range(size // 20)]
    return b"".join(cells)


def pieces_of(chance: random.Random, data: bytes) -> list[bytes]:
    cuts = sorted(chance.choices(range(len(data) + 1), k=chance.choice((1, 5, 20))))
    return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def compressed(pieces: Sequence[bytes], wbits: int) -> bytes:
    deflate = Deflate(wbits)
    return b"".join([deflate.compress(piece) for piece in pieces]) + deflate.flush()


@pytest.mark.parametrize("wbits", [RAW, GZIP])
@pytest.mark.parametrize("seed", range(40))
def test_pieces_of_the_same_bytes_give_the_same_bytes(wbits: int, seed: int) -> None:
    chance = random.Random(seed)
    data = text_of(chance, chance.choice((300, 6_000, 262_144, 1_200_000)))

    whole = compressed([data], wbits)

    assert zlib.decompress(whole, wbits) == data
    assert compressed(pieces_of(chance, data), wbits) == whole
