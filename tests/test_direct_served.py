"""Downloads through a real web server: the first bytes, memory, clients that are slow or leave, and many at once."""

from __future__ import annotations

import http.client
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from django.db.models.functions import Now

from exports_app import lifecycle
from exports_app.models import ExportJob
from exportsite.samples.models import Customer
from tests.api_keys.making import make_key
from tests.jobs import fill_customers
from tests.web_server import WebServer, serve, source_connections, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

BODY = {"resource": "customers"}
MEMORY_MIB = 40
"""What a few streams may hold: chunks, their encoded bytes, and the pipe."""


@pytest.fixture
def server(transactional_db: None) -> Iterator[WebServer]:
    with serve(EXPORTS_RATE="", EXPORTS_MAX_ACTIVE="5") as running:
        yield running


@pytest.fixture
def headers(alice: User) -> dict[str, str]:
    return {"Authorization": f"Bearer {make_key(alice)}"}


def download(server: WebServer, headers: dict[str, str], **body: Any) -> requests.Response:
    return requests.post(
        f"{server.url}/api/v1/exports/download/", json=BODY | body, headers=headers, stream=True, timeout=30
    )


def ask(server: WebServer, headers: dict[str, str], **body: Any) -> Any:
    """A slow client's socket that has sent its request."""
    data = json.dumps(BODY | body).encode()
    head = [
        "POST /api/v1/exports/download/ HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: {headers['Authorization']}",
        "Content-Type: application/json",
        f"Content-Length: {len(data)}",
    ]
    plain = server.connect(buffer=4_096)
    plain.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + data)
    return plain


def begin(server: WebServer, headers: dict[str, str], **body: Any) -> Any:
    """A slow client's socket that has read the head of the answer and the first bytes."""
    plain = ask(server, headers, **body)
    assert plain.recv(1_000).startswith(b"HTTP/1.1 200 OK")
    return plain


def test_100_000_rows_begin_while_they_are_read(server: WebServer, headers: dict[str, str]) -> None:
    fill_customers(100_000)
    slow = begin(server, headers)  # has the first bytes, and takes no more
    job = ExportJob.objects.get()
    assert (job.strategy, job.status, job.row_count) == ("stream", "running", None)
    assert source_connections() in (1, 2)  # that which counts the rows may be there
    slow.close()
    wait_until(lambda: source_connections() == 0)


def test_100_000_rows_leave_the_memory_flat(server: WebServer, headers: dict[str, str]) -> None:
    fill_customers(100_000)
    sizes: set[int] = set()

    def fetch() -> None:
        with download(server, headers) as response:
            assert response.headers["X-Export-Strategy"] == "stream"
            sizes.add(sum(len(piece) for piece in response.iter_content(65_536)))

    fetch()  # the server imports what it needs
    before = peak = server.memory
    for _ in range(9):
        fetch()
        peak = max(peak, server.memory)
    assert peak - before < MEMORY_MIB
    assert {job.row_count for job in ExportJob.objects.all()} == {100_000}
    assert sizes == {job.file_size for job in ExportJob.objects.all()}


def test_a_client_that_leaves_frees_the_connection(server: WebServer, headers: dict[str, str]) -> None:
    fill_customers(100_000)
    slow = begin(server, headers)
    assert source_connections() in (1, 2)  # that which counts the rows may be there
    assert ExportJob.objects.get().status == "running"
    slow.close()
    wait_until(lambda: source_connections() == 0, 3)
    wait_until(lambda: ExportJob.objects.get().status == "cancelled", 3)


def test_a_client_that_leaves_before_the_first_byte_is_not_waited_for(
    server: WebServer, headers: dict[str, str]
) -> None:
    fill_customers(100_000)
    ask(server, headers).close()
    wait_until(lambda: ExportJob.objects.filter(status="cancelled").exists())
    assert source_connections() == 0


def test_a_slow_client_gets_the_whole_file_and_the_job_knows_how_far_it_is(
    server: WebServer, headers: dict[str, str]
) -> None:
    fill_customers(100_000)
    slow = begin(server, headers)
    wait_until(lambda: ExportJob.objects.get().rows_done > 0)
    assert ExportJob.objects.get().rows_done < 100_000
    lease = ExportJob.objects.get().lease_expires_at
    wait_until(lambda: ExportJob.objects.get().lease_expires_at != lease)
    tail = b""
    while not tail.endswith(b"\r\n0\r\n\r\n"):
        data = slow.recv(1_048_576)
        assert data, "the connection ended before the last chunk"
        tail = (tail + data)[-100:]
    assert (ExportJob.objects.get().status, ExportJob.objects.get().row_count) == ("completed", 100_000)
    slow.close()


