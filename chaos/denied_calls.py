"""Calls that the store's policy refuses, from the start or from some moment on."""

from __future__ import annotations

import subprocess
import sys

from chaos.catalogue import fault
from chaos.scene import Scene, bucket, demo
from chaos.site import PROJECT
from chaos.stores import completed
from exports_app import services
from exports_app.choices import Status

AT_START = [
    "Bucket GET",
    "ListMultipartUploads",
    "UploadPart",
    "ListParts",
    "Complete",
    "Abort",
    "HEAD",
    "GET",
    "DELETE",
]
WHILE_RUNNING = ["CreateMultipartUpload", "UploadPart", "ListParts", "Complete", "HEAD"]
WORKER = ["-m", "celery", "--app", "workers.celery", "worker", "--pool", "solo", "--queues", "none"]


@fault("R5", "a worker starts while one call is refused, each in turn", "it ends and names the right")
def at_the_start(scene: Scene) -> None:
    for call in scene.rng.sample(AT_START, 4):
        scene.there.denied = frozenset({call})
        try:
            ended = subprocess.run(
                [sys.executable, *WORKER], env=scene.site.env(), cwd=PROJECT, capture_output=True, text=True, timeout=90
            )
        finally:
            scene.there.denied = frozenset()
        said = ended.returncode == 1 and "refuses what exports need: s3:" in ended.stderr
        scene.expect(said, f"with {call} refused it ended with {ended.returncode}: {ended.stderr[-300:]}")
        scene.notes.append(call)
    _clean_up()


@fault(
    "R6", "one call refused under a running export, each in turn; then allowed", "ends with the right's name; retried"
)
def while_running(scene: Scene) -> None:
    calls = scene.rng.sample(WHILE_RUNNING, len(WHILE_RUNNING))
    for call in calls:
        scene.there.denied = frozenset({call})
        try:
            job = scene.ask()
            scene.until_ended()
        finally:
            scene.there.denied = frozenset()
        ended = scene.now(job)
        named = (ended.status, ended.error_code) == (Status.FAILED, "access_denied")
        scene.expect(named and " is missing" in ended.error_detail, f"{call}: {ended.status} {ended.error_detail}")
        services.retry_export(ended, by=demo())
        completed(scene)


@fault("R7", "HeadBucket alone refused", "all goes on")
def head_bucket(scene: Scene) -> None:
    scene.there.denied = frozenset({"Bucket HEAD"})
    try:
        scene.ask()
        completed(scene)
        status, body, _ = scene.site.call("GET", "/health/ready/", "")
        scene.expect(status == 200, f"readiness says {status} {body}")
    finally:
        scene.there.denied = frozenset()


def _clean_up() -> None:
    """What a trial could not remove, which the bucket's rules would."""
    client, name, prefix = bucket().meta.client, bucket().name, "exports/check-"
    bucket().objects.filter(Prefix=prefix).delete()
    for each in client.list_multipart_uploads(Bucket=name, Prefix=prefix).get("Uploads", []):
        client.abort_multipart_upload(Bucket=name, Key=each["Key"], UploadId=each["UploadId"])
