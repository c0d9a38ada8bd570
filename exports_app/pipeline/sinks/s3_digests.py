"""Stores whose ETags look like MD5s and are none, as where every object is encrypted and no header says so.

A part whose ETag is not its MD5 has been damaged on its way, or the store's ETags are something else. A store that
refuses a part whose ``Content-MD5`` is another's has compared what it got with what we sent, so that its ETags are not
needed for that. Found out once in a process.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import md5
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from exports_app.pipeline.sinks.s3_errors import s3_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REFUSALS = ("BadDigest", "InvalidDigest")

_foreign: set[tuple[str, str]] = set()
"""Endpoint and bucket of stores whose ETags are no MD5s, and which compare ``Content-MD5`` themselves."""


def are_foreign(client: S3Client, bucket: str) -> bool:
    return (client.meta.endpoint_url, bucket) in _foreign


def find_out(client: S3Client, target: dict[str, Any], number: int) -> bool:
    """Whether the store compares ``Content-MD5``: it gets a part of one byte with that of another.

    Where it does not, that byte takes the place of the part, which was damaged anyway.
    """
    wrong = b64encode(md5(b"another", usedforsecurity=False).digest()).decode()
    try:
        with s3_errors():
            client.upload_part(**target, PartNumber=number, Body=b"x", ContentMD5=wrong)
    except Exception as error:
        said = error.__cause__ or error
        if isinstance(said, ClientError) and said.response["Error"]["Code"] in REFUSALS:
            _foreign.add((client.meta.endpoint_url, target["Bucket"]))
            return True
        raise
    return False


def forget() -> None:
    """What was found out; for tests."""
    _foreign.clear()