def test_a_cancelled_stream_breaks_the_connection(server: WebServer, headers: dict[str, str]) -> None:
    fill_customers(100_000)
    with download(server, headers) as response:
        pieces = response.iter_content(1_024)
        next(pieces)
        assert lifecycle.cancel(response.headers["X-Export-Id"])
        wait_until(lambda: source_connections() == 0)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            list(pieces)
    assert ExportJob.objects.get().status == "cancelled"


def test_a_killed_server_leaves_no_job_running(server: WebServer, headers: dict[str, str]) -> None:
    fill_customers(100_000)
    slow = begin(server, headers)
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    slow.close()
    wait_until(lambda: source_connections() == 0)
    assert lifecycle.take_back_lost() == []  # its lease is not over yet
    ExportJob.objects.update(lease_expires_at=Now() - timedelta(days=1))  # also where the database began just now
    [job] = lifecycle.take_back_lost()
    assert (job.status, job.error_code) == ("failed", "worker_lost")


def in_parallel(
    times: int, server: WebServer, path: str, headers: dict[str, str], body: Any
) -> list[requests.Response]:
    def post(_: int) -> requests.Response:
        return requests.post(f"{server.url}{path}", json=body, headers=headers, timeout=30)

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(post, range(times)))


def test_20_parallel_posts_of_one_user_against_a_limit_of_5(server: WebServer, headers: dict[str, str]) -> None:
    answers = in_parallel(20, server, "/api/v1/exports/", headers, BODY)
    assert Counter(answer.status_code for answer in answers) == {202: 5, 429: 15}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 429} == {"throttled"}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers if answer.status_code == 429)
    assert ExportJob.objects.count() == 5


def test_20_parallel_posts_against_an_hourly_rate(headers: dict[str, str]) -> None:
    with serve(EXPORTS_RATE="7/hour", EXPORTS_MAX_ACTIVE="0") as limited:
        answers = in_parallel(20, limited, "/api/v1/exports/", headers, BODY)
    assert Counter(answer.status_code for answer in answers) == {202: 7, 429: 13}
    waits = [int(answer.headers["Retry-After"]) for answer in answers if answer.status_code == 429]
    assert 3_500 < min(waits) <= max(waits) <= 3_600
    assert ExportJob.objects.count() == 7


def test_20_parallel_posts_with_one_idempotency_key_make_one_job(server: WebServer, headers: dict[str, str]) -> None:
    fill_customers(3)
    answers = in_parallel(20, server, "/api/v1/exports/", headers | {"Idempotency-Key": "the same"}, BODY)
    assert Counter(answer.status_code for answer in answers) == {202: 1, 200: 19}
    assert ExportJob.objects.count() == 1


def test_20_parallel_downloads_with_one_idempotency_key_make_one_file(
    server: WebServer, headers: dict[str, str]
) -> None:
    """Or one job, where so many wait for an estimate at once that the quickest of them goes on without."""
    fill_customers(3)
    answers = in_parallel(20, server, "/api/v1/exports/download/", headers | {"Idempotency-Key": "the same"}, BODY)
    by_status = Counter(answer.status_code for answer in answers)
    made_here = ExportJob.objects.get().strategy == "direct"
    assert by_status == ({200: 1, 409: 19} if made_here else {202: 1, 200: 19})


def test_an_old_client_gets_a_length(server: WebServer, headers: dict[str, str]) -> None:
    """HTTP/1.0, which proxies still speak to what is behind them, cannot say that a file broke off."""
    fill_customers(10_000)
    plain = server.connect()
    data = json.dumps(BODY).encode()
    plain.sendall(
        b"POST /api/v1/exports/download/ HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        + f"Authorization: {headers['Authorization']}\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        + data
    )
    response = http.client.HTTPResponse(plain)
    response.begin()
    assert len(response.read()) == int(response.headers["Content-Length"]) == ExportJob.objects.get().file_size
    assert response.headers["X-Export-Strategy"] == "direct"
    assert Customer.objects.count() == ExportJob.objects.get().row_count
    plain.close()


def test_a_body_that_is_sent_in_chunks_is_read(server: WebServer, headers: dict[str, str]) -> None:
    def send(*pieces: bytes) -> requests.Response:
        sent = headers | {"Content-Type": "application/json"}
        return requests.post(f"{server.url}/api/v1/exports/", data=iter(pieces), headers=sent, timeout=30)

    assert send(b'{"resource": ', b'"customers"}').status_code == 202
    assert send(*[b"x" * 65_536] * 17).status_code == 413
