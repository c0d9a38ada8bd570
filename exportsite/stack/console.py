from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from typing import TextIO

DIM, GREEN, RED, BOLD, RESET = "\033[2m", "\033[32m", "\033[31m", "\033[1m", "\033[0m"


class Console:
    """Short lines about what happens, each with the seconds since the start; colour only on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._began = time.monotonic()
        self._colour = stream.isatty() and "NO_COLOR" not in os.environ

    def step(self, text: str) -> None:
        elapsed = f"{time.monotonic() - self._began:6.1f} s"
        self._write(f"{self._paint(DIM, elapsed)}  {text}")

    def fail(self, text: str) -> None:
        self.step(self._paint(RED, text))

    def card(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """A headed list of name and value, set apart by empty lines."""
        width = max(len(name) for name, _ in rows)
        lines = [f"    {self._paint(DIM, name.ljust(width))}  {value}" for name, value in rows]
        self._write("\n".join(["", f"  {self._paint(BOLD + GREEN, title)}", *lines, ""]))

    def _paint(self, code: str, text: str) -> str:
        return f"{code}{text}{RESET}" if self._colour else text

    def _write(self, text: str) -> None:
        # A reader that went away (`| head`) must not keep the stack from ending its children.
        with contextlib.suppress(OSError):
            self._stream.write(text + "\n")
            self._stream.flush()
