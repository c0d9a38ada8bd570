"""Clients of Redis, Celery's among them, behind sentinels, at a server that stops being the master, and by TLS."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

import kombu
import pytest
import redis
from django.contrib.auth.models import User

from exports_app import live, presence, redis_clients, redis_urls
from exports_app.api import hub
from exportsite.signin.counters import Limit, RedisCounters
from exportsite.stack import sentinels
from exportsite.stack.ports import HOST
from exportsite.stack.sentinels import Group, until
from tests.api_keys.making import make_key
from tests.event_streams import in_thread, open_stream, run
from tests.jobs import claim, make_job
from workers import broker  # noqa: F401 - mends the transport

TIMEOUTS: dict[str, Any] = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    with sentinels.started(tmp_path_factory.mktemp("sentinels")) as group:
        yield group


@pytest.fixture
def configured(group: Group, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The engine behind the sentinels."""
    clients = presence._client, live._client
    settings.REDIS_URL = group.url
    monkeypatch.setattr(live, "_line", live._Line())
    for each in clients:
        each.cache_clear()
    yield
    for each in clients:
        each().close()
        each.cache_clear()


def connection(url: str) -> kombu.Connection:
    address, options = redis_urls.broker(url)
    return kombu.Connection(address, transport_options={**TIMEOUTS, "unacked_restore_interval": 10, **options})


def change_master(group: Group) -> None:
    """The old one lives on as a replica that takes no writes."""
    group.hand_over()


def lose_master(group: Group) -> None:
    """The old one is gone without a word, and comes back as a replica."""
    before = group.master()
    group.kill_master()
    group.bring_back(before)


LONG = pytest.mark.skipif(not os.environ.get("REDIS_FAILOVER"), reason="REDIS_FAILOVER=1 runs it")
CHANGES = [lose_master, pytest.param(change_master, marks=LONG)]
"""Sentinels look after a server that lives on every ten seconds alone."""


AWAY = (redis.ConnectionError, redis.TimeoutError, kombu.exceptions.OperationalError)


def works(act: Callable[[], Any]) -> bool:
    try:
        act()
    except AWAY:
        return False
    return True


@pytest.mark.parametrize("change", CHANGES)
def test_presence_and_attempts_to_sign_in_follow_the_master(
    group: Group, configured: None, change: Callable[[Group], None]
) -> None:
    counters = RedisCounters(group.url, "test:")
    presence.say("one@here", ["exports"])
    counters.remember("key")
    change(group)
    until(lambda: works(lambda: presence.say("two@here", ["maintenance"])))
    until(lambda: "maintenance" in presence.served_queues())

    def is_remembered() -> bool:
        counters._away_until = 0.0
        counters.remember("other")
        with group.server(group.master()) as master:
            return bool(master.exists("test:other"))

    until(is_remembered)


@pytest.mark.parametrize("change", CHANGES)
def test_the_broker_follows_the_master(group: Group, change: Callable[[Group], None]) -> None:
    name = f"test-{change.__name__}"
    with connection(group.url) as broker_, broker_.SimpleQueue(name) as queue:
        queue.put("before")
        assert queue.get(timeout=5).payload == "before"
        change(group)
        epoch = group.epoch()
        until(lambda: works(lambda: queue.put("after")))
    with connection(group.url) as broker_, broker_.SimpleQueue(name) as queue:
        try:
            message = queue.get(timeout=30)
        except Empty:  # lost with a master, which is promised to nobody; where none was lost, neither is a message
            assert group.epoch() != epoch
        else:
            message.ack()
            assert message.payload in ("before", "after")  # the first comes again where its end was not heard

    def is_heard() -> bool:
        """What is sent now: a message of before may be lost with a master, and where its end was, it comes again."""
        with suppress(Empty, *AWAY), connection(group.url) as broker_, broker_.SimpleQueue(name) as queue:
            queue.put("now")
            while True:
                message = queue.get(timeout=5)
                message.ack()
                if message.payload == "now":
                    return True
        return False

    until(is_heard)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", CHANGES)
