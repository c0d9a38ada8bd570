"""What holds for every sink, wherever the file goes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from exports_app.pipeline.errors import UploadLost
from exports_app.pipeline.sinks.memory import MemorySink
from exports_app.pipeline.sinks.stream import StreamSink
from exports_app.pipeline.types import Part, Sink
from tests.sinks_fixtures import PLACES, THREE, Place, left_off, make_parts, put_all, whole


class Boom(Exception):
    pass


def fail(sink: Sink, parts: Sequence[Part], *, complete: bool = False) -> None:
    """An export that goes wrong behind these parts."""
    with sink:
        put_all(sink, parts)
        if complete:
            sink.complete()
        raise Boom


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with PLACES[request.param](tmp_path) as place:
        yield place


@pytest.mark.parametrize(
    "parts",
    [
        THREE,
        make_parts(9),  # less than a part
        make_parts(0),  # no rows, no header
    ],
    ids=["three parts", "one part", "empty"],
)
def test_a_completed_file_is_whole(place: Place, parts: list[Part]) -> None:
    upload = place.upload()
    with place.open(upload) as sink:
        put_all(sink, parts, last=len(parts))
        receipt = sink.complete()
    assert place.read(upload.key) == whole(parts)
    assert receipt.size == len(whole(parts))
    assert len(place.leftovers()) == 1


def test_a_file_without_any_part_is_empty(place: Place) -> None:
    upload = place.upload()
    with place.open(upload) as sink:
        assert sink.complete().size == 0
    assert place.read(upload.key) == b""


def test_nothing_is_visible_before_it_is_whole(place: Place) -> None:
    upload = place.upload()
    with place.open(upload) as sink:
        put_all(sink, THREE)
        sink.flush()
        assert place.read(upload.key) is None


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_failed_export_leaves_nothing(place: Place, count: int) -> None:
    with pytest.raises(Boom):
        fail(place.open(place.upload()), THREE[:count])
    assert place.leftovers() == []


def test_leaving_without_complete_leaves_nothing(place: Place) -> None:
    with place.open(place.upload()) as sink:
        put_all(sink, THREE)
    assert place.leftovers() == []


def test_an_aborted_export_leaves_nothing_even_when_complete(place: Place) -> None:
    with place.open(place.upload()) as sink:
        put_all(sink, THREE)
        sink.complete()
        sink.abort()
    assert place.leftovers() == []


def test_a_failure_after_complete_keeps_the_file(place: Place) -> None:
    """Whether the job got its receipt may be unknown then; only who knows may delete."""
    upload = place.upload()
    with pytest.raises(Boom):
        fail(place.open(upload), THREE, complete=True)
    assert place.read(upload.key) == whole(THREE)


def test_stored_parts_come_once_and_in_order(place: Place) -> None:
    with place.open(place.upload()) as sink:
        put_all(sink, THREE)
        sink.flush()
        stored = sink.stored()
        assert [(part.number, part.offset, part.size, part.last) for part in stored] == [
            (1, 0, 5_242_880, False),
            (2, 5_242_880, 5_242_881, False),
            (3, 10_485_761, 7, True),
        ]
        assert stored[1].rows == 20
        assert stored[1].cursor == ("20",)
        assert stored[1].crc32 == THREE[1].crc32
        assert stored[1].state == {"row": 20}
        assert list(sink.stored()) == []


def test_a_gap_is_refused(place: Place) -> None:
    with pytest.raises(ValueError, match="part 3 after part 1"):
        fail(place.open(place.upload()), [THREE[0], THREE[2]])
    assert place.leftovers() == []


def test_another_attempt_goes_on_after_detach(place: Place) -> None:
    upload, recorded = left_off(place, THREE[:2])
    assert place.store.verify(upload, recorded) == list(recorded)
    with place.open(upload, after=recorded) as sink:
        put_all(sink, THREE[2:])
        sink.flush()
        assert [part.number for part in sink.stored()] == [3]
        sink.complete()
    assert place.read(upload.key) == whole(THREE)


def test_detach_gives_only_what_was_not_given_before(place: Place) -> None:
    upload = place.upload()
    with place.open(upload) as sink:
        sink.put(THREE[0], last=False)
        sink.flush()
        assert [part.number for part in sink.stored()] == [1]
        sink.put(THREE[1], last=False)
        assert [part.number for part in sink.detach()] == [2]
    place.store.discard(place.known(upload))


def test_another_attempt_that_has_all_parts_only_completes(place: Place) -> None:
    upload, recorded = left_off(place, THREE)
    with place.open(upload, after=recorded) as sink:
        sink.complete()
    assert place.read(upload.key) == whole(THREE)


def test_a_part_without_a_record_is_written_again(place: Place) -> None:
    upload, recorded = left_off(place, THREE)
    other = make_parts(len(THREE[0].data), 3)
    with place.open(upload, after=recorded[:1]) as sink:
        sink.put(other[1], last=True)
        sink.complete()
    assert place.read(upload.key) == whole(other)


def test_parts_count_up_to_the_first_that_differs(place: Place) -> None:
    upload, (first, second, third) = left_off(place, THREE)
    other = replace(second, crc32=1, etag="0" * 32)
    assert place.store.verify(upload, [first, other, third]) == [first]
    assert place.store.verify(upload, []) == []
    place.store.discard(upload)


def test_a_lost_upload_is_noticed(place: Place) -> None:
    upload, recorded = left_off(place, THREE[:2])
    place.store.discard(upload)
    with pytest.raises(UploadLost):
        place.store.verify(upload, recorded)
    with pytest.raises(UploadLost), place.open(upload, after=recorded) as sink:
        sink.complete()
    assert place.leftovers() == []


def test_a_finished_file_is_known_from_its_parts(place: Place) -> None:
    upload = place.upload()
    with place.open(upload) as sink:
        put_all(sink, THREE)
        sink.flush()
        recorded = sink.stored()
        assert place.store.finished(place.known(upload), recorded) is None
        receipt = sink.complete()
    upload = place.known(upload)
    assert place.store.finished(upload, recorded) == receipt
    assert place.store.finished(upload, recorded[:2]) is None
    assert place.store.finished(upload, []) is None


def test_discard_deletes_whatever_there_is(place: Place) -> None:
    place.store.discard(place.upload())
    upload, _ = left_off(place, THREE[:2])
    place.store.discard(upload)
    place.store.discard(upload)
    assert place.leftovers() == []


def test_a_stream_gets_the_file() -> None:
    file = io.BytesIO()
    with StreamSink(file) as sink:
        put_all(sink, THREE)
        assert sink.complete().size == len(whole(THREE))
    assert file.getvalue() == whole(THREE)


def test_a_stream_keeps_what_went_out() -> None:
    file = io.BytesIO()
    with pytest.raises(Boom):
        fail(StreamSink(file), THREE[:1])
    assert file.getvalue() == THREE[0].data


def test_a_preview_needs_no_store() -> None:
    sink = MemorySink()
    put_all(sink, make_parts(3), last=1)
    assert sink.data == b"\x01\x01\x01"
