"""Debian's PgBouncer before a database, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg

from exportsite.stack.ports import HOST

PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
OWNER = "nobody"
PATIENCE = 20.0
"""Seconds until it answers."""
MISSING = "PgBouncer (Debian: pgbouncer) is not installed."
SETTINGS = """\
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = {own_host}
listen_port = {own_port}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {size}
logfile = {folder}/log
"""


@dataclass
class Pooler:
    """One process of it, or none while it is stopped."""

    folder: Path
    port: int
    behind: str
    """URL of the database itself."""
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        """The database through it."""
        given = urlsplit(self.behind)
        login = given.netloc.rpartition("@")[0]
        return urlunsplit(given._replace(netloc=f"{login}@{HOST}:{self.port}"))

    def start(self) -> None:
        root = os.geteuid() == 0
        self.process = subprocess.Popen(
            [PROGRAM, "-q", str(self.folder / "ini")], user=OWNER if root else None, stdout=-3, stderr=-3
        )
        give_up_at = time.monotonic() + PATIENCE
        while not self._answers():
            if time.monotonic() > give_up_at:
                raise RuntimeError((self.folder / "log").read_text()[-2000:])
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def pooler(url: str, mode: str, *, size: int = 10) -> Iterator[Pooler]:
    """It runs in this mode (``session``, ``transaction``) with so many connections.

    Raises ``FileNotFoundError`` where it is not installed.
    """
    if not Path(PROGRAM).exists():
        raise FileNotFoundError(MISSING)
    given = urlsplit(url)
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as name:
        folder = Path(name)
        made = Pooler(folder, _free_port(), url)
        values = {"host": given.hostname, "port": given.port, "own_host": HOST, "own_port": made.port}
        (folder / "ini").write_text(SETTINGS.format(**values, folder=folder, mode=mode, size=size))
        (folder / "users").write_text(f'"{given.username}" "{unquote(given.password or "")}"\n')
        if os.geteuid() == 0:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, OWNER)
        made.start()
        try:
            yield made
        finally:
            made.stop()


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as free:
        return int(free.getsockname()[1])
