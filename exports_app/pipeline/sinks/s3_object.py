"""The calls about one object of a bucket, and the proof that it is what was written."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from hashlib import md5
from io import BytesIO
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from isal import isal_zlib

from exports_app.pipeline.errors import Mismatch, StorageUnavailable, UploadLost
from exports_app.pipeline.sinks import s3_digests
from exports_app.pipeline.sinks.s3_errors import s3_errors
from exports_app.pipeline.types import Receipt, StoredPart, Upload
from exports_app.pipeline.waiting import look

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MARK = "write-mark"  # a name in the object's metadata
TOKEN = "write-token"  # noqa: S105 - the name before, of the token itself; what was begun with it is gone on with
SENDS = 2  # of one part, when the store's MD5 differs from ours
ABORTS = 3  # until an aborted upload has no parts
BLOCK = 1_048_576  # bytes read at a time
PAGE = 1000  # parts listed at a time; S3 gives no more

_MD5 = re.compile(r"[0-9a-f]{32}")
_FORM = re.compile(r"[0-9a-f]{32}(-[0-9]+)?")


PartKey = tuple[int, str, int]
"""What tells one part from another: number, ETag, size."""


class S3Object:
    """One object and its multipart upload. Errors are the pipeline's."""

    def __init__(self, client: S3Client, bucket: str, upload: Upload) -> None:
        self._client = client
        self._target: dict[str, Any] = {"Bucket": bucket, "Key": upload.key}
        self.upload = upload

    def start(self, headers: Mapping[str, Any]) -> str:
        """Open a multipart upload and give its id."""
        with s3_errors():
            answer = self._client.create_multipart_upload(**self._target, **self._marked(headers))
        self.upload = replace(self.upload, id=answer["UploadId"])
        return answer["UploadId"]

    def send(self, number: int, data: bytes) -> str:
        """Upload one part and give its ETag, once the store's MD5 is ours, or the store is known to compare ours."""
        digest = md5(data, usedforsecurity=False)
        check = b64encode(digest.digest()).decode()
        for _ in range(SENDS):
            # Closed, the body lets go of the part: boto3's own objects refer to it until the next garbage collection.
            with s3_errors(), BytesIO(data) as body:
                answer = self._client.upload_part(
                    **self._part_of_upload(), PartNumber=number, Body=body, ContentMD5=check
                )
            etag = _bare(answer["ETag"])
            known = _encrypted(answer) or not _MD5.fullmatch(etag) or etag == digest.hexdigest()
            if known or s3_digests.are_foreign(self._client, self._target["Bucket"]):
                return etag
        if s3_digests.find_out(self._client, self._part_of_upload(), number):
            return etag
        raise StorageUnavailable(f"Part {number} arrived damaged twice.")

    def parts(self) -> set[PartKey]:
        """The parts that the store has. SeaweedFS keeps every version of a part that was sent again."""
        found: set[PartKey] = set()
        marker = 0
        while True:
            with s3_errors():
                page = self._client.list_parts(**self._part_of_upload(), PartNumberMarker=marker, MaxParts=PAGE)
            parts = page.get("Parts", [])
            found.update((part["PartNumber"], _bare(part["ETag"]), part["Size"]) for part in parts)
            if not parts or not page.get("IsTruncated"):
                return found
            # Not the page's own marker: behind it, further versions of its last part would be passed over.
            last = parts[-1]["PartNumber"]
            marker = last if last == marker + 1 else last - 1

    def join(self, parts: Sequence[StoredPart]) -> None:
        """Make the object of exactly these parts. The answer may get lost, so only ``prove()`` tells."""
        if not self.parts().issuperset(map(part_key, parts)):
            # Known before it is too late, and the only proof where ETags are no MD5s.
            raise UploadLost("The stored parts are not the recorded ones.")
        with s3_errors():
            self._client.complete_multipart_upload(
                **self._part_of_upload(),
                MultipartUpload={"Parts": [{"PartNumber": part.number, "ETag": part.etag} for part in parts]},
            )

    def write(self, data: bytes, headers: Mapping[str, Any]) -> None:
        """Make the whole object in one call."""
        check = b64encode(md5(data, usedforsecurity=False).digest()).decode()
        with s3_errors(), BytesIO(data) as body:
            self._client.put_object(**self._target, **self._marked(headers), Body=body, ContentMD5=check)

    def prove(self, *, size: int, etags: Sequence[str], crc32: int) -> Receipt | None:
        """That the object is there, ours by its mark, and what was written; None if it is not ours.

        ``etags``, one of which it has (none: not known), only count where the store's has the same form. Where it is
        another one then, which a store that encrypts explains as well as a fault does, the bytes are read and compared.
        """
        try:
            with s3_errors():
                head = self._client.head_object(**self._target)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise
        if not self._is_ours(head["Metadata"]):
            return None
        found = _bare(head["ETag"])
        comparable = not _encrypted(head) and _form(found) in map(_form, etags)
        if head["ContentLength"] != size:
            raise Mismatch
        if comparable and found not in etags and self._read_crc32() != crc32:
            raise Mismatch
        return Receipt(size=size, etag=found)

    def _read_crc32(self) -> int:
        """Of the bytes that the store has, a block at a time."""
        crc = 0
        with s3_errors(), closing(self._client.get_object(**self._target)["Body"]) as body:
            while block := body.read(BLOCK):
                crc = isal_zlib.crc32(block, crc)
                look()
        return crc

    def abort(self) -> None:
        """End the multipart upload. A part on its way may outlive the call: look, and abort again."""
        if self.upload.id is None:
            return
        for _ in range(ABORTS):
            try:
                with s3_errors():
                    self._client.abort_multipart_upload(**self._part_of_upload())
                if not self.parts():
                    return
            except UploadLost:
                return
        raise StorageUnavailable("The aborted upload still has parts.")

    def delete(self) -> bool:
        """Whether the bucket keeps versions, so that what was there remains behind a marker."""
        with s3_errors():
            return bool(self._client.delete_object(**self._target).get("DeleteMarker"))

    def _part_of_upload(self) -> dict[str, Any]:
        return {**self._target, "UploadId": self.upload.id}

    def _marked(self, headers: Mapping[str, Any]) -> dict[str, Any]:
        return {**headers, "Metadata": {**headers.get("Metadata", {}), MARK: self.upload.mark}}

    def _is_ours(self, metadata: Mapping[str, str]) -> bool:
        found = {name.lower(): value for name, value in metadata.items()}
        return found.get(MARK) == self.upload.mark or (TOKEN in found and found[TOKEN] == self.upload.token)


