"""Faults of PostgreSQL and of S3."""

from __future__ import annotations

import os
import signal
import threading
import time
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from chaos.catalogue import fault
from chaos.proxy import Mode, s3_error
from chaos.scene import Scene, bucket, ids_of
from chaos.site import service_pid
from exports_app import lifecycle, orphans, retention, services
from exports_app.choices import Status
from exports_app.models import ExportJob

COMPLETE = r"POST [^ ]*uploadId="
PART = r"PUT [^ ]*partNumber="
LATE = b"late" * 1_310_720  # 5 MiB


def database(**values: Any) -> psycopg.Connection[Any]:
    return psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, **values)


def completed(scene: Scene) -> None:
    scene.until_ended()
    for job in scene.jobs:
        ended = scene.now(job)
        scene.expect(ended.status == Status.COMPLETED, f"it ended as {ended.status} {ended.error_code}")


def no_attempt_used(scene: Scene) -> None:
    for job in scene.jobs:
        counted = [each.data for each in job.events.filter(kind="retry") if each.data["counts"]]
        scene.expect(not counted and scene.now(job).crashes == 0, f"attempts were used: {counted}")


def wait_for_upload(scene: Scene, job: ExportJob) -> None:
    scene.until("an upload", lambda: scene.now(job).upload_id)


@fault("C15", "every backend terminated, three times; then PostgreSQL restarted", "goes on, no attempt used")
def terminated(scene: Scene) -> None:
    scene.slow()
    scene.ask(2)
    scene.until_running(scene.jobs[0])
    for _ in range(3):
        scene.pause(1.5)
        with database() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> 'chaos'"
            )
    scene.ask()
    scene.until_running(scene.jobs[-1])
    pid = service_pid("postgres")
    os.kill(pid, signal.SIGQUIT)  # immediate shutdown: recovery at the next start
    scene.until("another PostgreSQL", lambda: service_pid("postgres") != pid, 60)
    scene.until("its answer", answers, 60)
    completed(scene)
    no_attempt_used(scene)


def answers() -> bool:
    """Whether PostgreSQL takes connections."""
    from django.db import connection

    connection.close()
    try:
        with database(connect_timeout=2) as there:
            there.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


TRIGGER = """
CREATE OR REPLACE FUNCTION chaos_slow_commit() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN PERFORM pg_sleep(0.4); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER chaos_slow_commit AFTER {event} ON {table}
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW {condition} EXECUTE FUNCTION chaos_slow_commit();
"""


@fault("C16", "connections cut inside COMMIT (of a part, of the end)", "the row is read again and decides")
def commit_unknown(scene: Scene) -> None:
    for table, event, condition in (
        ("exports_app_exportpart", "INSERT", ""),
        ("exports_app_exportjob", "UPDATE", "WHEN (NEW.status = 'completed')"),
    ):
        with database() as connection:
            connection.execute(TRIGGER.format(table=table, event=event, condition=condition))
            try:
                job = scene.ask()
                scene.until("a COMMIT", partial(_commits, connection))
                scene.site.pg.reset()
                scene.until("its end", partial(_rests, connection))
            finally:
                connection.execute(f"DROP TRIGGER chaos_slow_commit ON {table}")
        scene.until_ended([job])
    completed(scene)
    no_attempt_used(scene)


def _commits(connection: psycopg.Connection[Any]) -> bool:
    commits = "SELECT pid FROM pg_stat_activity WHERE query = 'COMMIT' AND state = 'active'"
    return bool(connection.execute(commits).fetchall())


def _rests(connection: psycopg.Connection[Any]) -> bool:
    return not _commits(connection)


@fault("C17", "table locked past the statement time-out", "tried again by the budget, or ends with its code")
def locked(scene: Scene) -> None:
    scene.site.restart_workers({"CHAOS_STATEMENT_SECONDS": "1"})
    with database() as connection, connection.transaction():
        connection.execute("LOCK TABLE samples_customer IN ACCESS EXCLUSIVE MODE")
        job = scene.ask_blind()
        scene.until("a time-out", lambda: scene.now(job).error_code == "database_unavailable")
    scene.until_ended()
    ended = scene.now(job)
    scene.notes.append(f"ended {ended.status} after {ended.claim} runs")
    scene.expect(ended.status in (Status.COMPLETED, Status.FAILED) and ended.claim <= 3, f"{ended.claim} runs")


