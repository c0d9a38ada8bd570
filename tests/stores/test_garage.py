"""Files of several parts on a store that makes their ETag as Garage does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.answers import Answer, Garage, Request
from exports_app.pipeline.errors import Mismatch
from exports_app.pipeline.parts import MIB
from exports_app.pipeline.sinks.s3_object import multipart_etags
from exports_app.pipeline.types import StoredPart
from tests.sinks_fixtures import complete, make_parts, whole
from tests.stores.places import behind, place


def test_a_file_of_several_parts_is_proven_by_either_etag() -> None:
    parts = make_parts(5 * MIB, 5 * MIB, 7)
    with place(behind(Garage)) as bucket:
        upload = bucket.upload()
        complete(bucket.open(upload), parts)
        assert bucket.read(upload.key) == whole(parts)


def test_another_etag_of_the_same_form_is_no_proof_against_the_bytes() -> None:
    parts = make_parts(5 * MIB, 5 * MIB, 7)
    with place(behind(ForgedEtags)) as bucket:
        upload = bucket.upload()
        complete(bucket.open(upload), parts)
        assert bucket.read(upload.key) == whole(parts)


def test_another_file_with_an_etag_of_the_same_form_is_none_of_ours() -> None:
    parts = make_parts(5 * MIB, 5 * MIB, 7)
    with place(behind(ForgedFiles)) as bucket:
        sink = bucket.open(bucket.upload())
        with pytest.raises(Mismatch):
            complete(sink, parts)
        assert bucket.leftovers() == []


class ForgedEtags(Garage):
    """The file is said to be another than was written."""

    def after(self, request: Request, answer: Answer) -> Answer:
        given = super().after(request, answer)
        self.etags = dict.fromkeys(self.etags, f'"{"0" * 32}-3"')
        return given


class ForgedFiles(ForgedEtags):
    """The file is another than was written."""

    def after(self, request: Request, answer: Answer) -> Answer:
        given = super().after(request, answer)
        return replace(given, body=b"?" + given.body[1:]) if request.call == "GET" else given


def test_the_etag_of_two_parts() -> None:
    parts = [
        StoredPart(number=n, etag=etag, offset=0, size=1, rows=0, cursor=None, crc32=0, state={})
        for n, etag in enumerate(["bce6bf66aeb76c7040fdd5f4eccb78e6", "8165449fc15bbf43d3b674595cbcc406"], start=1)
    ]
    assert multipart_etags(parts) == ("f77dc0eecdebcd774a2a22cb393ad2ff-2", "158668b0d382a2d588dd141dafb5ec6f-2")
