"""Files on a store whose ETags look like MD5s and are none, as where all is encrypted and no header says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from chaos.answers import Answer, ForeignEtags, Request
from exports_app.pipeline.errors import Mismatch, StorageUnavailable
from exports_app.pipeline.sinks import s3_digests
from tests.sinks_fixtures import THREE, complete, left_off, make_parts, put_all, whole
from tests.stores.places import behind, place

SIZE = len(THREE[0].data)


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    yield
    s3_digests.forget()


@pytest.mark.parametrize("sizes", [(SIZE, SIZE, SIZE, 7), (9,), (0,)], ids=["parts", "one put", "empty"])
def test_a_file_is_made_and_proven(sizes: tuple[int, ...]) -> None:
    parts = make_parts(*sizes)
    with place(behind(ForeignEtags)) as bucket:
        upload = bucket.upload()
        complete(bucket.open(upload), parts)
        assert bucket.read(upload.key) == whole(parts)


def test_it_is_found_out_by_one_part_of_another_md5_and_known_from_then_on() -> None:
    store = behind(ForeignEtags)
    with place(store) as bucket, bucket.open(bucket.upload()) as sink:
        sink.put(THREE[0], last=False)
        sink.flush()
        assert store.calls.count("UploadPart") == 3  # twice the part, then the other one
        sink.put(THREE[1], last=False)
        sink.flush()
        assert store.calls.count("UploadPart") == 4


def test_a_file_that_was_left_off_is_gone_on_with_by_a_process_that_knows_nothing() -> None:
    with place(behind(ForeignEtags)) as bucket:
        upload, recorded = left_off(bucket, THREE[:2])
        s3_digests.forget()
        assert bucket.store.verify(upload, recorded) == recorded
        with bucket.open(upload, recorded) as sink:
            put_all(sink, THREE[2:])
            sink.complete()
        assert bucket.read(upload.key) == whole(THREE)


def test_what_was_completed_is_proven_by_reading_it() -> None:
    store = behind(ForeignEtags)
    with place(store) as bucket:
        upload, recorded = left_off(bucket, THREE)
        with bucket.open(upload, recorded) as sink:
            sink.complete()
        s3_digests.forget()
        before = store.calls.count("GET")
        receipt = bucket.store.finished(upload, recorded)
        assert receipt is not None
        assert (receipt.size, store.calls.count("GET") - before) == (2 * SIZE + 8, 1)


@pytest.mark.parametrize("parts", [THREE, make_parts(9)], ids=["parts", "one put"])
def test_a_file_that_is_another_is_found_out(parts: Any) -> None:
    with place(behind(OtherBytes)) as bucket:
        sink = bucket.open(bucket.upload())
        with pytest.raises(Mismatch):
            complete(sink, parts)
        assert bucket.leftovers() == []


def test_a_store_that_compares_no_md5_either_leaves_the_part_unproven() -> None:
    with place(behind(Careless)) as bucket, bucket.open(bucket.upload()) as sink:
        sink.put(THREE[0], last=False)
        with pytest.raises(StorageUnavailable, match="Part 1 arrived damaged twice"):
            sink.flush()


class OtherBytes(ForeignEtags):
    """What is read of the file has one other byte."""

    def after(self, request: Request, answer: Answer) -> Answer:
        given = super().after(request, answer)
        return replace(given, body=b"\0" + given.body[1:]) if request.call == "GET" else given


class Careless(ForeignEtags):
    """Whatever ``Content-MD5`` says is taken."""

    def before(self, request: Request) -> Answer | None:
        refusal = super().before(request)
        return Answer(status=200, headers={"ETag": f'"{"0" * 32}"'}) if refusal else None
