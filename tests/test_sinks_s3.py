"""What holds for the S3 sink alone: the multipart upload and its parts on their way."""

from __future__ import annotations

import threading
from concurrent.futures import wait
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exports_app.pipeline.errors import (
    AccessDenied,
    StorageUnavailable,
)
from exports_app.pipeline.parts import MIN_PART_SIZE
from exports_app.pipeline.sinks import s3, s3_object
from exports_app.pipeline.sinks.s3 import S3Sink, S3Store
from exports_app.pipeline.waiting import while_waiting
from tests.sinks_fixtures import (
    LATE,
    THREE,
    Bucket,
    answer,
    complete,
    each_bucket,  # noqa: F401 - the fixture "bucket"
    make_client,
    make_parts,
    moto_place,
    once,
    once_for,
    put_all,
    raises,
    refused,
    replace_part,
    whole,
)

FIVE = make_parts(*[MIN_PART_SIZE] * 5)


# The multipart upload


def test_the_object_says_what_it_is_and_whose(bucket: Bucket) -> None:
    for parts in (THREE, make_parts(3)):
        upload = bucket.upload()
        complete(bucket.open(upload), parts)
        head = bucket.client.head_object(Bucket=bucket.name, Key=upload.key)
        assert head["ContentType"] == "text/csv"
        assert not head.get("ContentEncoding")
        assert head["Metadata"] == {"write-mark": upload.mark}
        bucket.store.discard(upload)


def test_a_file_of_one_part_makes_no_upload(bucket: Bucket) -> None:
    complete(bucket.open(bucket.upload()), make_parts(MIN_PART_SIZE + 1))
    assert bucket.uploads == []


def test_an_upload_is_on_record_before_its_first_part(bucket: Bucket) -> None:
    seen: list[list[str]] = []
    bucket.calls.before("UploadPart", lambda _: seen.append(list(bucket.uploads)))
    complete(bucket.open(bucket.upload()), THREE)
    assert len(bucket.uploads) == 1
    assert seen == [bucket.uploads] * 3


def test_an_upload_that_cannot_be_recorded_is_undone(bucket: Bucket) -> None:
    sink = bucket.store.open(bucket.upload(), content_type="text/csv", on_upload=raises(RuntimeError("fenced")))
    with pytest.raises(RuntimeError, match="fenced"):
        put_all(sink, THREE)
    sink.detach()
    assert bucket.leftovers() == []


def test_an_upload_of_an_earlier_attempt_gives_way_to_a_small_file(bucket: Bucket) -> None:
    upload = bucket.upload()
    with bucket.open(upload) as sink:
        put_all(sink, THREE[:1])
        sink.detach()
    complete(bucket.open(bucket.known(upload)), make_parts(3))
    assert bucket.read(upload.key) == b"\x01\x01\x01"
    assert len(bucket.leftovers()) == 1


