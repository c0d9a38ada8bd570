"""How an object shows whose it is, and what those who fetch it see of that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import requests

from exports_app.pipeline.parts import MIN_PART_SIZE, record
from exports_app.pipeline.sinks import s3_object
from exports_app.pipeline.types import StoredPart, Upload
from tests.sinks_fixtures import (
    THREE,
    Bucket,
    complete,
    each_bucket,  # noqa: F401 - the fixture "bucket"
    make_parts,
    put_all,
    whole,
)

UPLOAD = Upload(key="exports/alice/job.1.csv", token="0123456789abcdef")
MARK = "9646bce10e75a87642d1a41fff894da21bca47239aeaf6b7c92d784254fdba21"
ONE = make_parts(3)


def test_the_mark_of_an_upload_is_a_digest_of_its_key_by_its_token() -> None:
    assert UPLOAD.mark == MARK
    assert replace(UPLOAD, key="exports/alice/job.2.csv").mark != MARK
    assert replace(UPLOAD, token="f123456789abcdef").mark != MARK


@pytest.mark.parametrize("parts", [THREE, ONE], ids=["of many parts", "of one part"])
def test_who_downloads_an_object_does_not_see_its_token(bucket: Bucket, parts: Any) -> None:
    upload = bucket.upload()
    complete(bucket.open(upload), parts)
    link = {"Bucket": bucket.name, "Key": upload.key}
    answer = requests.get(bucket.client.generate_presigned_url("get_object", Params=link), timeout=10)
    assert answer.content == whole(parts)
    assert upload.token not in str(answer.headers)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"write-mark": "0" * 64},
        {"write-token": "another"},
        # the mark of an upload under another key, copied
        {"write-mark": "ff1ee9b554ec413d64d7ffdc8dacea2125fb3e37c7fe895e52e1292f41196791"},
    ],
    ids=["none", "a wrong mark", "a wrong token", "of another key"],
)
def test_an_object_with_another_mark_is_a_strangers(bucket: Bucket, metadata: dict[str, str]) -> None:
    upload = replace(UPLOAD, key=bucket.key)
    bucket.client.put_object(Bucket=bucket.name, Key=upload.key, Body=whole(ONE), Metadata=metadata)
    assert bucket.store.finished(upload, recorded(ONE)) is None


# What the release before has begun: its objects hold the token itself


def test_an_object_that_the_last_release_made_is_known(bucket: Bucket) -> None:
    upload = bucket.upload()
    bucket.client.put_object(
        Bucket=bucket.name, Key=upload.key, Body=whole(ONE), Metadata={"write-token": upload.token}
    )
    receipt = bucket.store.finished(upload, recorded(ONE))
    assert receipt is not None
    assert receipt.size == 3


def test_an_upload_that_the_last_release_began_is_gone_on_with(bucket: Bucket) -> None:
    upload = bucket.upload()
    begun = bucket.client.create_multipart_upload(
        Bucket=bucket.name, Key=upload.key, Metadata={"write-token": upload.token}
    )
    bucket.uploads.append(begun["UploadId"])
    with bucket.open(bucket.known(upload)) as sink:
        put_all(sink, THREE[:1])
        first = sink.detach()
    assert [part.size for part in first] == [MIN_PART_SIZE]
    with bucket.open(bucket.known(upload), after=first) as sink:
        put_all(sink, THREE[1:])
        receipt = sink.complete()
    assert bucket.read(upload.key) == whole(THREE)
    assert receipt.size == len(whole(THREE))


def recorded(parts: Any) -> list[StoredPart]:
    return [record(part, s3_object.md5_etag(part.data), last=part is parts[-1]) for part in parts]