@fault("C18", "inserts, updates, deletes while the export is killed and goes on", "no row twice, none missing")
def writers(scene: Scene) -> None:
    scene.loose = True
    scene.slow(2)
    with database() as connection:
        before = [row[0] for row in connection.execute("SELECT id FROM samples_customer ORDER BY id")]
        doomed = set(scene.rng.sample(before, 200))
        job = scene.ask()
        scene.until_parts(job)
        connection.execute("DELETE FROM samples_customer WHERE id = ANY(%s)", [list(doomed)])
        connection.execute(
            "INSERT INTO samples_customer (name, email, signup_date, country_code, subscription_tier, lifetime_value) "
            "SELECT 'late', 'late@mail.example', '2024-01-01', 'DE', 'FREE', 1 FROM generate_series(1, 500)"
        )
        connection.execute("UPDATE samples_customer SET lifetime_value = lifetime_value + 1 WHERE id % 97 = 0")
        os.kill(scene.child_of(job), signal.SIGKILL)
        completed(scene)
        connection.execute("DELETE FROM samples_customer WHERE name = 'late'")
    found = ids_of(scene.now(job))
    scene.expect(found == sorted(set(found)), "a row stands twice or out of order")
    missing = set(before) - doomed - set(found)
    scene.expect(not missing, f"{len(missing)} rows that lived all the time are missing")
    scene.expect(set(found) <= set(before), "rows behind the last key of the start are in the file")
    scene.expect(len(scene.now(job).snapshots) == 2, "the job lists not both moments")


@fault("C19", "S3 answers every third part 503, and connections are reset", "tried again within the call, file right")
def stuttering(scene: Scene) -> None:
    scene.site.s3.add(PART, "answer", answer=s3_error("503 Slow Down", "SlowDown"), left=6, every=3)
    scene.slow(8)
    scene.ask(3)
    for _ in range(4):
        scene.pause(1.0)
        scene.site.s3.reset()
    completed(scene)
    no_attempt_used(scene)


@fault("C20", "Complete done, its answer lost, or never sent", "proven by token and ETag: completed, not run again")
def silent_complete(scene: Scene) -> None:
    for act in ("lose", "silence"):
        rule = scene.site.s3.add(COMPLETE, act)
        job = scene.ask()
        completed(scene)
        scene.expect(rule.done == 1, "no answer was lost")
        scene.expect(scene.now(job).claim == 1, f"{scene.now(job).claim} claims")


@fault("C21", "Complete answered by 200 with an error in its body, then by 503", "tried again, completed once")
def lying_complete(scene: Scene) -> None:
    lie = scene.site.s3.add(COMPLETE, "answer", answer=s3_error("200 OK", "InternalError"), left=2)
    scene.ask()
    completed(scene)
    away = scene.site.s3.add(COMPLETE, "answer", answer=s3_error("503 Unavailable", "ServiceUnavailable"), left=6)
    scene.ask()
    completed(scene)
    scene.expect(lie.done == 2 and away.done == 6, f"{lie.done} and {away.done} answers were made up")
    no_attempt_used(scene)


@fault("C22", "the upload aborted from outside", "starts over with a new upload")
def aborted(scene: Scene) -> None:
    job = scene.under_way(1)
    now = scene.now(job)
    bucket().meta.client.abort_multipart_upload(Bucket=bucket().name, Key=now.file_key, UploadId=now.upload_id)
    completed(scene)
    scene.expect(scene.now(job).upload_number == 2, f"upload number {scene.now(job).upload_number}")


@fault("C23", "other bytes uploaded as part 1", "never a mixed file: repaired, or started over")
def overwritten(scene: Scene) -> None:
    job = scene.under_way(1)
    now = scene.now(job)
    bucket().meta.client.upload_part(
        Bucket=bucket().name, Key=now.file_key, UploadId=now.upload_id, PartNumber=1, Body=LATE
    )
    completed(scene)
    scene.notes.append(f"upload {scene.now(job).upload_number}")


