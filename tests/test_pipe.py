"""The pipe between the thread that makes a file and a client that may be slow, gone, or stalled."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import closing
from functools import partial
from typing import Any, cast

import pytest
from asgiref.sync import async_to_sync

from exports_app.pipeline.sinks import pipe
from exports_app.pipeline.sinks.pipe import Cut, PipeSink, ReaderGone, ReaderStalled
from exports_app.pipeline.types import Part
from exports_app.pipeline.waiting import while_waiting

PIECE = pipe.PIECE_BYTES


def part(number: int, data: bytes, offset: int = 0) -> Part:
    return Part(number=number, data=data, rows=1, cursor=("1",), crc32=0, offset=offset, state={})


class Maker(threading.Thread):
    """Does the steps with the sink, and keeps what they raised."""

    def __init__(self, sink: PipeSink, *steps: Callable[[PipeSink], object]) -> None:
        super().__init__()
        self._sink, self._steps = sink, steps
        self.raised: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            for step in self._steps:
                step(self._sink)
        except Exception as error:
            self.raised = error
        finally:
            self._sink.end(whole=self.raised is None)


def put(number: int, data: bytes) -> Callable[[PipeSink], None]:
    return lambda sink: sink.put(part(number, data), last=False)


def complete(sink: PipeSink) -> None:
    sink.complete()


def test_the_pieces_arrive_in_order_and_end() -> None:
    sink = PipeSink()
    maker = Maker(sink, put(1, b"a" * PIECE + b"b"), put(2, b"c"), complete)
    assert list(sink.read()) == [b"a" * PIECE, b"b", b"c"]
    maker.join()
    assert (maker.raised, sink.settled) == (None, True)


def test_an_event_loop_reads_the_same() -> None:
    sink = PipeSink()
    maker = Maker(sink, put(1, b"a" * PIECE * 40), lambda _: time.sleep(0.05), put(2, b"z"), complete)

    async def read() -> list[bytes]:
        return [piece async for piece in sink.read_async()]

    assert b"".join(async_to_sync(read)()) == b"a" * PIECE * 40 + b"z"
    maker.join()


def test_a_file_that_is_not_whole_ends_with_a_cut() -> None:
    sink = PipeSink()

    def fail(sink: PipeSink) -> None:
        raise ValueError

    Maker(sink, put(1, b"half"), fail).join()
    pieces = sink.read()
    assert next(pieces) == b"half"
    with pytest.raises(Cut):
        next(pieces)


def test_who_makes_more_than_fits_waits_for_the_reader() -> None:
    sink = PipeSink()
    made: list[int] = []

    def put_twenty(sink: PipeSink) -> None:
        for number in range(1, 21):
            sink.put(part(number, b"x" * PIECE), last=False)
            made.append(number)

    maker = Maker(sink, put_twenty, complete)
    while len(made) < pipe.PIECES:
        time.sleep(0.001)
    pieces = sink.read()
    for taken in range(1, 4):  # one is in the reader's hand, and counts until the next one is asked for
        next(pieces)
        wait_until(partial(lambda most: len(made) == most, pipe.PIECES + taken - 1))
    assert len(list(pieces)) == 17
    maker.join()


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.002)


def test_a_reader_that_leaves_ends_the_making() -> None:
    sink = PipeSink()
    maker = Maker(sink, *[put(n, b"x" * PIECE) for n in range(1, 1_000)], complete)
    with closing(cast(Generator[bytes], sink.read())) as pieces:
        next(pieces)
    maker.join(5)
    assert isinstance(maker.raised, ReaderGone)


def test_a_reader_of_an_event_loop_that_is_cancelled_ends_the_making() -> None:
    sink = PipeSink()
    maker = Maker(sink, *[put(n, b"x" * PIECE) for n in range(1, 1_000)], complete)

    async def read_one() -> None:
        pieces = cast(AsyncGenerator[bytes], sink.read_async())
        await anext(pieces)
        await pieces.aclose()

    async_to_sync(read_one)()
    maker.join(5)
    assert isinstance(maker.raised, ReaderGone)


def test_a_reader_that_leaves_before_the_last_piece_is_sent_did_not_get_the_file() -> None:
    sink = PipeSink()
    maker = Maker(sink, put(1, b"x"), complete)
    with closing(cast(Generator[bytes], sink.read())) as pieces:
        assert next(pieces) == b"x"
    maker.join(5)
    assert isinstance(maker.raised, ReaderGone)


def test_a_reader_that_takes_nothing_is_given_up() -> None:
    sink = PipeSink(send_seconds=0.1)
    maker = Maker(sink, put(1, b"x" * PIECE * 100), complete)
    maker.join(5)
    assert isinstance(maker.raised, ReaderStalled)


def test_a_reader_that_takes_less_than_sixteen_kibibytes_a_second_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "SPEED_SECONDS", 0.5)
    sink = PipeSink()
    maker = Maker(sink, put(1, b"x" * 1_000_000), *[put(n, b"x" * 100) for n in range(2, 1_000)], complete)
    pieces = sink.read()
    for _ in range(16):
        next(pieces)

    def take_slowly() -> None:
        for _ in pieces:
            time.sleep(0.02)  # 100 bytes each: 5 KB a second

    with pytest.raises(Cut):
        take_slowly()
    maker.join(5)
    assert isinstance(maker.raised, ReaderStalled)


def test_a_reader_that_waits_for_the_maker_is_not_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "SPEED_SECONDS", 0.1)
    sink = PipeSink()
    slow = [step for n in range(1, 21) for step in (put(n, b"x"), lambda _: time.sleep(0.02))]
    maker = Maker(sink, *slow, complete)
    assert b"".join(sink.read()) == b"x" * 20
    maker.join()
    assert maker.raised is None


def test_while_the_reader_is_slow_the_maker_looks_whether_it_shall_stop() -> None:
    sink = PipeSink()
    raised: list[BaseException] = []

    def cancelled() -> None:
        raise KeyError("cancelled")

    def make() -> None:
        try:
            with while_waiting(cancelled):
                sink.put(part(1, b"x" * PIECE * 100), last=True)
        except KeyError as error:
            raised.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join(5)
    assert [str(each) for each in raised] == ["'cancelled'"]


def test_it_can_be_seen_whether_anything_will_come() -> None:
    sink, empty = PipeSink(), PipeSink()
    maker: Any = Maker(sink, put(1, b"x"), complete)
    assert sink.wait_for_first() is True
    assert list(sink.read()) == [b"x"]
    maker.join()
    Maker(empty).join()
    assert empty.wait_for_first() is False
    assert list(empty.read()) == []
