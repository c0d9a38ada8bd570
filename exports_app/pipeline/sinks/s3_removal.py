"""Many objects of a bucket that are to go, and the unfinished uploads of their keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os.path import commonpath
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from exports_app.pipeline.errors import StorageUnavailable
from exports_app.pipeline.sinks.removal import discard_each
from exports_app.pipeline.sinks.s3_errors import s3_errors, translate
from exports_app.pipeline.sinks.s3_object import S3Object
from exports_app.pipeline.types import Discarded, Upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

AT_ONCE = 1000
"""Objects of one call; S3 takes no more."""
ABSENT = ("NoSuchKey", "NoSuchVersion")


def discard_all(client: S3Client, bucket: str, uploads: Sequence[Upload], *, seek: bool) -> Discarded:
    """See ``Store.discard_all``."""
    begun = [upload for upload in uploads if upload.id is not None]
    if seek:
        try:
            begun += _sought(client, bucket, {upload.key for upload in uploads})
        except StorageUnavailable:
            return Discarded()
        except Exception as error:  # which uploads there are is not to be known
            return Discarded(left={upload.key: error for upload in uploads})
    aborted = discard_each(lambda upload: S3Object(client, bucket, upload).abort(), begun)
    held = {upload.key for upload in begun} - set(aborted.gone) | set(aborted.left)
    free = [upload for upload in uploads if upload.key not in held]
    done = Discarded(left=aborted.left)
    for start in range(0, len(free), AT_ONCE):
        some = free[start : start + AT_ONCE]
        deleted = _delete(client, bucket, some)
        done.gone += deleted.gone
        done.left |= deleted.left
        done.versions += deleted.versions
        if len(deleted.gone) + len(deleted.left) < len(some):
            break
    return done


def unfinished(client: S3Client, bucket: str, prefix: str) -> Iterator[Upload]:
    """Uploads of keys that begin so, as the bucket lists them."""
    with s3_errors():
        for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
            for each in page.get("Uploads", ()):
                yield Upload(key=each["Key"], token="", id=each["UploadId"])


def _sought(client: S3Client, bucket: str, keys: set[str]) -> list[Upload]:
    """By the folder that all are in: one list for all of them, not one for each."""
    prefix = f"{commonpath(keys)}/" if len(keys) > 1 else "".join(keys)
    return [each for each in unfinished(client, bucket, prefix) if each.key in keys]


def _delete(client: S3Client, bucket: str, uploads: Sequence[Upload]) -> Discarded:
    """By one call, or one by one where the storage has no such call or refuses all of it."""
    if len(uploads) > 1:
        try:
            objects: Any = [{"Key": upload.key} for upload in uploads]
            with s3_errors():
                answer = client.delete_objects(Bucket=bucket, Delete={"Objects": objects})
        except Exception:  # one by one it is said which of them is the reason
            return _delete_each(client, bucket, uploads)
        left = {each["Key"]: _reason(each) for each in answer.get("Errors", ()) if each.get("Code") not in ABSENT}
        marked = [each for each in answer.get("Deleted", ()) if each.get("DeleteMarker")]
        gone = [upload.key for upload in uploads if upload.key not in left]
        return Discarded(gone=gone, left=left, versions=len(marked))
    return _delete_each(client, bucket, uploads)


def _delete_each(client: S3Client, bucket: str, uploads: Sequence[Upload]) -> Discarded:
    marked: list[bool] = []
    done = discard_each(lambda upload: marked.append(S3Object(client, bucket, upload).delete()), uploads)
    done.versions = sum(marked)
    return done


def _reason(said: Any) -> Exception:
    """What stands in the answer about one object, as its own call would have raised it."""
    error = ClientError({"Error": {"Code": said.get("Code", ""), "Message": ""}}, "DeleteObjects")
    return translate(error) or error
