"""Files that were broken off again and again, read by others; run by name (``--only S5``)."""

from __future__ import annotations

import os
import random
import statistics
import threading
import time
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import openpyxl
import psycopg
import python_calamine
from django.test.utils import override_settings

from chaos.catalogue import fault
from chaos.libreoffice import converted
from chaos.scene import COLUMNS, Broken, Scene, bucket
from chaos.stores import completed, database
from exports_app import conf, lifecycle, services, storage
from exports_app.models import ExportJob
from exports_app.pipeline.parts import part_size
from exports_app.pipeline.types import Upload
from exports_app.plan import make_plan
from workers.run import Run

MIB = 1_048_576
ROWS_OF_BOTH_SHEETS = (500_000, 900_000, 1_500_000)
PAIRS = 7


# S5: a workbook


@fault(
    "S5",
    "an XLSX of 2,000,000 rows killed three times, in both sheets: child, SIGTERM, group",
    "cell by cell the undisturbed one; openpyxl, calamine and LibreOffice read it",
    rows=2_000_000,
)
def workbook(scene: Scene) -> None:
    whole = scene.ask(format="xlsx")
    scene.until_ended(seconds=600)
    scene.slow(2)
    job = scene.ask(format="xlsx")
    kills = (Scene.kill_child, Scene.end_worker, Scene.kill_group)
    for rows, kill in zip(ROWS_OF_BOTH_SHEETS, kills, strict=True):
        _until_rows(scene, job, rows)
        claim = scene.now(job).claim
        kill(scene, job)
        scene.until_claimed_again(job, claim)
        scene.site.revive()
        scene.slow(2)
    completed(scene)
    paths = [_fetch(scene, each) for each in (whole, job)]
    sheets = [each.state["sheets"] for each in job.parts.all() if each.state.get("sheets")]
    scene.notes.append(f"{job.parts.count()} parts by claims {_by_claim(job)}, killed in sheets {_sheets(job)}")
    scene.expect(max(len(each) for each in sheets) == 2, "the file has one sheet only")
    _same_members(scene, *paths)
    _read_by_all(scene, paths[1])


def _until_rows(scene: Scene, job: ExportJob, rows: int) -> None:
    def reached() -> bool:
        now = scene.now(job)
        if now.status == "completed":
            raise Broken(f"it ended before {rows:,} rows could be interrupted")
        return now.status == "running" and job.parts.filter(rows__gte=rows).exists()

    scene.until(f"{rows:,} rows", reached, 600)


def _by_claim(job: ExportJob) -> dict[int, int]:
    claims = list(job.parts.values_list("claim", flat=True))
    return {claim: claims.count(claim) for claim in sorted(set(claims))}


def _sheets(job: ExportJob) -> list[int]:
    """The sheet in which each run but the last one ended."""
    last = {part.claim: part for part in job.parts.order_by("number")}
    return [len(part.state["sheets"]) for part in list(last.values())[:-1]]


def _fetch(scene: Scene, job: ExportJob) -> Path:
    path = scene.site.folder / f"{job.pk}.{job.format}"
    bucket().download_file(scene.now(job).file_key, str(path))
    return path


def _same_members(scene: Scene, whole: Path, broken: Path) -> None:
    """Every member of both archives says the same, but for the time it was made at."""
    with zipfile.ZipFile(whole) as one, zipfile.ZipFile(broken) as other:
        scene.expect(one.namelist() == other.namelist(), "the members differ")
        for name in one.namelist():
            if name.startswith("docProps/"):
                continue
            with one.open(name) as left, other.open(name) as right:
                while (block := left.read(MIB)) == right.read(MIB) and block:
                    pass
                scene.expect(not block, f"{name} differs")


def _read_by_all(scene: Scene, path: Path) -> None:
    for name, rows in (("openpyxl", _openpyxl), ("calamine", _calamine)):
        began = time.monotonic()
        count = _same_cells(scene, name, rows(path))
        scene.notes.append(f"{name}: {count:,} rows in {time.monotonic() - began:.0f} s")
    scene.notes.append(converted(path, scene))


def _openpyxl(path: Path) -> Iterator[tuple[Any, ...]]:
    book = openpyxl.load_workbook(path, read_only=True)
    for sheet in book.worksheets:
        yield from islice(sheet.iter_rows(values_only=True), 1, None)


def _calamine(path: Path) -> Iterator[list[Any]]:
    book = python_calamine.CalamineWorkbook.from_path(str(path))
    for name in book.sheet_names:
        yield from islice(book.get_sheet_by_name(name).iter_rows(), 1, None)


