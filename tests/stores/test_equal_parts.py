"""Files in parts of one size, as Cloudflare's R2 demands them, through runs that are killed."""

from __future__ import annotations

import gzip
import io
import random
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from chaos.answers import EqualParts
from exports_app.pipeline import formats, loop
from exports_app.pipeline.errors import TooLarge, UnequalParts
from exports_app.pipeline.formats.gzip import GzipEncoder
from exports_app.pipeline.parts import MIB, are_equal, equal_part_size
from exports_app.pipeline.sinks.memory import MemoryStore
from exports_app.pipeline.sources.rows import RowSource
from exports_app.pipeline.types import Encoder, Field, Kind, Options, Store, StoredPart, Upload
from tests.sinks_fixtures import Bucket, complete, make_parts
from tests.stores.places import behind, place

ROWS = 60_000
SIZE = 5 * MIB  # bytes of a part, the least that stores take
TEXTS = [random.Random(number).randbytes(300).hex() for number in range(5_000)]
FIELDS = [Field(name="id", label="ID", kind=Kind.INTEGER), Field(name="text", label="Text", kind=Kind.TEXT)]
FORMATS = ["csv", "json", "ndjson", "xlsx", "parquet"]
PACKED = ["csv", "json", "ndjson"]
KINDS = [(name, False) for name in FORMATS] + [(name, True) for name in PACKED]
each_kind = pytest.mark.parametrize(("name", "packed"), KINDS, ids=lambda value: {True: "gzip", False: ""}.get(value))


@pytest.fixture(name="r2")
def bucket_of_r2() -> Iterator[Bucket]:
    with place(behind(EqualParts)) as found:
        yield found


def rows_behind(key: tuple[Any, ...] | None) -> Iterator[tuple[int, str]]:
    """Rows of which no format makes much less than they are."""
    for number in range(key[0] + 1 if key else 1, ROWS + 1):
        yield number, f"{number} {TEXTS[number % len(TEXTS)]}"


@dataclass(kw_only=True)
class File:
    """A file on its way, from run to run."""

    name: str
    packed: bool
    store: Store
    upload: Upload
    equal: bool = True
    limit: int | None = None
    parts: list[StoredPart] = field(default_factory=list)

    def write(self, steps: int | None = None) -> None:
        """Go on behind what is on record; killed after so many steps, if any: no one records what was on its way."""
        after = self.parts[-1] if self.parts else None
        source = RowSource(
            rows_behind,
            formats.get_format(self.name).python(FIELDS, Options()),
            picked=[0, 1],
            keys=[0],
            moment=datetime.now(UTC),
            after=after.cursor if after else None,
        )
        with self.store.open(self.upload, content_type="text/csv", on_upload=self._began, after=self.parts) as sink:
            if after and after.last:
                sink.complete()
                return
            run = loop.run(
                source,
                self._encoder(after),
                sink,
                part_size=lambda _: SIZE,
                equal_parts=self.equal,
                after=after,
                limit=self.limit,
            )
            for number, progress in enumerate(run, start=1):
                self.parts += progress.parts
                if number == steps and progress.receipt is None:
                    sink.detach(0)
                    return

    def found(self) -> None:
        """What another run finds of it."""
        self.parts = list(self.store.verify(self.upload, self.parts)) if self.parts else []
        while self.parts and self.parts[-1].inner:
            self.parts.pop()
        if not formats.get_format(self.name).resumable and not (self.parts and self.parts[-1].last):
            self.store.discard(self.upload)
            self.upload, self.parts = Upload(key=self.upload.key, token="again"), []

    def _began(self, upload_id: str) -> None:
        self.upload = Upload(key=self.upload.key, token=self.upload.token, id=upload_id)

    def _encoder(self, after: StoredPart | None) -> Encoder:
        state = dict(after.state) if after else None
        encoder = formats.get_format(self.name).encoder(FIELDS, Options(), state)
        return GzipEncoder(encoder, resumed=after is not None) if self.packed else encoder


def undisturbed(name: str, packed: bool, **values: Any) -> bytes:
    """The same file in memory, in one run."""
    store = MemoryStore()
    File(name=name, packed=packed, store=store, upload=Upload(key="file", token="token"), **values).write()
    return store.objects["file"]


def contents(data: bytes, name: str, packed: bool) -> Any:
    """What a reader finds in it; how it was compressed is no matter."""
    if packed:
        return gzip.decompress(data)
    if name == "xlsx":
        with zipfile.ZipFile(io.BytesIO(data)) as book:
            return {each: book.read(each) for each in book.namelist()}
    return data


