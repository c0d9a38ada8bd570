"""What the storage holds of our jobs that they do not own any more.

Decided by our rows alone, never by the storage's dates: a row names the key of an upload before the upload is
begun, and no key is used twice, so what a job has under a key that its row does not name now is nobody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.files.storage import FileSystemStorage
from django.db.models.functions import Now

from exports_app import storage
from exports_app.choices import Status
from exports_app.logs import log
from exports_app.models import ExportJob, ExportTombstone
from exports_app.pipeline.errors import PipelineError, StorageUnavailable
from exports_app.pipeline.sinks.s3_errors import s3_errors
from exports_app.pipeline.sinks.s3_object import S3Object
from exports_app.pipeline.types import Upload

PREFIX = "exports/"
KEY = re.compile(rf"{PREFIX}[^/]+/([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})\.[0-9]+\.")
"""What a run names its files, by owner, job and number of the upload; anything else is not ours."""
PAGE = 500
SETTLING = timedelta(seconds=60)
"""How long the worker of a job whose row is gone may still write."""


def sweep() -> int:
    """Abort uploads and delete objects that their job does not own; gives how many. May run twice at once."""
    exports: Any = storage.exports_storage()
    if isinstance(exports, FileSystemStorage):
        return _sweep_folder(Path(exports.location))
    client, bucket = exports.connection.meta.client, exports.bucket_name
    removed = 0
    for uploads in _pages(_uploads(client, bucket)):
        for upload in _unowned(uploads, whole=False):
            log.warning("export.orphan", key=upload.key, upload=upload.id)
            S3Object(client, bucket, upload).abort()
            removed += 1
    for objects in _pages(_objects(client, bucket)):
        for found in _unowned(objects, whole=True):
            log.warning("export.orphan", key=found.key)
            S3Object(client, bucket, found).delete()
            removed += 1
    return removed


def bury() -> int:
    """Remove the files of exports whose rows are gone; gives how many. May run twice at once.

    Again for a while after the row went, since its worker may have been writing. A file that cannot be removed holds up
    no other. Raises ``StorageUnavailable``.
    """
    buried = 0
    for stone in ExportTombstone.objects.order_by("pk")[:PAGE]:
        try:
            discard_all(stone.upload())
        except StorageUnavailable:
            raise
        except PipelineError as error:
            log.warning("export.leftover", key=stone.file_key, code=error.code)
            continue
        settled = ExportTombstone.objects.filter(pk=stone.pk, created_at__lt=Now() - SETTLING)
        buried += settled.delete()[0]
    return buried


def discard_all(upload: Upload) -> None:
    """The object and every unfinished upload of its key. Raises what the storage raises."""
    exports: Any = storage.exports_storage()
    if not isinstance(exports, FileSystemStorage):
        client, bucket = exports.connection.meta.client, exports.bucket_name
        for unfinished in _uploads(client, bucket, upload.key):
            S3Object(client, bucket, unfinished).abort()
    storage.store().discard(upload)


def _unowned(found: Sequence[Upload], *, whole: bool) -> list[Upload]:
    """Those of a job of ours whose row does not name them.

    The rows are read after the list was made, so they know all that is in it. What belongs to a job that this
    database does not know may be another site's, which shares the bucket: the bucket's own rules remove it.
    """
    ids = {match[1] for each in found if (match := KEY.match(each.key))}
    rows = ExportJob.objects.filter(pk__in=ids).values_list("pk", "file_key", "status")
    done = () if whole else (Status.COMPLETED, Status.EXPIRED)  # their file has been made, no upload is theirs
    names = {str(pk): "" if status in done else key for pk, key, status in rows}
    return [
        each for each in found if (match := KEY.match(each.key)) and match[1] in names and names[match[1]] != each.key
    ]


def _uploads(client: Any, bucket: str, prefix: str = PREFIX) -> Iterator[Upload]:
    with s3_errors():
        pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            for each in page.get("Uploads", ()):
                yield Upload(key=each["Key"], token="", id=each["UploadId"])


def _objects(client: Any, bucket: str) -> Iterator[Upload]:
    with s3_errors():
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX):
            for each in page.get("Contents", ()):
                yield Upload(key=each["Key"], token="")


def _sweep_folder(folder: Path) -> int:
    paths = [path for path in (folder / PREFIX).rglob("*") if path.is_file()]
    removed = 0
    for path in paths:
        key = path.relative_to(folder).as_posix()
        whole = not key.endswith(".part")
        name = key if whole else key.rsplit(".", 2)[0]  # <key>.<token>.part
        if _unowned([Upload(key=name, token="")], whole=whole):
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _pages(found: Iterable[Upload]) -> Iterator[list[Upload]]:
    rest = iter(found)
    while page := list(islice(rest, PAGE)):
        yield page