def _same_cells(scene: Scene, reader: str, rows: Iterable[Any]) -> int:
    """Every cell against the table; how many rows there are."""
    count = 0
    with database() as connection, connection.transaction(), connection.cursor("oracle") as cursor:
        cursor.itersize = 20_000
        cursor.execute(f"SELECT {', '.join(COLUMNS)} FROM samples_customer ORDER BY id")
        for found, wanted in zip(rows, cursor, strict=True):
            count += 1
            cells = [each.date() if isinstance(each, datetime) else each for each in found]
            scene.expect(cells[:6] == list(wanted[:6]), f"{reader}: {cells} for {wanted}")
            scene.expect(cells[6] == float(wanted[6]), f"{reader}: {cells[6]!r} for {wanted[6]!r}")
    return count


# S6: under writers


@dataclass(frozen=True, slots=True)
class Commit:
    before: datetime
    after: datetime
    rows: dict[int, bytes | None]
    """What the touched rows are after it, as lines of the file; None: gone."""


@dataclass
class Writer:
    """Changes the table, one transaction after the other, and keeps what each one did."""

    rng: random.Random
    ids: list[int]
    commits: list[Commit] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    _gone: list[int] = field(default_factory=list)

    def run(self) -> None:
        with database() as connection:
            while not self.stop.wait(0.05):
                self.commits.append(self._commit(connection))

    def _commit(self, connection: psycopg.Connection[Any]) -> Commit:
        changed, deleted = self.rng.sample(self.ids, 30), self.rng.sample(self.ids, 10)
        back, self._gone = self._gone[:10], self._gone[10:] + deleted
        before = _now(connection)
        with connection.transaction():
            connection.execute(
                "UPDATE samples_customer SET lifetime_value = %s WHERE id = ANY(%s)", [len(self.commits), changed]
            )
            connection.execute("DELETE FROM samples_customer WHERE id = ANY(%s)", [deleted])
            connection.execute(
                f"{INSERT} SELECT id, {NEW} FROM unnest(%s::bigint[]) AS id ON CONFLICT DO NOTHING", [back]
            )
            added = connection.execute(
                f"{INSERT} SELECT (SELECT max(id) FROM samples_customer) + n, {NEW} FROM generate_series(1, 5) AS n "
                "RETURNING id"
            ).fetchall()
            touched = [*changed, *deleted, *back, *(row[0] for row in added)]
            rows = lines(connection, f"WHERE id = ANY(ARRAY{touched})")
        return Commit(before, _now(connection), dict.fromkeys(touched) | rows)


INSERT = f"INSERT INTO samples_customer ({', '.join(COLUMNS)})"
NEW = "'New', 'new@mail.example', date '2024-01-01', 'DE', 'FREE', 7"


def _now(connection: psycopg.Connection[Any]) -> datetime:
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment


def lines(connection: psycopg.Connection[Any], where: str = "") -> dict[int, bytes]:
    """Rows by their id, as lines of the file."""
    statement = f"COPY (SELECT {', '.join(COLUMNS)} FROM samples_customer {where} ORDER BY id) TO STDOUT (FORMAT csv)"
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        text = b"".join(bytes(block) for block in copy)
    return {int(line.partition(b",")[0]): line for line in text.splitlines(keepends=True)}


@fault(
    "S6",
    "an export killed three times while twenty transactions a second change the table",
    "each stretch of the file is the table at the moment that the job lists for it",
    rows=400_000,
)
def under_writers(scene: Scene) -> None:
    scene.loose = True
    with database() as connection:
        table: dict[int, bytes] = lines(connection)
    writer = Writer(scene.rng, list(table))
    thread = threading.Thread(target=writer.run)
    thread.start()
    try:
        scene.slow(2)
        job = scene.ask()
        for number in (1, 3, 5):
            scene.until_parts(job, number)
            claim = scene.now(job).claim
            scene.kill_child(job)
            scene.until_claimed_again(job, claim)
        completed(scene)
    finally:
        writer.stop.set()
        thread.join()
    ended = scene.now(job)
    scene.expect(len(ended.snapshots) > 2, f"{len(ended.snapshots)} moments")
    _true_to_its_moments(scene, ended, table, writer.commits)
    stretches = ", ".join(f"{each['rows_before']:,} rows before {each['after_key']}" for each in ended.snapshots[1:])
    scene.notes.append(f"{len(writer.commits)} transactions; {len(ended.snapshots)} moments ({stretches})")


SLACK = 0.5
"""Seconds after the moment on record within which its snapshot may have been taken, and a little before."""


