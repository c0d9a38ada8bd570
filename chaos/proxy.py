"""A TCP proxy that breaks what passes through it, on command."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

SIZE = 65_536
T = TypeVar("T")


class Mode(StrEnum):
    PASS = "pass"
    HOLE = "hole"
    """What either side sends is swallowed; connections stay open."""
    HOLE_DOWN = "hole_down"
    """What the server sends is swallowed."""
    RESET = "reset"
    """Connections are reset as soon as something is sent."""
    REFUSE = "refuse"
    """Open connections are reset, new ones are refused."""


@dataclass(slots=True)
class Rule:
    """What happens to requests whose head matches; ``left`` times, to each ``every``-th one."""

    head: re.Pattern[bytes]
    act: str
    """``lose``: reset in place of the server's answer; ``silence``: no answer at all; ``answer``: this one, the server
    is not asked; ``hold``: sent on only after release."""
    answer: bytes = b""
    left: int = 1
    every: int = 1
    seen: int = 0
    done: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def takes(self, data: bytes) -> bool:
        if not self.left or not self.head.match(data):
            return False
        self.seen += 1
        if self.seen % self.every:
            return False
        self.left -= 1
        self.done += 1
        return True


class Proxy:
    """Listens on a free port of this machine; runs in a thread of its own."""

    def __init__(self, host: str, port: int) -> None:
        self.target = host, port
        self.mode = Mode.PASS
        self.rules: list[Rule] = []
        self.bytes_per_second = 0
        """Of what clients send, in each connection; 0: no limit."""
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.port = 0
        self._call(self._listen())

    def set(self, mode: Mode) -> None:
        """Change the mode, for open connections too."""
        self._call(self._set(mode))

    def reset(self) -> None:
        """Reset every open connection, once."""
        self._call(self._cut())

    def add(self, head: str, act: str, **values: Any) -> Rule:
        rule = Rule(re.compile(head.encode(), re.DOTALL), act, **values)
        self.rules.append(rule)
        return rule

    def heal(self) -> None:
        """Back to passing everything."""
        for rule in self.rules:
            rule.left = 0
            rule.released.set()
        self.rules.clear()
        self.bytes_per_second = 0
        self.set(Mode.PASS)

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _set(self, mode: Mode) -> None:
        before, self.mode = self.mode, mode
        if mode is Mode.REFUSE and self._server is not None:
            self._server.close()
            self._server = None
            await self._cut()
        elif mode is not Mode.REFUSE and self._server is None:
            await self._listen()
        if before in (Mode.HOLE, Mode.HOLE_DOWN) and mode is Mode.PASS:
            await self._cut()  # what was swallowed is missing from these streams

    async def _cut(self) -> None:
        for writer in list(self._writers):
            _abort(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(*self.target)
        except OSError:
            _abort(writer)
            return
        pair = {writer, back}
        self._writers |= pair
        acts: list[str] = []
        up = self._pump(reader, back, lambda data: self._up(data, writer, acts))
        down = self._pump(there, writer, lambda data: self._down(data, writer, acts))
        with suppress(OSError, asyncio.IncompleteReadError):
            await asyncio.gather(up, down)
        self._writers -= pair
        for each in pair:
            _abort(each)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, see: Callable[[bytes], Awaitable[bool]]
    ) -> None:
        while data := await reader.read(SIZE):
            if await see(data):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _up(self, data: bytes, writer: asyncio.StreamWriter, acts: list[str]) -> bool:
        if self.mode is Mode.RESET:
            _abort(writer)
            return False
        if self.mode is Mode.HOLE:
            return False
        if self.bytes_per_second:
            await asyncio.sleep(len(data) / self.bytes_per_second)
        rule = next((rule for rule in self.rules if rule.takes(data)), None)
        if rule is None:
            return True
        if rule.act == "answer":
            writer.write(rule.answer)
            await writer.drain()
            writer.close()
            return False
        if rule.act == "hold":
            await asyncio.to_thread(rule.released.wait, 120)
            return True
        acts.append(rule.act)
        return True

    async def _down(self, data: bytes, writer: asyncio.StreamWriter, acts: list[str]) -> bool:
        if "lose" in acts:
            _abort(writer)
        if acts:
            return False
        return self.mode not in (Mode.HOLE, Mode.HOLE_DOWN)


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close with RST, as a machine does that knows nothing of the connection."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def http(status: str, body: str = "", **headers: str) -> bytes:
    """An answer of a web server that closes after it."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: application/xml", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def s3_error(status: str, code: str) -> bytes:
    return http(status, f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>")
