"""Local files over HTTP: signed links that behave as those of an object store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import AsyncClient, Client
from django.utils import timezone

from exports_app import clock, downloads, services, storage
from exports_app.choices import Status
from exports_app.models import ExportEvent, ExportJob
from exports_app.web import files
from tests.web_pages import HOUR, make_job

BODY = bytes(range(256)) * 4
LAST_MODIFIED = "Thu, 26 Feb 2026 12:00:00 GMT"
NAME = "customers-2026-02-26.csv"
WHOLE = {
    "Content-Type": "text/csv; charset=utf-8",
    "Content-Disposition": f'attachment; filename="{NAME}"',
    "Content-Length": "1024",
    "Accept-Ranges": "bytes",
    "ETag": '"1-9f3a01bc-1024"',
    "Last-Modified": LAST_MODIFIED,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
}


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    """Where the files are, in place of S3."""
    local = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}}
    settings.STORAGES = settings.STORAGES | {"exports": local}
    (tmp_path / "exports" / "1").mkdir(parents=True)
    (tmp_path / "exports" / "1" / "x.csv").write_bytes(BODY)
    return tmp_path


@pytest.fixture
def job(alice: User, folder: Path) -> ExportJob:
    """Alice's export, whose file is in the folder."""
    moment = datetime(2026, 2, 26, 12, 0, 0, 250_000, tzinfo=UTC)
    return make_job(alice, Status.COMPLETED, upload_number=1, file_size=len(BODY), completed_at=moment)


@pytest.fixture
def link(job: ExportJob, alice: User) -> str:
    """Alice's link to it, without the host."""
    url = services.download_url(alice, job)
    assert url is not None
    return url.removeprefix("http://localhost")


def fetch(link: str, method: str = "GET", **headers: str) -> tuple[Any, bytes]:
    """The answer to somebody who is not signed in, and its bytes as the server streams them."""

    @async_to_sync
    async def read() -> tuple[Any, bytes]:
        response: Any = await AsyncClient().generic(method, link, headers=headers)
        body = b"".join([part async for part in response]) if response.streaming else response.content
        response.close()
        return response, body

    return read()


def headers_of(response: Any) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name not in ("X-Frame-Options", "X-Request-ID")}


# The whole


def test_a_link_gives_the_file_without_a_login(link: str) -> None:
    assert urlsplit(link).path.endswith(f"/file/{NAME}")
    response, body = fetch(link)
    assert (response.status_code, body) == (200, BODY)
    assert WHOLE.items() <= headers_of(response).items()


def test_head_says_the_same_without_the_bytes(link: str) -> None:
    response, body = fetch(link, "HEAD", Range="bytes=0-9")  # of GET alone
    assert (response.status_code, body) == (200, b"")
    assert WHOLE.items() <= headers_of(response).items()


def test_it_is_read_piece_by_piece(link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "READ_SIZE", 100)
    assert fetch(link)[1] == BODY
    assert fetch(link, Range="bytes=50-249")[1] == BODY[50:250]


def test_the_file_is_closed_when_the_answer_is_over(
    link: str, job: ExportJob, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[BinaryIO] = []

    def open_file(*arguments: Any) -> tuple[ExportJob, BinaryIO]:
        found = original(*arguments)
        opened.append(found[1])
        return found

    original = downloads.open_file
    monkeypatch.setattr(downloads, "open_file", open_file)
    fetch(link)
    fetch(link, "HEAD")
    fetch(link, Range="bytes=2000-")
    assert [each.closed for each in opened] == [True, True, True]


def test_a_file_that_was_cut_short_breaks_the_connection(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(BODY)

    @async_to_sync
    async def read(body: files.FileBody) -> list[bytes]:
        return [part async for part in body]

    with path.open("rb") as file, pytest.raises(EOFError):
        read(files.FileBody(file, range(2_000)))


# Parts


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=1000-", 1000, 1023),
        ("bytes=1000-5000", 1000, 1023),
        ("bytes=-24", 1000, 1023),
        ("bytes=-5000", 0, 1023),
        ("Bytes=5-9", 5, 9),
    ],
)
def test_a_range_gives_that_part(link: str, asked: str, first: int, last: int) -> None:
    response, body = fetch(link, Range=asked)
    assert (response.status_code, body) == (206, BODY[first : last + 1])
    assert response["Content-Range"] == f"bytes {first}-{last}/1024"
    assert response["Content-Length"] == str(last - first + 1)
    assert response["ETag"] == '"1-9f3a01bc-1024"'


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=99999999-", "bytes=-0"])
def test_a_range_behind_the_end_is_refused(link: str, asked: str) -> None:
    response, body = fetch(link, Range=asked)
    assert (response.status_code, body) == (416, b"")
    assert response["Content-Range"] == "bytes */1024"


@pytest.mark.parametrize(
    "asked",
    ["", "bytes", "bytes=", "bytes=-", "bytes=9-5", "bytes=a-b", "rows=0-9", "bytes=0-1,5-9", "bytes=" + "9" * 40],
)
def test_what_is_no_single_range_gets_the_whole(link: str, asked: str) -> None:
    response, body = fetch(link, Range=asked)
    assert (response.status_code, body) == (200, BODY)


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('"1-9f3a01bc-1024"', 206),
        ('"2-9f3a01bc-1024"', 200),
        ('W/"1-9f3a01bc-1024"', 200),
        (LAST_MODIFIED, 206),
        ("Thu, 26 Feb 2026 12:00:01 GMT", 200),
        ("yesterday", 200),
    ],
)
def test_a_part_is_given_only_of_the_same_file(link: str, condition: str, status: int) -> None:
    assert fetch(link, **{"Range": "bytes=5-", "If-Range": condition})[0].status_code == status


