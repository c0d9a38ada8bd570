"""What the storage holds of our jobs that they do not own any more.

Decided by our rows alone, never by the storage's dates: a row names the key of an upload before the upload is
begun, and no key is used twice, so what a job has under a key that its row does not name now is nobody's.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.files.storage import FileSystemStorage

from exports_app import storage
from exports_app.choices import Status
from exports_app.logs import log
from exports_app.models import ExportJob
from exports_app.pipeline.sinks.removal import discard_each
from exports_app.pipeline.sinks.s3_errors import s3_errors
from exports_app.pipeline.sinks.s3_object import S3Object
from exports_app.pipeline.sinks.s3_removal import unfinished
from exports_app.pipeline.types import Discarded, Upload

PREFIX = "exports/"
KEY = re.compile(rf"{PREFIX}[^/]+/([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})\.[0-9]+\.")
"""What a run names its files, by owner, job and number of the upload; anything else is not ours."""
PAGE = 500
SECONDS = 600.0
"""One sweep takes no longer, far below the time limit of a task."""


def sweep(seconds: float = SECONDS) -> int:
    """Abort uploads and delete objects that their job does not own; gives how many. May run twice at once.

    What cannot be removed holds up nothing else. What ``seconds`` do not suffice for is left to the next time.
    """
    exports: Any = storage.exports_storage()
    until = time.monotonic() + seconds
    if isinstance(exports, FileSystemStorage):
        return _sweep_folder(Path(exports.location))
    client, bucket = exports.connection.meta.client, exports.bucket_name

    def abort(upload: Upload) -> None:
        S3Object(client, bucket, upload).abort()

    removed = 0
    for uploads in _pages(unfinished(client, bucket, PREFIX), until):
        removed += _told(uploads := _unowned(uploads, whole=False), discard_each(abort, uploads))
    for objects in _pages(_objects(client, bucket), until):
        removed += _told(objects := _unowned(objects, whole=True), storage.store().discard_all(objects))
    return removed


def _told(found: Sequence[Upload], done: Discarded) -> int:
    """Log what was found and what is left of it; gives how many went."""
    for upload in found:
        log.warning("export.orphan", key=upload.key, upload=upload.id)
    for key, error in done.left.items():
        log.warning("export.leftover", key=key, error=type(error).__name__)
    return len(done.gone)


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
            with suppress(OSError):  # another time
                path.unlink(missing_ok=True)
                removed += 1
    return removed


def _pages(found: Iterable[Upload], until: float) -> Iterator[list[Upload]]:
    rest = iter(found)
    while time.monotonic() < until and (page := list(islice(rest, PAGE))):
        yield page
