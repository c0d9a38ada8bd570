"""Every right that the engine needs at the storage, each tried by the calls that need it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from exports_app import conf, storage
from exports_app.logs import log
from exports_app.orphans import PREFIX

REFUSED = (401, 403)
OF_BUCKETS = frozenset(
    {"s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration"}
)
"""Actions on the bucket itself; the others are on the files in it."""
SUBSTITUTED = {"HeadBucket"}
"""Calls that others do as well."""


class Missing(Exception):
    """The storage refuses what exports need."""


def require() -> None:
    """Raises ``Missing`` where the storage refuses a call that has no substitute. One that is away refuses nothing."""
    exports: Any = storage.exports_storage()
    if storage.is_local() or not conf.settings.CHECK_STORAGE:
        return
    from exports_app import s3  # boto3 is heavy

    with closing(s3.trial_client(exports)) as client:
        trial = Trial(client=client, bucket=exports.bucket_name)
        try:
            trial.run(rules=False)
        except BotoCoreError as error:
            log.warning("export.storage.untried", store=storage.name(), error=type(error).__name__)
    for trouble in trial.troubles:
        log.warning("export.storage.trouble", store=storage.name(), detail=trouble)
    if refused := {action: calls for action, calls in trial.missing.items() if set(calls) - SUBSTITUTED}:
        said = ", ".join(f"{action} ({', '.join(calls)})" for action, calls in sorted(refused.items()))
        raise Missing(
            f"{storage.name()} refuses what exports need: {said}. `manage.py export_storage_rules --check` prints a "
            "policy that gives it; EXPORTS_CHECK_STORAGE=0 starts without it."
        )


@dataclass(kw_only=True)
class Trial:
    """One pass over all calls, on a file of its own that is gone at the end."""

    client: Any
    bucket: str
    key: str = field(default_factory=lambda: f"{PREFIX}check-{secrets.token_hex(8)}")
    missing: dict[str, list[str]] = field(default_factory=dict)
    """Action to the calls that were refused without it."""
    troubles: list[str] = field(default_factory=list)
    """Calls that failed for another reason, and the storage's word for it."""

    def run(self, *, rules: bool = True) -> None:
        """``rules``: also those that the bucket's lifecycle rules take, which exports themselves do without."""
        if rules:
            self._rules()
        for action, name, call in self._bucket_calls():
            self._try(action, name, call)
        upload = self._upload()
        if upload is not None:
            self._whole_file(upload)
        begun = self._upload()
        if begun is not None:
            self._abort(begun)

    def _bucket_calls(self) -> Iterator[tuple[str, str, Callable[[], Any]]]:
        client, where = self.client, {"Bucket": self.bucket}
        yield "s3:ListBucket", "HeadBucket", lambda: client.head_bucket(**where)
        yield "s3:ListBucket", "ListObjectsV2", lambda: client.list_objects_v2(**where, Prefix=PREFIX, MaxKeys=1)
        yield (
            "s3:ListBucketMultipartUploads",
            "ListMultipartUploads",
            lambda: client.list_multipart_uploads(**where, Prefix=PREFIX, MaxUploads=1),
        )

    def _rules(self) -> None:
        """Read them and put them back. Where there are none, one that does nothing is put and taken away."""
        client, where = self.client, {"Bucket": self.bucket}
        get, put = "s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration"
        found = self._try(
            get, "GetBucketLifecycleConfiguration", lambda: {"Rules": lifecycle_rules(client, self.bucket)}
        )
        if found is None:
            return  # what is there could get lost
        idle = {"ID": "exports-check", "Status": "Disabled", "Filter": {"Prefix": self.key}, "Expiration": {"Days": 1}}
        rules = {"Rules": found["Rules"] or [idle]}
        self._try(
            put,
            "PutBucketLifecycleConfiguration",
            lambda: client.put_bucket_lifecycle_configuration(**where, LifecycleConfiguration=rules),
        )
        if not found["Rules"] and put not in self.missing:
            self._try(put, "DeleteBucketLifecycle", lambda: client.delete_bucket_lifecycle(**where))

    def _upload(self) -> dict[str, str] | None:
        where = {"Bucket": self.bucket, "Key": self.key}
        begun = self._try("s3:PutObject", "CreateMultipartUpload", lambda: self.client.create_multipart_upload(**where))
        return {**where, "UploadId": begun["UploadId"]} if begun else None

    def _whole_file(self, upload: dict[str, str]) -> None:
        client = self.client
        sent = self._try(
            "s3:PutObject", "UploadPart", lambda: client.upload_part(**upload, PartNumber=1, Body=b"check")
        )
        self._try("s3:ListMultipartUploadParts", "ListParts", lambda: client.list_parts(**upload))
        parts = {"Parts": [{"PartNumber": 1, "ETag": sent["ETag"]}]} if sent else {}
        made = sent and self._try(
            "s3:PutObject",
            "CompleteMultipartUpload",
            lambda: client.complete_multipart_upload(**upload, MultipartUpload=parts),
        )
        if not made:
            self._abort(upload)
            return
        where = {"Bucket": self.bucket, "Key": self.key}
        self._try("s3:GetObject", "HeadObject", lambda: client.head_object(**where))
        self._try("s3:GetObject", "GetObject", lambda: client.get_object(**where)["Body"].read())
        self._try("s3:DeleteObject", "DeleteObject", lambda: client.delete_object(**where))

    def _abort(self, upload: dict[str, str]) -> None:
        abort = self.client.abort_multipart_upload
        self._try("s3:AbortMultipartUpload", "AbortMultipartUpload", lambda: abort(**upload))

    def _try(self, action: str, name: str, call: Callable[[], Any]) -> Any:
        """What the call gives; None: it failed, and it is noted how."""
        try:
            return call() or {}
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in REFUSED:
                refused = self.missing.setdefault(action, [])
                refused += [name] if name not in refused else []
            else:
                self.troubles.append(f"{name}: {error.response['Error']['Code']}")
            return None

    def policy(self) -> str:
        """An IAM policy that gives what is missing."""
        where = {True: f"arn:aws:s3:::{self.bucket}", False: f"arn:aws:s3:::{self.bucket}/{PREFIX}*"}
        statements = [
            {"Effect": "Allow", "Action": actions, "Resource": resource}
            for of_bucket, resource in where.items()
            if (actions := sorted(each for each in self.missing if (each in OF_BUCKETS) == of_bucket))
        ]
        return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)


def lifecycle_rules(client: Any, bucket: str) -> list[dict[str, Any]]:
    """What the bucket does by itself."""
    try:
        rules: list[dict[str, Any]] = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchLifecycleConfiguration":
            return []
        raise
    return rules