@each_kind
def test_a_file_killed_at_ten_moments_has_the_same_bytes(r2: Bucket, name: str, packed: bool) -> None:
    moments = random.Random(f"{name} {packed}")
    file = File(name=name, packed=packed, store=r2.store, upload=r2.upload())
    for _ in range(10):
        file.write(steps=moments.randrange(1, 25))
        if r2.read(file.upload.key) is not None:
            break  # it was stored as fast as it was made, and nothing had to be made again
        file.found()
    else:
        file.write()
    assert are_equal(file.parts)
    assert r2.read(file.upload.key) == undisturbed(name, packed)


@each_kind
def test_a_file_with_a_limit_that_is_killed_has_the_same_bytes(r2: Bucket, name: str, packed: bool) -> None:
    file = File(name=name, packed=packed, store=r2.store, upload=r2.upload(), limit=ROWS // 2 + 7)
    for steps in (19, 18, 17):
        file.write(steps=steps)
        if r2.read(file.upload.key) is not None:
            break  # it was stored as fast as it was made, and nothing had to be made again
        file.found()
    else:
        file.write()
    assert r2.read(file.upload.key) == undisturbed(name, packed, limit=ROWS // 2 + 7)


@each_kind
def test_a_file_has_the_same_contents_as_in_other_parts(name: str, packed: bool) -> None:
    equal, other = undisturbed(name, packed), undisturbed(name, packed, equal=False)
    assert contents(equal, name, packed) == contents(other, name, packed)
    assert len(equal) > 3 * SIZE


@pytest.mark.parametrize("step", range(59, 64))
def test_a_run_that_ends_near_the_end_of_the_file_is_gone_on_with(r2: Bucket, step: int) -> None:
    file = File(name="csv", packed=False, store=r2.store, upload=r2.upload())
    file.write(steps=step)
    if r2.read(file.upload.key) is None:
        file.found()
        file.write()
    assert r2.read(file.upload.key) == undisturbed("csv", False)


def test_what_a_checkpoint_keeps_is_less_than_a_part() -> None:
    store = MemoryStore()
    file = File(name="csv", packed=False, store=store, upload=Upload(key="file", token="token"))
    file.write()
    assert {part.size for part in file.parts[:-1]} == {SIZE}
    assert max(len(part.tail) for part in file.parts) < SIZE
    assert [part.tail for part in file.parts if part.inner or part.last] == [b""]


def test_a_piece_of_several_parts_can_be_gone_on_with_behind_the_last_of_them_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.stores.test_equal_parts.SIZE", 200_000)
    store = MemoryStore()
    file = File(name="csv", packed=False, store=store, upload=Upload(key="file", token="token"))
    file.write(steps=2)
    found = [(part.inner, part.tail == b"") for part in file.parts]
    assert found == [(True, True), (True, True), (False, False)] * 2


def test_a_store_that_demands_equal_parts_says_so_at_the_end(r2: Bucket) -> None:
    parts = make_parts(5 * MIB, 5 * MIB + 1, 7)
    with pytest.raises(UnequalParts, match="CompleteMultipartUpload: InvalidPart"):
        complete(r2.open(r2.upload()), parts)
    assert r2.leftovers() == []


def test_more_parts_than_a_store_takes_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "MAX_PARTS", 3)
    with pytest.raises(TooLarge, match=r"The file is larger than the file storage takes\."):
        undisturbed("csv", False)


@pytest.mark.parametrize(
    ("expected", "mib"),
    [(None, 8), (0, 8), (39 * 1024 * MIB, 8), (40 * 1024 * MIB, 9), (1024 * 1024 * MIB, 210), (10**15, 4_096)],
)
def test_parts_of_one_size_hold_twice_what_is_expected(expected: int | None, mib: int) -> None:
    assert equal_part_size(expected) == mib * MIB


@pytest.mark.parametrize(
    ("sizes", "equal"),
    [([], True), ([8], True), ([8, 8], True), ([8, 8, 3], True), ([8, 9, 3], False), ([8, 9], False), ([3, 8], False)],
)
def test_parts_are_equal_when_only_the_last_is_smaller(sizes: Sequence[int], equal: bool) -> None:
    part = partial(StoredPart, etag="", offset=0, rows=0, cursor=None, crc32=0, state={})
    last = len(sizes)
    assert are_equal([part(number=n, size=size, last=n == last) for n, size in enumerate(sizes, start=1)]) == equal