def test_live_progress_is_heard_again_behind_another_master(
    group: Group, configured: None, alice: User, monkeypatch: pytest.MonkeyPatch, change: Callable[[Group], None]
) -> None:
    monkeypatch.setattr(live, "PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr(live, "SILENT_SECONDS", 0.0)
    job, token = make_job(alice), {"Authorization": f"Bearer {make_key(alice)}"}

    async def main() -> None:
        async with open_stream(f"/api/v1/exports/{job.pk}/events/", token) as stream:
            assert (await stream.next()).type == "snapshot"
            taken = await in_thread(claim)
            assert (await stream.past("status")).status == "running"
            report = live.Reporter(taken.pk, taken.claim).report
            assert hub.of_this_loop().hears_redis
            await in_thread(lambda: report(rows=11, bytes=110, rows_per_second=1.0))
            assert (await stream.past("progress")).data["progress"]["rows"] == 11
            await asyncio.to_thread(change, group)

            async def tell() -> None:
                while True:
                    await in_thread(lambda: report(rows=22, bytes=220, rows_per_second=1.0))
                    await asyncio.sleep(0.1)

            teller = asyncio.create_task(tell())
            assert (await stream.past("progress")).data["progress"]["rows"] == 22
            teller.cancel()

    run(main)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[redis.Redis, str]]:
    """One server without sentinels, and its URL; in the test it becomes a replica of nobody, and back."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sentinels.binary(), "--port", str(port), "--bind", HOST, "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    with redis.Redis(HOST, port) as operator:
        until(operator.ping)
        yield operator, f"redis://{HOST}:{port}/0"
    process.kill()
    process.wait()


def test_a_server_that_turns_read_only_costs_a_connection_and_no_client(pair: tuple[redis.Redis, str]) -> None:
    operator, url = pair
    with redis_clients.connect(url, **TIMEOUTS) as client:
        client.set("a", 1)
        before = client.client_id()
        operator.slaveof(HOST, 1)
        with pytest.raises(redis.ConnectionError, match="This Redis is read-only; it was the master before"):
            client.set("a", 2)
        operator.slaveof()
        client.set("a", 3)
        assert client.client_id() != before


def test_a_worker_that_waits_for_work_there_makes_its_connection_anew(pair: tuple[redis.Redis, str]) -> None:
    operator, url = pair
    with connection(url) as broker_, broker_.SimpleQueue("test-read-only") as queue:
        queue.put("before")
        queue.get(timeout=5).ack()
        threading.Timer(0.5, operator.slaveof, (HOST, 1)).start()
        with pytest.raises(broker_.connection_errors):  # Celery connects again after these, and ends after others
            queue.get(timeout=10)
        with pytest.raises(broker_.connection_errors):
            queue.put("refused")
        operator.slaveof()
    with connection(url) as broker_, broker_.SimpleQueue("test-read-only") as queue:
        queue.put("after")
        assert queue.get(timeout=5).payload == "after"


@pytest.fixture
def by_tls(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Port of a server that speaks TLS alone, and the certificate that it shows."""
    server = shutil.which("redis-server")
    if server is None or shutil.which("openssl") is None:
        pytest.skip("Debian's redis-server, which speaks TLS, or openssl is not installed.")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*request, *names], check=True, capture_output=True)
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    tls = ["--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-auth-clients", "no"]
    command = [server, "--port", "0", "--tls-port", str(port), "--bind", HOST, "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen([*command, *tls], stdout=subprocess.DEVNULL)
    with redis.Redis(HOST, port, ssl=True, ssl_cert_reqs="none") as operator:
        until(operator.ping)
    yield port, certificate
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    ("demand", "reached"),
    [
        ("?ssl_cert_reqs=CERT_NONE", True),
        ("?ssl_cert_reqs=none", True),
        ("?ssl_cert_reqs=CERT_REQUIRED&ssl_ca_certs={certificate}", True),
        ("?ssl_cert_reqs=required&ssl_ca_certs={certificate}", True),
        ("?ssl_cert_reqs=CERT_REQUIRED", False),
        ("", False),
    ],
)
def test_every_client_reads_demands_on_certificates_in_either_spelling(
    by_tls: tuple[int, Path], settings: Any, demand: str, reached: bool
) -> None:
    port, certificate = by_tls
    settings.REDIS_URL = url = f"rediss://{HOST}:{port}/0{demand.format(certificate=certificate)}"

    def asynchronously() -> None:
        async def ask() -> None:
            async with redis_clients.listening(**TIMEOUTS) as client:
                await client.ping()

        asyncio.run(ask())

    def by_celery() -> None:
        with connection(url) as broker_, broker_.SimpleQueue("test-tls") as queue:
            queue.put("word")

    with redis_clients.connect(**TIMEOUTS) as client:
        asks: list[Callable[[], Any]] = [client.ping, asynchronously, by_celery]
        assert [works(each) for each in asks] == [reached] * 3


def test_a_limit_of_attempts_holds_behind_sentinels(group: Group) -> None:
    counters, limit = RedisCounters(group.url, f"test:{time.monotonic()}:"), Limit(key="a", free=1)
    assert [counters.take([limit]), counters.take([limit]), counters.take([limit])] == [0, 0, 1]
