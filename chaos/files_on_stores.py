"""Faults that every store of files has to take: kills, lost answers, and what was begun and is not wanted any more."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

from chaos.catalogue import fault
from chaos.scene import Scene, bucket, demo
from chaos.stores import COMPLETE, completed
from exports_app import services
from exports_app.choices import ACTIVE, Status
from exports_app.models import ExportJob
from workers import upkeep

FORMATS = ("csv", "json", "ndjson", "xlsx", "parquet")
TEXTS = ("json", "ndjson")
KILLS = 6


def contents(job: ExportJob) -> bytes:
    data: bytes = bucket().Object(job.file_key).get()["Body"].read()
    return data


@fault("R1", "every format and gzip, children killed at six random moments", "all complete, texts with equal bytes")
def every_format_killed(scene: Scene) -> None:
    undisturbed = {name: scene.ask(format=name) for name in TEXTS}
    completed(scene)
    scene.slow(3)
    killed = {name: scene.ask(format=name) for name in FORMATS}
    scene.ask(format="ndjson", compression="gzip")
    kills: Counter[ExportJob] = Counter()
    while kills.total() < KILLS and (running := _running(scene)):
        scene.pause(1.5)
        job = scene.rng.choice(running)
        if kills[job] == 2:
            continue  # a third time without a part in between, it would end as worker_lost
        with suppress(ProcessLookupError):  # it was killed a moment ago
            scene.kill_child(job)
            kills[job] += 1
    completed(scene)
    for name in TEXTS:
        same = contents(scene.now(killed[name])) == contents(scene.now(undisturbed[name]))
        scene.expect(same, f"{name} has other bytes than undisturbed")
    rows = {scene.now(job).row_count for job in scene.jobs}
    scene.expect(rows == {scene.site.rows}, f"rows: {rows}")
    scene.notes.append(f"{kills.total()} kills")


def _running(scene: Scene) -> list[ExportJob]:
    """Until there are some or all have ended."""
    ids = [job.pk for job in scene.jobs]

    def look() -> list[ExportJob] | bool:
        found = list(ExportJob.objects.filter(pk__in=ids, status=Status.RUNNING))
        return found or not ExportJob.objects.filter(pk__in=ids, status__in=ACTIVE).exists()

    found = scene.until("a run", look)
    return [] if found is True else list(found)


@fault("R2", "child SIGKILL, the export cancelled, then retried", "completes")
def cancelled_and_retried(scene: Scene) -> None:
    job = scene.under_way()
    scene.kill_child(job)
    services.cancel_export(scene.now(job), by=demo())
    scene.until("the end", lambda: scene.now(job).status == Status.CANCELLED)
    services.retry_export(scene.now(job), by=demo())
    completed(scene)


@fault("R3", "the answer of Complete lost", "completed by one run, no attempt used")
def lost_answer(scene: Scene) -> None:
    rule = scene.site.s3.add(COMPLETE, "lose")
    job = scene.ask()
    completed(scene)
    ended = scene.now(job)
    scene.expect(rule.done == 1, "no answer was lost")
    scene.expect((ended.claim, ended.failures) == (1, 0), f"{ended.claim} runs, {ended.failures} failures")


@fault("R4", "child SIGKILL, the export deleted", "no file and no upload is left")
def deleted(scene: Scene) -> None:
    job = scene.under_way()
    scene.kill_child(job)
    services.delete_export(scene.now(job), by=demo())
    upkeep.sweep()
    prefix = f"exports/{job.owner_id}/{job.pk}."
    client, name = bucket().meta.client, bucket().name

    def left() -> bool:
        uploads = client.list_multipart_uploads(Bucket=name, Prefix=prefix).get("Uploads", [])
        return bool(uploads) or bool(list(bucket().objects.filter(Prefix=prefix)))

    scene.until("nothing to be left", lambda: not left(), 60)
