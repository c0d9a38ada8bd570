"""What holds for local files alone."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from exports_app.pipeline.errors import AccessDenied, Mismatch, UploadLost
from exports_app.pipeline.sinks.local import LocalStore
from exports_app.pipeline.types import Upload
from tests.sinks_fixtures import make_parts, put_all, whole

PARTS = make_parts(4, 4, 2)
UPLOAD = Upload(key="exports/alice/job.1.csv", token="t0ken")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


@pytest.fixture
def unfinished(tmp_path: Path) -> Path:
    return tmp_path / "exports/alice/job.1.csv.t0ken.part"


@pytest.mark.parametrize("key", ["../job.csv", "exports/../../job.csv", "/etc/job.csv", "", "."])
def test_a_file_outside_the_directory_is_refused(store: LocalStore, key: str) -> None:
    with pytest.raises(ValueError, match="is not a name below the directory"):
        store.open(Upload(key=key, token="t0ken"))


def test_the_unfinished_file_stands_beside_its_place(store: LocalStore, unfinished: Path) -> None:
    with store.open(UPLOAD) as sink:
        sink.put(PARTS[0], last=False)
        assert unfinished.read_bytes() == b"\x01\x01\x01\x01"
    assert not unfinished.exists()


def test_what_was_written_after_the_last_record_is_cut_off(store: LocalStore, unfinished: Path) -> None:
    with store.open(UPLOAD) as sink:
        put_all(sink, PARTS[:2])
        recorded = sink.detach()[:1]
    with store.open(UPLOAD, after=recorded) as sink:
        assert unfinished.read_bytes() == b"\x01\x01\x01\x01"
        sink.detach()


def test_a_file_that_lost_its_end_goes_on_behind_what_is_left(store: LocalStore, unfinished: Path) -> None:
    with store.open(UPLOAD) as sink:
        put_all(sink, PARTS[:2])
        recorded = sink.detach()
    unfinished.write_bytes(unfinished.read_bytes()[:6])
    assert store.verify(UPLOAD, recorded) == recorded[:1]
    with pytest.raises(UploadLost):
        store.open(UPLOAD, after=recorded)


def test_a_late_writer_of_a_begun_file_writes_elsewhere(store: LocalStore, tmp_path: Path) -> None:
    late = store.open(UPLOAD)
    late.put(PARTS[0], last=False)
    with store.open(UPLOAD) as sink:
        put_all(sink, PARTS)
        late.put(replace(PARTS[1], data=b"late"), last=False)
        sink.complete()
    late.detach()
    assert (tmp_path / UPLOAD.key).read_bytes() == whole(PARTS)


def test_a_late_writer_of_a_resumed_file_is_found_out(store: LocalStore, tmp_path: Path) -> None:
    late = store.open(UPLOAD)
    late.put(PARTS[0], last=False)
    with store.open(UPLOAD, after=late.stored()) as sink:
        put_all(sink, PARTS[1:])
        late.put(make_parts(4, 3)[1], last=False)
        late.put(make_parts(4, 3, 3)[2], last=True)  # the same size in all, other bytes
        with pytest.raises(Mismatch):
            sink.complete()
    late.detach()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_file_that_a_late_writer_completed_is_lost(store: LocalStore) -> None:
    late = store.open(UPLOAD)
    put_all(late, PARTS)
    with store.open(UPLOAD, after=late.stored()) as sink:
        late.complete()
        with pytest.raises(UploadLost):
            sink.complete()
    store.discard(UPLOAD)


def test_a_directory_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "exports").write_text("in the way")
    with pytest.raises(AccessDenied, match="The file storage refused the export"):
        LocalStore(tmp_path).open(UPLOAD)


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_files_are_for_the_site_and_its_group_whatever_the_umask(store: LocalStore, tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with store.open(UPLOAD) as sink:
            put_all(sink, PARTS)
            sink.complete()
    finally:
        os.umask(before)
    assert (tmp_path / UPLOAD.key).stat().st_mode & 0o777 == 0o640