def part_key(part: StoredPart) -> PartKey:
    return part.number, part.etag, part.size


def md5_etag(data: bytes) -> str:
    """The ETag of an object written in one call."""
    return md5(data, usedforsecurity=False).hexdigest()


def multipart_etags(parts: Sequence[StoredPart]) -> tuple[str, ...]:
    """What may be the ETag of the object made of these parts; none where theirs are no MD5s.

    First as S3 makes it of the MD5s' bytes, then as Garage does, of their digits.
    """
    if not all(_MD5.fullmatch(part.etag) for part in parts):
        return ()
    digits = "".join(part.etag for part in parts)
    return tuple(
        f"{md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
        for digests in (bytes.fromhex(digits), digits.encode())
    )


def _bare(etag: str) -> str:
    return etag.strip('"')


def _form(etag: str) -> str:
    """Which kind of ETag it is: of one MD5, of a list of MD5s, or something else."""
    match = _FORM.fullmatch(etag)
    if match is None:
        return "other"
    return "parts" if match[1] else "whole"


def _encrypted(answer: Mapping[str, Any]) -> bool:
    """Whether the ETag is of encrypted bytes. Such ETags look like MD5s but are none of ours."""
    return bool(answer.get("SSECustomerAlgorithm")) or answer.get("ServerSideEncryption", "").startswith("aws:kms")
