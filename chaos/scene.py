"""What a fault works with: jobs, conditions to wait for, and what must hold afterwards."""

from __future__ import annotations

import gzip
import os
import random
import re
import signal
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection

from chaos.site import Site
from exports_app import lifecycle, orphans, removals, retention, services, storage
from exports_app.choices import ACTIVE, EventKind, Status
from exports_app.models import ExportEvent, ExportJob, ExportPart
from exports_app.pipeline import errors
from exports_app.plan import Request

DEADLINE = 180.0  # seconds, on a machine with other work
COLUMNS = ["id", "name", "email", "signup_date", "country_code", "subscription_tier", "lifetime_value"]
ORACLE = f"COPY (SELECT {', '.join(COLUMNS)} FROM samples_customer ORDER BY id) TO STDOUT (FORMAT csv)"
TERMINAL = {each.code for each in errors.every() if each.terminal}


class Broken(Exception):
    """Something that must hold does not."""


@dataclass
class Scene:
    """One fault on one site."""

    site: Site
    rng: random.Random
    there: Any = None
    """What its room has."""
    jobs: list[ExportJob] = field(default_factory=list)
    loose: bool = False
    """Rows change under the export, so the oracle is not this moment's table."""
    notes: list[str] = field(default_factory=list)

    def ask(self, count: int = 1, *, user: Any = None, **values: Any) -> ExportJob:
        """New jobs; gives the last one."""
        owner = user or demo()
        wanted: dict[str, Any] = {"resource": "customers", "columns": COLUMNS}
        for _ in range(count):
            options = {} if "format" in values else {"escape_formulas": False}  # csv is as COPY has it
            job, _new = services.request_export(owner, Request(**wanted | {"options": options} | values))
            self.jobs.append(job)
        return job

    def ask_blind(self) -> ExportJob:
        """A job asked for while its table cannot be read, so without an estimate."""
        job = ExportJob.objects.create(
            owner=demo(),
            resource="customers",
            format="csv",
            file_name="customers.csv",
            columns=[{"name": name, "label": name} for name in COLUMNS],
            options={"escape_formulas": False},
        )
        self.jobs.append(job)
        return job

    def under_way(self, megabytes_per_second: float = 4.0) -> ExportJob:
        """A new job that has a part on record and takes its time with the others."""
        self.slow(megabytes_per_second)
        job = self.ask()
        self.until_parts(job)
        return job

    def kill_child(self, job: ExportJob) -> None:
        """SIGKILL to the process that runs the job."""
        os.kill(self.child_of(job), signal.SIGKILL)

    def kill_group(self, job: ExportJob) -> None:
        """SIGKILL to its worker with all children."""
        self.site.worker_of(self.child_of(job)).kill_group()

    def end_worker(self, job: ExportJob) -> None:
        """SIGTERM to its worker, as a deploy sends it."""
        worker = self.site.worker_of(self.child_of(job))
        worker.signal(signal.SIGTERM)
        self.until("the worker to end", lambda: not worker.runs, 30)

    def until(self, what: str, condition: Callable[[], Any], seconds: float = DEADLINE) -> Any:
        """The condition's value once it is true."""
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise Broken(f"waited {seconds:.0f} s for {what}")
            time.sleep(0.02)
        return value

    def until_parts(self, job: ExportJob, number: int = 1) -> None:
        self.until(f"part {number}", lambda: job.parts.count() >= number or self.now(job).status not in ACTIVE)

    def until_running(self, job: ExportJob) -> None:
        self.until("the job to run", lambda: self.now(job).status != Status.QUEUED)

    def until_claimed_again(self, job: ExportJob, claim: int = 1) -> None:
        self.until("another claim", lambda: self.now(job).claim > claim)

    def until_ended(self, jobs: Iterable[ExportJob] | None = None, seconds: float = DEADLINE) -> None:
        """Until they are done; the fault has met them, so uploads need not be slow any more."""
        self.site.s3.bytes_per_second = 0
        ids = [job.pk for job in (self.jobs if jobs is None else jobs)]
        running = ExportJob.objects.filter(pk__in=ids, status__in=ACTIVE)
        self.until("the jobs to end", lambda: not running.exists(), seconds)

    def abandon(self) -> None:
        """Cancel what still runs, so that a broken fault does not get into the next one's way."""
        for job in self.jobs:
            lifecycle.cancel(job.pk)

    def now(self, job: ExportJob) -> ExportJob:
        return ExportJob.objects.get(pk=job.pk)

    def child_of(self, job: ExportJob) -> int:
        """The process that runs the job."""
        return int(self.now(job).worker.split(":")[1])

    def slow(self, megabytes_per_second: float = 4.0) -> None:
        """Let uploads take a while, so that a fault meets them."""
        self.site.s3.bytes_per_second = int(megabytes_per_second * 1_048_576)

    def pause(self, most: float) -> None:
        """A random moment, by the seed."""
        time.sleep(self.rng.random() * most)

    def expect(self, fact: bool, what: str) -> None:
        if not fact:
            raise Broken(what)


