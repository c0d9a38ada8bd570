"""Who writes jobs while 200,000 of them are migrated never waits for a second, and none is counted wrongly."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.upgrades.releases import Scene, scene

pytestmark = pytest.mark.skipif(not os.environ.get("UPGRADES"), reason="`make test-full` upgrades a site (UPGRADES=1)")

JOBS = 200_000
OWNERS = 20
LONGEST_WAIT = 1.0
HOLD_SECONDS = 1.5
SAMPLE = "5a3b1e00-0000-4000-8000-000000000000"
"""Found by its key: a statement that looked through the table would hold it for longer than the migration waits."""
MAKE = f"""
from django.contrib.auth.models import User
from exports_app.models import ExportJob
for number in range({OWNERS}):
    user = User.objects.create(username=f"owner{{number}}")
ExportJob.objects.create(id="{SAMPLE}", owner=user, resource="r", format="csv", file_name="a.csv", status="cancelled")
"""
STATES = """(ARRAY['completed', 'completed', 'completed', 'failed', 'cancelled', 'queued', 'running'])[1 + n % 7]"""
OVERRIDES = {
    "id": "gen_random_uuid()",
    "owner_id": f"(SELECT min(id) FROM auth_user) + n % {OWNERS}",
    "created_at": "now() - n * interval '1 second'",
    "status": STATES,
    "queue": "(ARRAY['exports', 'exports.large'])[1 + n % 2]",
    "worker": "''",
    "claim": "1",
    "lease_expires_at": "now() + interval '1 hour'",
    "started_at": f"CASE WHEN {STATES} <> 'queued' THEN now() - n * interval '1 second' END",
    "completed_at": "now()",
    "row_count": "1",
    "file_size": "1",
    "error_code": "'internal'",
}


class Writer:
    """Writes jobs as the last release does, and notes how long each statement took."""

    def __init__(self, place: Scene, columns: list[str]) -> None:
        self.place = place
        self.waits: list[float] = []
        self.insert = insert(columns, "generate_series(floor(random() * 1000)::int, 1000) AS n LIMIT 1")
        self.stop = threading.Event()
        self.failed: list[BaseException] = []

    def run(self) -> None:
        try:
            with self.place.connect() as connection:
                while not self.stop.is_set():
                    job = self.timed(connection, f"{self.insert} RETURNING id")
                    for change in (
                        "status = 'running'",
                        "status = 'queued'",
                        "status = 'running'",
                        "status = 'completed'",
                    ):
                        self.timed(
                            connection, f"UPDATE exports_app_exportjob SET {change} WHERE id = '{job}' RETURNING id"
                        )
                    self.timed(connection, DELETE_ONE)
        except Exception as error:
            self.failed.append(error)

    def timed(self, connection: Any, statement: str) -> Any:
        began = time.monotonic()
        (found,) = connection.execute(statement).fetchone()
        self.waits.append(time.monotonic() - began)
        return found


DELETE_ONE = """
DELETE FROM exports_app_exportjob WHERE id = (
       SELECT id FROM exports_app_exportjob WHERE status = 'queued' LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id
"""


class Holder(threading.Thread):
    """Somebody whose transactions with a written job stay open for a while, one after another."""

    def __init__(self, place: Scene) -> None:
        super().__init__()
        self.place = place
        self.stop = threading.Event()

    def run(self) -> None:
        with self.place.connect(autocommit=False) as connection:
            while not self.stop.is_set():
                connection.execute(f"UPDATE exports_app_exportjob SET rows_done = 1 WHERE id = '{SAMPLE}'")
                self.stop.wait(HOLD_SECONDS)
                connection.commit()
                self.stop.wait(HOLD_SECONDS / 2)


def insert(columns: list[str], source: str) -> str:
    values = ", ".join(OVERRIDES.get(name, f"sample.{name}") for name in columns)
    return (
        f"INSERT INTO exports_app_exportjob ({', '.join(columns)}) SELECT {values}"
        f" FROM (SELECT * FROM exports_app_exportjob WHERE id = '{SAMPLE}') AS sample, {source}"
    )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path) as made:
        yield made


def columns_of(place: Scene) -> list[str]:
    query = "SELECT column_name FROM information_schema.columns WHERE table_name = 'exports_app_exportjob'"
    return [name for (name,) in place.rows(query)]


COUNTED = """
SELECT owner_id,
       count(*) FILTER (WHERE status = 'queued' AND next_attempt_at IS NULL AND queue = 'exports'),
       count(*) FILTER (WHERE status = 'queued' AND next_attempt_at IS NULL AND queue = 'exports.large'),
       count(*) FILTER (WHERE status = 'running')
  FROM exports_app_exportjob GROUP BY owner_id ORDER BY owner_id
"""
TURNS = "SELECT owner_id, small, large, running FROM exports_app_exportturn ORDER BY owner_id"
STALE_PLACES = """
SELECT count(*) FROM exports_app_exportslot AS slot
 WHERE job_id IS NOT NULL
   AND NOT EXISTS (SELECT FROM exports_app_exportjob WHERE id = slot.job_id AND status = 'running')
"""
INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"


def test_nobody_who_writes_waits_for_the_migration_of_a_large_table(place: Scene, record_property: Any) -> None:
    place.old.manage("shell", "-c", MAKE)
    columns = columns_of(place)
    with place.connect() as connection:
        connection.execute(insert(columns, f"generate_series(1, {JOBS}) AS n").encode())
    writers = [Writer(place, columns) for _ in range(3)]
    threads = [threading.Thread(target=each.run) for each in writers]
    holder = Holder(place)
    for each in (*threads, holder):
        each.start()
    try:
        began = time.monotonic()
        place.new.manage("migrate", "--noinput")
        seconds = time.monotonic() - began
    finally:
        for event in (*(writer.stop for writer in writers), holder.stop):
            event.set()
        for each in (*threads, holder):
            each.join()
    waits = sorted(wait for writer in writers for wait in writer.waits)
    record_property("longest wait", waits[-1])
    record_property("seconds of the migration", seconds)
    assert [writer.failed for writer in writers] == [[], [], []]
    assert len(waits) > 500
    assert waits[-1] < LONGEST_WAIT
    assert place.rows(TURNS) == place.rows(COUNTED)
    assert place.rows(STALE_PLACES) == [(0,)]
    assert place.rows(INVALID) == []