def _true_to_its_moments(scene: Scene, job: ExportJob, table: dict[int, bytes], commits: list[Commit]) -> None:
    body = bucket().Object(job.file_key).get()["Body"].read().splitlines(keepends=True)[1:]
    ends = [each["rows_before"] for each in job.snapshots[1:]] + [len(body)]
    keys = [each["after_key"] for each in job.snapshots[1:]] + [job.last_key]
    for moment, end, key in zip(job.snapshots, ends, keys, strict=True):
        at = datetime.fromisoformat(moment["at"]).timestamp()
        low, high = int((moment["after_key"] or ["0"])[0]), int(key[0])
        stretch = body[moment["rows_before"] : end]
        sure = [each for each in commits if each.after.timestamp() < at - SLACK]
        open_ones = [each for each in commits[len(sure) :] if each.before.timestamp() < at + SLACK]
        states = _states(table, sure, open_ones)
        found = any(stretch == [state[n] for n in sorted(state) if low < n <= high] for state in states)
        scene.expect(found, f"the rows from {low} to {high} are not the table at {moment['at']}")


def _states(table: dict[int, bytes], sure: list[Commit], open_ones: list[Commit]) -> Iterator[dict[int, bytes]]:
    """The table after the first commits, and after each one that may have come before the snapshot or not."""
    state: dict[int, bytes | None] = dict(table)
    for each in sure:
        state |= each.rows
    yield {number: line for number, line in state.items() if line is not None}
    for each in open_ones:
        state |= each.rows
        yield {number: line for number, line in state.items() if line is not None}


# S7: what it costs


@fault(
    "S7", "nothing; 1,000,000 rows of CSV into S3 with and without lease and checkpoints", "5 % at most", rows=1_000_000
)
def overhead(scene: Scene) -> None:
    for worker in scene.site.workers:
        worker.kill_group()  # both ways run in this process
    pairs: list[tuple[Took, Took]] = []
    with override_settings(EXPORTS_LEASE_SECONDS=30, EXPORTS_PART_SIZE=8 * MIB):  # as it is by default
        for number in range(PAIRS + 1):
            job = scene.ask()
            ways = [_bare, _whole] if number % 2 else [_whole, _bare]
            took = {way: way(scene, job) for way in ways}
            pairs.append((took[_bare], took[_whole]))
    ratios = [whole.wall / bare.wall for bare, whole in pairs[1:]]  # the first pair loads what is needed
    bare, whole = (statistics.median(pair[way].wall for pair in pairs[1:]) for way in (0, 1))
    more = 100 * (statistics.median(ratios) - 1)
    cpu = 100 * (statistics.median(whole.cpu / bare.cpu for bare, whole in pairs[1:]) - 1)
    best = 100 * (min(pair[1].wall for pair in pairs[1:]) / min(pair[0].wall for pair in pairs[1:]) - 1)
    each = ", ".join(f"{100 * (ratio - 1):+.1f}" for ratio in ratios)
    scene.notes.append(
        f"{PAIRS} pairs: {bare:.2f} s bare, {whole:.2f} s whole; median of the pairs {more:+.1f} % ({each}), "
        f"best against best {best:+.1f} %, CPU of this process {cpu:+.1f} %; load {os.getloadavg()[0]:.1f}"
    )
    scene.expect(more <= 5, f"{more:.1f} % more")


class Took(NamedTuple):
    wall: float
    cpu: float
    """Seconds, both."""


class Clock:
    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def took(self) -> Took:
        return Took(time.perf_counter() - self._wall, time.process_time() - self._cpu)


def _whole(scene: Scene, job: ExportJob) -> Took:
    clock = Clock()
    claimed = lifecycle.claim_next(job.queue, "overhead:0:0")
    scene.expect(claimed is not None and claimed.pk == job.pk, "another job was due")
    assert claimed is not None
    Run(claimed).execute()
    took = clock.took()
    scene.expect(scene.now(job).status == "completed", "it did not complete")
    return took


def _bare(_: Scene, job: ExportJob) -> Took:
    """The same bytes by the pipeline alone."""
    clock = Clock()
    plan = make_plan(services.stored_request(job), job.owner, job.created_at)
    store, upload = storage.store(), Upload(key=f"exports/0/{job.pk}.bare.csv", token="bare")
    with (
        store.open(upload, content_type=plan.content_type, on_upload=lambda _: None) as sink,
        closing(plan.open_source()) as source,
        closing(plan.write(source, sink, part_size=lambda number: part_size(number, conf.settings.PART_SIZE))) as steps,
    ):
        for _step in steps:
            pass
    took = clock.took()
    bucket().Object(upload.key).delete()
    return took