@fault("C24", "S3 refuses (AccessDenied, NoSuchBucket)", "failed after one run, code access_denied")
def refused(scene: Scene) -> None:
    for code, status in (("AccessDenied", "403 Forbidden"), ("NoSuchBucket", "404 Not Found")):
        scene.site.s3.add(r"(POST [^ ]*\?uploads|PUT )", "answer", answer=s3_error(status, code), left=1)
        job = scene.ask()
        scene.until_ended()
        ended = scene.now(job)
        scene.expect((ended.status, ended.error_code) == (Status.FAILED, "access_denied"), ended.error_code)
        scene.expect(ended.claim == 1, f"{ended.claim} runs")


@fault("C25", "orphan sweep again and again under live uploads", "live uploads untouched, an orphan aborted")
def swept(scene: Scene) -> None:
    client = bucket().meta.client
    scene.slow()
    job = scene.ask()
    wait_for_upload(scene, job)
    stray = f"exports/1/{job.pk}.99.csv"
    client.create_multipart_upload(Bucket=bucket().name, Key=stray)
    removed = 0
    while scene.now(job).status == Status.RUNNING:
        removed += orphans.sweep()
    completed(scene)
    scene.expect(removed == 1, f"{removed} removed")
    scene.expect(scene.now(job).upload_number == 1, "the live upload was aborted")


@fault("C26", "file expires while it is downloaded", "the download may finish; then gone, and again no error")
def expired(scene: Scene) -> None:
    job = scene.ask()
    completed(scene)
    url = services.download_url(job.owner, scene.now(job))
    with urllib.request.urlopen(str(url), timeout=30) as stream:
        head = stream.read(1000)
        ExportJob.objects.filter(pk=job.pk).update(expires_at="2020-01-01T00:00:00Z")
        retention.prune()
        retention.prune()
        scene.expect(bool(head), "nothing was read")
    ended = scene.now(job)
    scene.expect((ended.status, ended.file_key) == (Status.EXPIRED, ""), ended.status)


@fault("C30", "cancelled amid a part, and inside Complete", "cancelled and nothing left, or completed: never both")
def cancelled(scene: Scene) -> None:
    first = scene.under_way()
    lifecycle.cancel(first.pk)
    held = scene.site.s3.add(COMPLETE, "hold")
    second = scene.ask()
    scene.until("a held Complete", lambda: held.done)
    lifecycle.cancel(second.pk)
    held.released.set()
    scene.until_ended()
    ends = [scene.now(job).status for job in (first, second)]
    scene.expect(ends == [Status.CANCELLED, Status.CANCELLED], f"{ends}")


@fault("C32", "memory of a worker over a large export", "grows by 100 MB at most")
def memory(scene: Scene) -> None:
    warm = scene.ask(limit=1000)
    scene.until_ended()
    child = scene.child_of(warm)
    idle = _rss(child)
    peak = {"mb": 0.0}
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            for worker in scene.site.workers:
                for pid in worker.children():
                    peak["mb"] = max(peak["mb"], _rss(pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        for compression in (None, "gzip"):
            scene.ask(compression=compression)
        completed(scene)
    finally:
        stop.set()
        thread.join()
    scene.notes.append(f"idle {idle:.0f} MB, peak {peak['mb']:.0f} MB")
    scene.expect(peak["mb"] - idle < 110, f"it grew by {peak['mb'] - idle:.0f} MB")


def _rss(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1_048_576
    except (OSError, IndexError):
        return 0.0


@fault("C33", "PostgreSQL refuses for 10 s while posting and running", "503 with Retry-After; workers come back")
def database_away(scene: Scene) -> None:
    token = os.environ["CHAOS_TOKEN"]
    scene.slow()
    scene.ask(2)
    scene.until_parts(scene.jobs[0])
    scene.site.pg.set(Mode.REFUSE)
    began = time.monotonic()
    status, _, headers = scene.site.call("POST", "/api/v1/exports/", token, {"resource": "customers"})
    scene.notes.append(f"{status} in {time.monotonic() - began:.1f} s")
    answered = (status, headers.get("Retry-After", headers.get("retry-after")))
    time.sleep(10)
    scene.site.pg.set(Mode.PASS)
    completed(scene)
    no_attempt_used(scene)
    scene.expect(answered[0] == 503 and bool(answered[1]), f"{answered}")