def test_parts_are_listed_page_by_page(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a part has several versions, on either side of a page's end."""
    upload = bucket.upload()
    with bucket.open(upload) as sink:
        put_all(sink, FIVE, last=5)
        recorded = list(sink.detach())
    upload = bucket.known(upload)
    etag = replace_part(bucket, upload, 3)
    target = s3_object.S3Object(bucket.client, bucket.name, upload)
    on_one_page = target.parts()
    monkeypatch.setattr(s3_object, "PAGE", 3)
    assert target.parts() == on_one_page
    there = [*recorded[:2], replace(recorded[2], etag=etag, size=len(LATE)), *recorded[3:]]
    assert bucket.store.verify(upload, there) == there
    bucket.store.discard(upload)


# Parts on their way


def test_no_more_parts_are_on_their_way_than_allowed(bucket: Bucket) -> None:
    lock, busy, peak, pair = threading.Lock(), 0, 0, threading.Barrier(2, timeout=30)

    def begin(_: int) -> None:
        nonlocal busy, peak
        with lock:
            busy += 1
            peak = max(peak, busy)
        pair.wait()  # comes back only when two travel at the same time

    def end(_: Any) -> None:
        nonlocal busy
        with lock:
            busy -= 1

    bucket.calls.before("UploadPart", begin)
    bucket.calls.after("UploadPart", end)
    complete(bucket.open(bucket.upload()), make_parts(*[MIN_PART_SIZE] * 6))
    assert peak == 2


def test_a_further_part_waits_until_one_has_arrived(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the parts would pile up in memory."""
    go = threading.Event()
    waits: list[Any] = []

    def begin(_: int) -> None:
        assert go.wait(30)

    def wait_and_go(*args: Any, **options: Any) -> Any:
        waits.append(args)
        go.set()
        return wait(*args, **options)

    monkeypatch.setattr(s3, "wait", wait_and_go)
    bucket.calls.before("UploadPart", begin)
    with bucket.open(bucket.upload()) as sink:
        put_all(sink, FIVE[:2], last=5)
        assert waits == []
        put_all(sink, FIVE[2:3], last=5)
        assert waits


def test_a_run_that_shall_stop_does_not_wait_for_a_part(bucket: Bucket) -> None:
    go = threading.Event()

    def stop() -> None:
        raise StopIteration

    bucket.calls.before("UploadPart", lambda _: go.wait(30))
    upload = bucket.upload()
    with bucket.open(upload) as sink:
        with while_waiting(stop), pytest.raises(StopIteration):
            put_all(sink, FIVE[:3], last=5)
        go.set()
        sink.detach()
    bucket.store.discard(upload)


def test_large_parts_travel_alone(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "IN_FLIGHT_BYTES", 2 * MIN_PART_SIZE - 1)
    busy: list[int] = []
    seen: list[list[int]] = []

    def begin(number: int) -> None:
        busy.append(number)
        seen.append(list(busy))

    bucket.calls.before("UploadPart", begin)
    bucket.calls.after("UploadPart", lambda _: busy.clear())
    complete(bucket.open(bucket.upload()), FIVE)
    assert seen == [[1], [2], [3], [4], [5]]


def test_a_part_that_was_faster_waits_for_the_one_before_it(bucket: Bucket) -> None:
    go, second = threading.Event(), threading.Event()

    def begin(number: int) -> None:
        if number == 1:
            assert go.wait(30)

    bucket.calls.before("UploadPart", begin)
    bucket.calls.after("UploadPart", lambda _: second.set())
    with bucket.open(bucket.upload()) as sink:
        put_all(sink, THREE[:2])
        assert second.wait(30)
        assert list(sink.stored()) == []
        go.set()
        sink.flush()
        assert [part.number for part in sink.stored()] == [1, 2]


def test_a_failed_part_is_told_after_the_stored_ones(bucket: Bucket) -> None:
    bucket.calls.before("UploadPart", lambda number: answer("AccessDenied", 403) if number == 2 else None)
    with bucket.open(bucket.upload()) as sink:
        put_all(sink, THREE[:2])
        with pytest.raises(AccessDenied):
            sink.flush()
        assert [part.number for part in sink.stored()] == [1]
        for call in (sink.stored, sink.complete, lambda: sink.put(THREE[2], last=True)):
            with pytest.raises(AccessDenied):
                call()
    assert bucket.leftovers() == []


def test_an_outage_leaves_what_was_stored_for_another_attempt(bucket: Bucket) -> None:
    bucket.calls.before("UploadPart", once_for(2, raises(refused())))
    upload = bucket.upload()
    with bucket.open(upload) as sink:
        put_all(sink, THREE[:2])
        with pytest.raises(StorageUnavailable):
            sink.flush()
        recorded = sink.detach()
    assert [part.number for part in recorded] == [1]
    with bucket.open(bucket.known(upload), after=recorded) as sink:
        put_all(sink, THREE[1:])
        sink.complete()
    assert bucket.read(upload.key) == whole(THREE)


def test_detach_waits_no_longer_than_told(bucket: Bucket) -> None:
    go = threading.Event()

    def begin(_: int) -> None:
        assert go.wait(30)

    bucket.calls.before("UploadPart", begin)
    sink = bucket.open(bucket.upload())
    sink.put(THREE[0], last=False)
    assert list(sink.detach(timeout=0)) == []
    go.set()
    sink.abort()
    assert bucket.leftovers() == []


def test_a_part_that_arrived_damaged_is_sent_again(bucket: Bucket) -> None:
    damage = once(lambda parsed: parsed.update(ETag='"00000000000000000000000000000000"'))
    bucket.calls.after("UploadPart", damage)
    upload = bucket.upload()
    complete(bucket.open(upload), THREE)
    assert bucket.read(upload.key) == whole(THREE)


def test_a_part_that_always_arrives_damaged_fails(tmp_path: Path) -> None:
    with moto_place(tmp_path) as bucket:  # a store that compares no MD5
        bucket.calls.after("UploadPart", lambda parsed: parsed.update(ETag='"00000000000000000000000000000000"'))
        with pytest.raises(StorageUnavailable, match="arrived damaged twice"):
            complete(bucket.open(bucket.upload()), THREE)
        assert bucket.leftovers() == []


def test_etags_of_encrypted_parts_are_not_compared(bucket: Bucket) -> None:
    """With SSE-KMS they look like MD5s and are none."""
    opaque: dict[str, str] = {}

    def encrypt_part(parsed: dict[str, Any]) -> None:
        plain = parsed["ETag"].strip('"')
        parsed.update(ETag=opaque.setdefault(plain, plain[::-1]), ServerSideEncryption="aws:kms")

    def encrypt_list(parsed: dict[str, Any]) -> None:
        for part in parsed["Parts"]:
            part["ETag"] = opaque[part["ETag"].strip('"')]

    def decrypt(params: dict[str, Any], **_: Any) -> None:
        for part in params["MultipartUpload"]["Parts"]:
            part["ETag"] = part["ETag"][::-1]

    def encrypt_head(parsed: dict[str, Any]) -> None:
        parsed.update(ETag=f'"{"f" * 32}-3"', ServerSideEncryption="aws:kms")

    bucket.calls.after("UploadPart", encrypt_part)
    bucket.calls.after("ListParts", encrypt_list)
    bucket.calls.given("CompleteMultipartUpload", decrypt)
    bucket.calls.after("HeadObject", encrypt_head)
    upload = bucket.upload()
    complete(bucket.open(upload), THREE)
    assert bucket.read(upload.key) == whole(THREE)


def test_further_parameters_reach_the_object(bucket: Bucket) -> None:
    store = S3Store(bucket.client, bucket.name, parameters={"CacheControl": "no-store", "Metadata": {"a": "b"}})
    upload = bucket.upload()
    sink = store.open(upload, content_type="text/csv", on_upload=bucket.uploads.append)
    assert isinstance(sink, S3Sink)
    complete(sink, THREE)
    head = bucket.client.head_object(Bucket=bucket.name, Key=upload.key)
    assert head["CacheControl"] == "no-store"
    assert head["Metadata"] == {"a": "b", "write-mark": upload.mark}


def test_the_client_tries_a_part_again(bucket: Bucket) -> None:
    client = make_client(attempts=2, **bucket.options)
    tries: list[str] = []

    def refuse(event_name: str, **_: Any) -> None:
        tries.append(event_name)
        if len(tries) == 1:
            raise refused()

    client.meta.events.register("before-send.s3.UploadPart", refuse)
    upload = bucket.upload()
    sink = S3Store(client, bucket.name).open(upload, content_type="", on_upload=bucket.uploads.append)
    complete(sink, THREE)
    assert len(tries) == 4
    assert bucket.read(upload.key) == whole(THREE)