def test_who_has_it_already_is_told_so(link: str) -> None:
    response, body = fetch(link, **{"If-None-Match": '"1-9f3a01bc-1024"'})
    assert (response.status_code, body, response["ETag"]) == (304, b"", '"1-9f3a01bc-1024"')
    assert fetch(link, **{"If-Match": '"other"'})[0].status_code == 412


def test_an_empty_file_is_whole_too(link: str, folder: Path) -> None:
    (folder / "exports" / "1" / "x.csv").write_bytes(b"")
    response, body = fetch(link)
    assert (response.status_code, response["Content-Length"], body) == (200, "0", b"")
    assert fetch(link, Range="bytes=0-")[0].status_code == 416


# Who may


def refused(link: str) -> int:
    response, body = fetch(link)
    assert BODY not in body
    assert response["Cache-Control"] == "private, no-store"
    return int(response.status_code)


def test_a_link_lives_15_minutes(job: ExportJob, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    link = (services.download_url(alice, job) or "").removeprefix("http://localhost")
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(seconds=899))
    assert fetch(link)[1] == BODY
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(seconds=901))
    assert refused(link) == 410


def test_a_link_that_was_changed_is_refused(link: str, alice: User) -> None:
    other = make_job(alice, Status.COMPLETED)
    assert refused(link[:-1] + ("A" if link[-1] != "A" else "B")) == 403
    assert refused(link.replace(link.split("/")[2], str(other.pk))) == 403
    assert refused(link.split("?")[0]) == 403
    token = downloads.make_token(other, alice).token
    assert refused(f"{link.split('?')[0]}?signature={token}") == 403


def test_a_withdrawn_permission_ends_the_links_that_are_out(link: str, job: ExportJob, alice: User) -> None:
    permissions = list(alice.user_permissions.all())
    alice.user_permissions.clear()
    assert refused(link) == 403
    alice.user_permissions.set(permissions)
    assert fetch(link)[1] == BODY
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert refused(link) == 403


def test_a_link_ends_with_the_sharing(job: ExportJob, bob: User) -> None:
    job.shared_with.add(bob)
    url = services.download_url(bob, job)
    assert url is not None
    link = url.removeprefix("http://localhost")
    assert fetch(link)[1] == BODY
    job.shared_with.remove(bob)
    assert refused(link) == 404


def test_an_expired_or_deleted_file_is_not_served(link: str, job: ExportJob, folder: Path) -> None:
    ExportJob.objects.update(expires_at=timezone.now() - HOUR)
    assert refused(link) == 410
    ExportJob.objects.update(expires_at=timezone.now() + HOUR)
    services.delete_export(job, by=job.owner)
    assert not (folder / "exports" / "1" / "x.csv").exists()
    assert refused(link) == 404


def test_a_file_that_is_not_there_any_more_is_not_found(link: str, folder: Path) -> None:
    (folder / "exports" / "1" / "x.csv").unlink()
    assert refused(link) == 404


@pytest.mark.parametrize("key", ["../secret.txt", "/etc/passwd", "exports/../../secret.txt"])
def test_no_key_leads_out_of_the_folder(link: str, job: ExportJob, folder: Path, key: str) -> None:
    (folder.parent / "secret.txt").write_bytes(BODY)
    ExportJob.objects.update(file_key=key)
    response, body = fetch(link)
    assert response.status_code in (400, 404)
    assert BODY not in body


@pytest.mark.parametrize("name", ["..%2F..%2Fetc%2Fpasswd", "..", "anything.csv"])
def test_the_name_in_the_address_opens_nothing(link: str, name: str) -> None:
    response, body = fetch(link.replace(NAME, name))
    assert (response.status_code, body) in ((200, BODY), (404, body))


def test_with_s3_there_are_no_such_links(alice: User) -> None:
    job = make_job(alice, Status.COMPLETED)
    link = storage.signed_url(job.pk, alice.pk, job.file_name).removeprefix("http://localhost")
    assert refused(link) == 403


# With the other ways


def test_every_way_to_the_file_leads_over_such_a_link(job: ExportJob, alice: User, client: Client) -> None:
    token = downloads.make_token(job, alice).token
    client.force_login(alice)
    start = f"http://localhost/exports/{job.pk}/file/{NAME}?signature="
    shown = client.get(f"/api/v1/exports/{job.pk}/").json()["download_url"]
    by_login = client.get(f"/api/v1/exports/{job.pk}/download/")["Location"]
    by_page = client.get(f"/exports/{job.pk}/download/")["Location"]
    by_token = client.get(f"/api/v1/exports/{job.pk}/download/?token={token}")["Location"]
    for url in (shown, by_login, by_page, by_token):
        assert url.startswith(start)
        assert fetch(url.removeprefix("http://localhost"))[1] == BODY
    assert [event.data["via"] for event in ExportEvent.objects.order_by("id")] == ["login", "login", "token"]
