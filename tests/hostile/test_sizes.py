"""Bodies beyond the bound: on this site wherever they are sent to, in another project where our views are."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from tests.web_server import WebServer, serve

MOST_BYTES = 1_114_112  # 1 MiB and 64 KiB
MIB = 1_048_576
REFUSAL = {"code": "too_large", "detail": "The request has more than 1,048,576 bytes."}
PATHS = ["/login/", "/admin/login/", "/api/v1/exports/", "/exports/new/customers/", "/health/", "/nowhere"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spool")


@pytest.fixture(scope="module")
def server(django_db_setup: None, django_db_blocker: Any, folder: Path) -> Iterator[WebServer]:
    """A site that keeps whatever it keeps of bodies in ``folder``."""
    with django_db_blocker.unblock(), serve(TMPDIR=str(folder)) as running:
        yield running


def send_chunks(server: WebServer, where: str, mebibytes: int) -> bytes:
    """What a client reads that sends a body in chunks until it is hung up on."""
    with server.connect() as client:
        client.sendall(f"POST {where} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        piece = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
        try:
            for _ in range(mebibytes * 16):
                client.sendall(piece)
            client.sendall(b"0\r\n\r\n")
        except OSError:
            pass  # it hung up
        return read(client)


def read(client: socket.socket) -> bytes:
    found = b""
    try:
        while piece := client.recv(65_536):
            found += piece
    except ConnectionResetError:
        pass
    return found


@pytest.mark.parametrize("where", PATHS)
def test_a_body_that_says_it_is_larger_is_not_read(server: WebServer, where: str) -> None:
    with server.connect() as client:
        head = f"POST {where} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MOST_BYTES + 1}\r\n\r\n"
        client.sendall(head.encode())
        answer = read(client)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'{"code": "too_large", "detail": "The request has more than 1,048,576 bytes."}' in answer


@pytest.mark.parametrize("where", PATHS)
def test_a_body_of_the_bounds_size_is_the_views_to_judge(server: WebServer, where: str) -> None:
    answer = requests.post(f"{server.url}{where}", b"x" * MOST_BYTES, timeout=30, allow_redirects=False)
    assert answer.status_code in (302, 400, 401, 403, 404, 405, 413)
    assert answer.headers.get("X-Request-ID"), "the site answered, not the bound in front of it"


def test_two_hundred_megabytes_in_chunks_leave_disk_and_memory_as_they_were(server: WebServer, folder: Path) -> None:
    for where in PATHS:
        requests.get(f"{server.url}{where}", timeout=30)
    before = server.memory
    answers = [send_chunks(server, where, mebibytes=200) for where in PATHS]
    assert server.memory - before < 12  # MiB: of a bound of 1.06, and what the interpreter keeps
    assert list(folder.iterdir()) == []
    assert all(answer == b"" or answer.startswith(b"HTTP/1.1 413 ") for answer in answers)
    assert requests.get(f"{server.url}/health/", timeout=30).json() == {"status": "ok"}


def test_a_client_that_sends_all_before_it_reads_is_told(server: WebServer) -> None:
    answer = requests.post(f"{server.url}/api/v1/exports/", b"x" * (4 * MIB), timeout=30)
    assert (answer.status_code, answer.json()) == (413, REFUSAL)


# Another project, without the site's layer


@csrf_exempt
def upload(request: HttpRequest) -> HttpResponse:
    file = request.FILES["file"]
    assert isinstance(file, UploadedFile)
    return HttpResponse(str(file.size))


urlpatterns = [
    path("upload/", upload),
    *(path(f"{name}/", upload, name=name) for name in ("login", "logout", "docs", "schema")),
    path("exports/", include("exports_app.web.urls")),
    path("api/v1/", include("exports_app.api.urls")),
]


@pytest.fixture
def another_project(db: None, settings: Any, folder: Path) -> None:
    settings.ROOT_URLCONF = __name__
    settings.FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]
    settings.FILE_UPLOAD_TEMP_DIR = str(folder)
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440  # Django's default


def test_an_upload_of_fifty_megabytes_to_the_projects_own_view_is_untouched(another_project: None) -> None:
    file = SimpleUploadedFile("big.bin", b"x" * (50 * MIB))
    assert Client().post("/upload/", {"file": file}).content == b"52428800"


@pytest.mark.parametrize(("where", "kind"), [("/exports/", "text/html"), ("/api/v1/exports/", "application/json")])
def test_our_views_there_refuse_a_larger_body_unread(another_project: None, where: str, kind: str) -> None:
    answer = Client().post(where, b"x" * (MOST_BYTES + 1), content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, answer["Content-Type"].partition(";")[0]) == (413, kind)
    assert b"The request has more than 1,048,576 bytes." in answer.content


@pytest.mark.django_db(transaction=True)
def test_they_do_so_of_chunks_that_djangos_asgi_handler_has_kept(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__

    async def ask() -> int:
        headers = [(b"host", b"localhost"), (b"content-type", b"text/plain"), (b"transfer-encoding", b"chunked")]
        scope = {"type": "http", "method": "POST", "path": "/exports/", "query_string": b"", "headers": headers}
        communicator: Any = ApplicationCommunicator
        site = communicator(ASGIHandler(), scope)
        for more in (True, False):
            await site.send_input({"type": "http.request", "body": b"x" * MOST_BYTES, "more_body": more})
        status: int = (await site.receive_output(10))["status"]
        await site.receive_output(10)
        await site.wait(10)  # it closes what it kept
        return status

    assert async_to_sync(ask)() == 413


def test_a_file_sent_to_one_of_our_forms_is_kept_nowhere(another_project: None, alice: User, folder: Path) -> None:
    client = Client()
    client.force_login(alice)
    kept: list[str] = []

    class Seen(SimpleUploadedFile):
        def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
            kept.extend(each.name for each in folder.iterdir())
            return super().chunks(chunk_size)

    answer = client.post("/exports/new/customers/", {"format": "csv", "file": Seen("x.bin", b"x" * MIB)})
    assert answer.status_code == 400
    assert (kept, list(folder.iterdir())) == ([], [])


def test_a_form_of_another_origin_is_refused_as_before(another_project: None, alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.post("/exports/new/customers/", {"format": "csv"}).status_code == 403
    page = client.get("/exports/new/customers/")
    token = page.context["csrf_token"]
    assert client.post("/exports/new/customers/", {"csrfmiddlewaretoken": str(token)}).status_code == 400
