"""Ports that no other stack on this machine will take, even one started at the same moment.

A stack claims a whole block by binding a name in the kernel's abstract socket namespace: the claim is
atomic, needs no file, and ends with the process. Blocks lie below the range from which the kernel gives
ports to outgoing connections.
"""

from __future__ import annotations

import contextlib
import random
import socket

from exportsite.stack.errors import StackError

HOST = "127.0.0.1"
FIRST_BASE = 12_000
BLOCK_SIZE = 16
BLOCKS = 500  # the last port of the last block is 12,000 + 16 * 500 - 1 = 19,999
# weed mini's own worker looks for the admin's gRPC here, whatever -admin.port.grpc says.
ADMIN_GRPC_OFFSET = 10_000
NAMES = (
    "web", "postgres", "redis", "s3", "s3_grpc", "master", "master_grpc",
    "volume", "volume_grpc", "filer", "filer_grpc", "admin",
)  # fmt: skip


class Ports:
    """One claimed block: the ports that clients use, and those by which the store's parts speak."""

    def __init__(self, base: int) -> None:
        self.base = base
        numbers = {name: base + place for place, name in enumerate(NAMES)}
        self.numbers = {**numbers, "admin_grpc": numbers["admin"] + ADMIN_GRPC_OFFSET}
        self._claims = [_claim(f"block.{base}", *self.numbers.values())]

    def __getitem__(self, name: str) -> int:
        return self.numbers[name]

    def use_for_web(self, port: int) -> None:
        """Put the site on another port; OSError when it is taken."""
        self._claims.append(_claim(f"port.{port}", port))
        self.numbers["web"] = port


def claim_ports(preferred: int | None) -> Ports:
    """The block that this data folder had last time if it is free, else any free one."""
    bases = [FIRST_BASE + BLOCK_SIZE * number for number in range(BLOCKS)]
    random.shuffle(bases)
    if preferred in bases:
        bases.insert(0, preferred)
    for base in bases:
        with contextlib.suppress(OSError):
            return Ports(base)
    raise StackError(f"no {BLOCK_SIZE} free ports in a row between {min(bases)} and {max(bases)}")


def _claim(name: str, *ports: int) -> socket.socket:
    """Take the name for as long as the returned socket is open, if all the ports are free, or OSError."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0exportsite.stack.{name}")
        for port in ports:
            _check_free(port)
    except OSError:
        claim.close()
        raise
    return claim


def _check_free(port: int) -> None:
    """Raise OSError when something listens on the port, be it on this address or on all."""
    for host in (HOST, ""):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
