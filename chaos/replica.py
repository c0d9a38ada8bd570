"""A recovery conflict on a real replica: two more PostgreSQL, the second one streaming from the first."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from chaos.catalogue import fault
from chaos.scene import Scene, ids_of
from chaos.site import Process, free_port
from chaos.stores import completed
from exports_app.models import ExportJob
from exportsite.stack.binaries import find_binary
from exportsite.stack.postgres import DISTRIBUTION, as_owner, make_data_folder

UP_SECONDS = 30.0
DELAY = "max_standby_streaming_delay=300ms"
TABLE = "samples_customer"
# So much that it is not all on its way when the conflict comes.
MORE = f"""
INSERT INTO {TABLE} (id, name, email, signup_date, country_code, subscription_tier, lifetime_value)
SELECT n * 10000000 + id, name, email, signup_date, country_code, subscription_tier, lifetime_value
  FROM {TABLE}, generate_series(1, 2) AS n
"""


@dataclass
class Server:
    """One PostgreSQL in a folder of its own, for whoever is on this machine."""

    folder: Path
    port: str = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def run(self, binary: str, *arguments: str) -> None:
        subprocess.run(self._words(binary, *arguments), check=True, capture_output=True, cwd=self.folder)

    def start(self, scene: Scene, *settings: str) -> None:
        given = [f"port={self.port}", "unix_socket_directories=", "fsync=off", "jit=off", *settings]
        words = self._words("postgres", "-D", str(self.folder), *(part for each in given for part in ("-c", each)))
        scene.site.adopt(Process(f"postgres-{self.port}", words, {}, self.folder.with_suffix(".log")))
        scene.until(f"PostgreSQL in {self.folder.name}", self._answers, UP_SECONDS)

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url, autocommit=True, connect_timeout=2)

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _words(self, binary: str, *arguments: str) -> list[str]:
        program = find_binary(DISTRIBUTION, f"pginstall18/bin/{binary}")
        return [*as_owner(self.folder), str(program), *arguments]


@fault(
    "C34", "recovery conflicts on a streaming replica that is read from", "tried again on a new snapshot, no row lost"
)
def recovery_conflict(scene: Scene) -> None:
    primary, replica = _pair(scene)
    scene.loose = True  # the rows are those of the replica
    scene.site.restart_workers({"EXPORTS_SOURCE_DATABASE_URL": replica.url})
    job = scene.under_way(2)
    with primary.connect() as connection:
        connection.execute(f"UPDATE {TABLE} SET lifetime_value = lifetime_value + 1 WHERE id <= 2000")
        connection.execute(f"VACUUM {TABLE}")  # what it removes, the export's snapshot still sees
    scene.until("the conflict", lambda: _retries(job))
    completed(scene)
    with replica.connect() as connection:
        conflicts = connection.execute("SELECT sum(confl_snapshot) FROM pg_stat_database_conflicts").fetchone()
        wanted = [row[0] for row in connection.execute(f"SELECT id FROM {TABLE} ORDER BY id")]
    for each in (replica, primary):
        scene.site.dismiss(f"postgres-{each.port}")
    scene.notes.append(f"{conflicts[0] if conflicts else 0} conflicts by PostgreSQL's own count")
    scene.expect(bool(conflicts and conflicts[0]), "PostgreSQL counted no conflict")
    scene.expect(ids_of(scene.now(job)) == wanted, "a row stands twice, out of order or not at all")
    scene.expect(len(scene.now(job).snapshots) > 1, "the job lists one moment only")


def _retries(job: ExportJob) -> bool:
    return job.events.filter(kind="retry", data__code="database_unavailable").exists()


def _pair(scene: Scene) -> tuple[Server, Server]:
    """A primary with a copy of the table, and its replica."""
    name = f"{time.monotonic_ns()}"
    primary, replica = (Server(scene.site.folder / f"{role}-{name}") for role in ("primary", "replica"))
    make_data_folder(primary.folder)
    primary.run("initdb", "-D", str(primary.folder), "-U", "postgres", "--auth", "trust", "--no-sync", "-E", "UTF8")
    primary.start(scene, "autovacuum=off")
    with psycopg.connect(os.environ["DATABASE_URL"]) as site, primary.connect() as there:
        there.execute(_definition(site))
        with (
            site.cursor().copy(f"COPY {TABLE} TO STDOUT") as out,
            there.cursor().copy(f"COPY {TABLE} FROM STDIN") as to,
        ):
            for block in out:
                to.write(block)
        there.execute(MORE)
        there.execute(f"VACUUM ANALYZE {TABLE}")
    make_data_folder(replica.folder)
    replica.run("pg_basebackup", "-d", primary.url, "-D", str(replica.folder), "-R", "-c", "fast", "--no-sync")
    replica.start(scene, DELAY)
    return primary, replica


def _definition(site: psycopg.Connection[tuple[object, ...]]) -> str:
    columns = site.execute(
        "SELECT string_agg(format('%%I %%s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum) "
        "FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        [TABLE],
    ).fetchone()
    assert columns is not None
    return f"CREATE TABLE {TABLE} ({columns[0]}, PRIMARY KEY (id))"
