"""A first export the way a client makes one, checked to the last byte."""

from __future__ import annotations

import csv
import io
import json
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from exportsite.stack.console import Console
from exportsite.stack.errors import StackError
from exportsite.stack.supervisor import Supervisor

RESOURCE = "customers"
BLOCK_BYTES = 1 << 20
POLL_SECONDS = 0.1
GIVE_UP_SECONDS = 120.0
ENDED = ("completed", "failed", "cancelled", "expired")


@dataclass(slots=True)
class Download:
    """The blocks of a file on their way to a reader, measured."""

    size: int = 0
    crc32: int = 0

    def lines(self, url: str) -> Iterator[str]:
        with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310 - our own store
            for line in io.TextIOWrapper(response, encoding="utf-8", newline=""):
                data = line.encode()
                self.size += len(data)
                self.crc32 = zlib.crc32(data, self.crc32)
                yield line


def make(url: str, token: str, supervisor: Supervisor, console: Console) -> None:
    """Request, wait, download, count; StackError when the file is not what the job says."""
    began = time.monotonic()
    job = _call(f"{url}/api/v1/exports/", token, {"resource": RESOURCE, "format": "csv"})
    job = _await_end(f"{url}/api/v1/exports/{job['id']}/", token, supervisor)
    seconds = time.monotonic() - began
    download = Download()
    rows = sum(1 for _ in csv.reader(download.lines(job["download_url"]))) - 1  # the header
    found = {"row_count": rows, "file_size": download.size, "crc32": f"{download.crc32:08x}"}
    if any(job[name] != value for name, value in found.items()):
        raise StackError(f"the first export is not what its job says: {found} against {job}")
    console.card(
        f"First export: {job['file_name']}",
        [
            ("rows", f"{rows:,}"),
            ("bytes", f"{download.size:,} (CRC-32 {found['crc32']} as stored)"),
            ("time", f"{seconds:.2f} s from request to finished file"),
            ("speed", f"{rows / seconds:,.0f} rows/s"),
        ],
    )


def _await_end(address: str, token: str, supervisor: Supervisor) -> dict[str, Any]:
    give_up_at = time.monotonic() + GIVE_UP_SECONDS
    while (job := _call(address, token))["status"] not in ENDED:
        if time.monotonic() > give_up_at:
            raise StackError(f"the first export is still {job['status']}: {job['progress']}")
        supervisor.wait(POLL_SECONDS)
    if job["status"] != "completed":
        raise StackError(f"the first export {job['status']}: {job['error']}")
    return job


def _call(address: str, token: str, body: dict[str, str] | None = None) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - our own address
        address,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - our own address
            answer: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        raise StackError(f"{address} answered {error.code}: {error.read().decode()[:500]}") from error
    return answer
