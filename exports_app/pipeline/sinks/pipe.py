"""A sink whose bytes another one sends on while they are made: a bounded pipe between a thread and a slow client."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress

from exports_app.pipeline import waiting
from exports_app.pipeline.sinks.direct import DirectSink

PIECE_BYTES = 65_536
"""What is handed over at once."""
PIECES = 16
"""On their way at once, so that 1 MiB waits for a slow client, and the one who makes more waits with it."""
SEND_SECONDS = 30.0
"""A client that takes not one piece in this time is given up, since a snapshot of the database waits with it."""
LEAST_SPEED = 16_384
"""Bytes a second, of a client that is waited for; a slower one fetches the file of an export, which waits for it."""
SPEED_SECONDS = 30.0
"""Of waiting for a client, over which its speed is taken."""


class ReaderGone(Exception):
    """Nobody takes the bytes any more."""


class ReaderStalled(Exception):
    """The client did not take the bytes."""


class Cut(Exception):
    """The rest of the file will not come. Raised where it is read, so that the connection breaks off."""


class PipeSink(DirectSink):
    """One thread puts parts in, and waits while the pipe is full; one reader takes pieces out and sends them.

    ``complete`` waits until every byte was sent; the reader's end comes with ``end``. Where the reader has left,
    ``put`` and ``complete`` raise ``ReaderGone``, and where it takes nothing, ``ReaderStalled``.
    """

    def __init__(self, *, send_seconds: float = SEND_SECONDS) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._pieces: deque[bytes] = deque()
        self._unsent = 0
        self._send_seconds = send_seconds
        self._waited = 0.0
        """Seconds that the client was waited for, since its speed was looked at last."""
        self._taken = 0
        """Bytes that it took in the meantime."""
        self._over = self._whole = self._left = False
        self._wake_reader: Callable[[], object] | None = None

    # For the thread that makes the file

    def _write(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE_BYTES):
            self._wait_until(lambda: self._unsent < PIECES)
            with self._changed:
                self._pieces.append(data[start : start + PIECE_BYTES])
                self._unsent += 1
                self._tell()

    def _publish(self) -> None:
        while self._unsent:  # each piece that is sent gives the others time anew
            before = self._unsent
            self._wait_until(lambda: self._unsent < before)  # noqa: B023 - called at once
        self.check()

    def abort(self) -> None:
        self.settled = True

    def check(self) -> None:
        """Raises ``ReaderGone`` where nobody reads any more."""
        if self._left:
            raise ReaderGone

    def end(self, *, whole: bool) -> None:
        """Nothing more comes: the reader sees the end, or ``Cut`` where the file is not whole."""
        with self._changed:
            self._over, self._whole = True, whole
            self._tell()

    def _wait_until(self, ready: Callable[[], bool]) -> None:
        began = time.monotonic()
        ends = began + self._send_seconds
        while not ready():
            with self._changed:
                self._changed.wait_for(lambda: ready() or self._left, waiting.POLL_SECONDS)
            self.check()
            waiting.look()
            if time.monotonic() > ends:
                raise ReaderStalled
        self._require_speed(time.monotonic() - began)
        self.check()

    def _require_speed(self, waited: float) -> None:
        """Raises ``ReaderStalled`` where what was waited for came too slowly."""
        self._waited += waited
        if self._waited < SPEED_SECONDS:
            return
        if self._taken < LEAST_SPEED * self._waited:
            raise ReaderStalled
        self._waited, self._taken = 0.0, 0

    # For who reads

    def wait_for_first(self) -> bool:
        """Wait until there is something to send, or nothing will come: then False."""
        with self._changed:
            self._changed.wait_for(lambda: self._pieces or self._over)
            return bool(self._pieces)

    def leave(self) -> None:
        """Nobody reads any more. May be called twice."""
        with self._changed:
            self._left = True
            self._tell()

    def read(self) -> Iterator[bytes]:
        """The pieces, for a server that reads in a thread of its own."""
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._pieces or self._over)
                piece = self._take()
                if piece is None:
                    return
                yield piece
                self._sent(len(piece))
        finally:
            self.leave()

    async def read_async(self) -> AsyncIterator[bytes]:
        """The pieces, for a server with an event loop, which never waits here."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()
        self._wake_reader = lambda: loop.call_soon_threadsafe(news.set)
        try:
            while True:
                news.clear()
                if not (self._pieces or self._over):
                    await news.wait()
                    continue
                piece = self._take()
                if piece is None:
                    return
                yield piece
                self._sent(len(piece))
        finally:
            self._wake_reader = None
            self.leave()

    def _take(self) -> bytes | None:
        """The next piece; None after the last one. Raises ``Cut`` where the file ends before its end."""
        with self._changed:
            if self._pieces:
                return self._pieces.popleft()
            if not self._whole:
                raise Cut
            return None

    def _sent(self, size: int) -> None:
        with self._changed:
            self._unsent -= 1
            self._taken += size
            self._changed.notify_all()

    def _tell(self) -> None:
        self._changed.notify_all()
        if wake := self._wake_reader:
            with suppress(RuntimeError):  # the loop is closed: nobody is there to be woken
                wake()
