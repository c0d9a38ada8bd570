"""How the S3 sink knows that the finished object is what was written, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from exports_app.pipeline.errors import (
    AccessDenied,
    Mismatch,
    PipelineError,
    StorageUnavailable,
    UploadLost,
)
from exports_app.pipeline.types import Part, Upload
from tests.sinks_fixtures import (
    LATE,
    THREE,
    Bucket,
    answer,
    complete,
    each_bucket,  # noqa: F401 - the fixture "bucket"
    lost,
    make_parts,
    once,
    put_all,
    raises,
    refused,
    replace_part,
    whole,
)


def test_a_late_writer_gets_nothing_into_the_file(bucket: Bucket) -> None:
    upload = bucket.upload()
    with bucket.open(upload) as sink:
        put_all(sink, THREE)
        sink.flush()
        replace_part(bucket, bucket.known(upload), 2)
        try:
            sink.complete()
        except UploadLost:
            sink.abort()
            assert bucket.leftovers() == []
        else:  # the store kept both and took the recorded one
            assert bucket.read(upload.key) == whole(THREE)


def test_a_store_that_joins_other_parts_is_found_out(bucket: Bucket) -> None:
    def late(params: dict[str, Any], **_: Any) -> None:
        target = Upload(key=params["Key"], token="", id=params["UploadId"])
        params["MultipartUpload"]["Parts"][1]["ETag"] = replace_part(bucket, target, 2)

    bucket.calls.given("CompleteMultipartUpload", late)
    upload = bucket.upload()
    with bucket.open(upload) as sink:
        put_all(sink, make_parts(len(LATE), len(LATE), 7))  # of the same size: only the ETag can tell
        with pytest.raises(Mismatch):
            sink.complete()
        assert bucket.read(upload.key) is None
    assert bucket.leftovers() == []


def test_an_object_of_another_size_is_found_out(bucket: Bucket) -> None:
    bucket.calls.after("HeadObject", lambda parsed: parsed.update(ContentLength=7))
    with bucket.open(bucket.upload()) as sink:
        put_all(sink, THREE)
        with pytest.raises(Mismatch):
            sink.complete()
    assert bucket.leftovers() == []


@pytest.mark.parametrize("parts", [THREE, make_parts(3)], ids=["multipart", "one put"])
def test_a_lost_answer_is_proven_by_the_token(bucket: Bucket, parts: list[Part]) -> None:
    bucket.calls.after("CompleteMultipartUpload", raises(lost()))
    bucket.calls.after("PutObject", raises(lost()))
    upload = bucket.upload()
    complete(bucket.open(upload), parts)
    assert bucket.read(upload.key) == whole(parts)


def test_a_lost_answer_is_proven_even_when_the_proof_was_away(bucket: Bucket) -> None:
    bucket.calls.after("CompleteMultipartUpload", once(raises(lost())))
    bucket.calls.before("HeadObject", once(raises(refused())))
    upload = bucket.upload()
    with bucket.open(upload) as sink:
        put_all(sink, THREE)
        with pytest.raises(StorageUnavailable):
            sink.complete()
        assert sink.complete().size == len(whole(THREE))
    assert bucket.read(upload.key) == whole(THREE)


def test_an_object_of_another_proves_nothing(bucket: Bucket) -> None:
    upload = bucket.upload()
    bucket.client.put_object(Bucket=bucket.name, Key=upload.key, Body=whole(THREE))
    bucket.calls.before("CompleteMultipartUpload", raises(lost()))
    with bucket.open(upload) as sink:
        put_all(sink, THREE)
        with pytest.raises(StorageUnavailable):
            sink.complete()


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda _: answer("InternalError", 500), StorageUnavailable),
        (lambda _: answer("SlowDown", 503), StorageUnavailable),
        (raises(ConnectionClosedError(endpoint_url="http://store")), StorageUnavailable),
        (lambda _: answer("NoSuchUpload", 404), UploadLost),
        (lambda _: answer("InvalidPart", 400), UploadLost),
        (lambda _: answer("InvalidPartOrder", 400), UploadLost),
        (lambda _: answer("AccessDenied", 403), AccessDenied),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_complete_that_failed_leaves_no_file(
    bucket: Bucket, act: Callable[[int], Any], error: type[PipelineError]
) -> None:
    bucket.calls.before("CompleteMultipartUpload", act)
    with pytest.raises(error):
        complete(bucket.open(bucket.upload()), THREE)
    assert bucket.leftovers() == []


def test_a_failed_complete_can_be_tried_by_another_attempt(bucket: Bucket) -> None:
    bucket.calls.before("CompleteMultipartUpload", once(lambda _: answer("ServiceUnavailable", 503)))
    upload = bucket.upload()
    with bucket.open(upload) as sink:
        put_all(sink, THREE)
        sink.flush()
        recorded = sink.stored()
        with pytest.raises(StorageUnavailable):
            sink.complete()
        sink.detach()
    with bucket.open(bucket.known(upload), after=recorded) as sink:
        sink.complete()
    assert bucket.read(upload.key) == whole(THREE)


def test_an_upload_that_cannot_be_aborted_does_not_hide_the_cause(bucket: Bucket) -> None:
    bucket.calls.before("AbortMultipartUpload", once(raises(refused())))
    with pytest.raises(ValueError, match="part 3 after part 1") as caught:
        complete(bucket.open(bucket.upload()), [THREE[0], THREE[2]])
    (note,) = caught.value.__notes__
    assert note.startswith("The unfinished file could not be removed: The file storage could not be reached.")


def test_parts_that_outlive_an_abort_are_aborted_again(bucket: Bucket) -> None:
    aborts: list[int] = []

    def abort(_: int) -> object:
        aborts.append(1)
        return answer("", 204) if len(aborts) == 1 else None

    bucket.calls.before("AbortMultipartUpload", abort)
    with bucket.open(bucket.upload()) as sink:
        put_all(sink, THREE[:2])
    assert len(aborts) == 2
    assert bucket.leftovers() == []


def test_parts_that_are_listed_otherwise_are_not_joined(bucket: Bucket) -> None:
    """The proof that stands in where the object's ETag says nothing."""
    joins: list[int] = []

    def other(parsed: dict[str, Any]) -> None:
        for part in parsed.get("Parts", [])[1:2]:
            part["ETag"] = '"00000000000000000000000000000000"'

    bucket.calls.after("ListParts", once(other))
    bucket.calls.before("CompleteMultipartUpload", joins.append)
    with pytest.raises(UploadLost, match="not the recorded ones"):
        complete(bucket.open(bucket.upload()), THREE)
    assert joins == []
    assert bucket.leftovers() == []