def demo() -> Any:
    return get_user_model().objects.get(username="demo")


def bucket() -> Any:
    exports: Any = storage.exports_storage()
    return exports.bucket


def oracle() -> bytes:
    with connection.cursor() as cursor, cursor.copy(ORACLE) as copy:
        return b"".join(bytes(block) for block in copy)


def check(scene: Scene) -> None:
    """The invariants I1 to I8, against the database, the bucket and COPY."""
    jobs = list(ExportJob.objects.filter(pk__in=[job.pk for job in scene.jobs]))
    expected = None if scene.loose else oracle()
    for job in jobs:
        if job.status in ACTIVE:
            raise Broken(f"I1: {job.pk} is {job.status}")
        if job.status == Status.COMPLETED:
            _check_file(job, expected)
        elif job.status in (Status.FAILED, Status.CANCELLED):
            _check_no_file(scene, job)
        _check_history(job)
    orphans.sweep()
    _check_bucket()


def _check_file(job: ExportJob, expected: bytes | None) -> None:
    stored = bucket().Object(job.file_key).get()
    data: bytes = stored["Body"].read()
    if len(data) != job.file_size or f"{zlib.crc32(data):08x}" != job.crc32:
        raise Broken(f"I2: size or CRC of {job.file_key} are not those on record")
    text = gzip.decompress(data) if job.compression else data
    body = text.split(b"\n", 1)[1] if job.format == "csv" else b""
    if job.format == "csv" and expected is not None:
        wanted = expected if job.row_limit is None else b"".join(expected.splitlines(keepends=True)[: job.row_limit])
        if body != wanted:
            raise Broken(f"I2: {job.file_key} is not what COPY gives ({len(body)} and {len(wanted)} bytes)")
    if job.format == "csv" and job.row_count != body.count(b"\n"):
        raise Broken(f"I2: {job.file_key} has {body.count(chr(10).encode())} rows, {job.row_count} on record")


def _check_no_file(scene: Scene, job: ExportJob) -> None:
    if job.status == Status.FAILED and not job.error_code:
        raise Broken(f"I3: {job.pk} failed without a code")
    prefix = f"exports/{job.owner_id}/{job.pk}."
    removals.SETTLING = timedelta(seconds=1)  # not the minute it is elsewhere

    def gone() -> bool:
        retention.clean_leftovers()
        return not list(bucket().objects.filter(Prefix=prefix))

    scene.until(f"I3: {prefix} to be gone", gone, 30)
    runs = ExportEvent.objects.filter(job=job, kind__in=(EventKind.STARTED, EventKind.RESUMED)).count()
    lost = job.error_code == errors.WorkerLost.code
    asked = ExportEvent.objects.filter(job=job, kind=EventKind.RETRY).exists()
    if job.status == Status.FAILED and job.error_code in TERMINAL and not lost and not asked and runs != 1:
        raise Broken(f"I7: {job.error_code} after {runs} runs")


def _check_history(job: ExportJob) -> None:
    claims = list(ExportPart.objects.filter(job=job).order_by("number").values_list("claim", flat=True))
    if claims != sorted(claims):
        raise Broken(f"I4: parts of {job.pk} were written by claims {claims}")
    kinds = Counter(ExportEvent.objects.filter(job=job).values_list("kind", flat=True))
    if kinds[EventKind.COMPLETED] + kinds[EventKind.FAILED] > 1 + kinds[EventKind.QUEUED]:
        raise Broken(f"I1: {job.pk} ended more than once: {dict(kinds)}")


def _check_bucket() -> None:
    """I5, and that every object has a job and every completed job its object."""
    client, name = bucket().meta.client, bucket().name
    live = set(ExportJob.objects.filter(status__in=ACTIVE).values_list("file_key", flat=True))
    # The upkeep looks for the files of ended jobs a minute after their end.
    ended = set(ExportJob.objects.exclude(status__in=ACTIVE).exclude(file_key="").values_list("file_key", flat=True))
    uploads = client.list_multipart_uploads(Bucket=name, Prefix=orphans.PREFIX).get("Uploads", [])
    loose = [each["Key"] for each in uploads if each["Key"] not in live]
    if loose:
        raise Broken(f"I5: uploads that nobody owns: {loose}")
    stored = {found.key for found in bucket().objects.filter(Prefix=orphans.PREFIX)}
    stray = stored - live - ended
    if stray:
        raise Broken(f"I5: objects without a job: {sorted(stray)}")
    done = set(ExportJob.objects.filter(status=Status.COMPLETED, deleted_at=None).values_list("file_key", flat=True))
    if missing := done - stored:
        raise Broken(f"I2: completed jobs without their object: {sorted(missing)}")


def ids_of(job: ExportJob) -> list[int]:
    """The first column of the file."""
    text = bucket().Object(job.file_key).get()["Body"].read()
    return [int(found) for found in re.findall(rb"^(\d+),", text, re.MULTILINE)]
