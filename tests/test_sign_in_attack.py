"""Wrong passwords from twenty addresses against a real server, whose hashes cost what they cost in production."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import pytest
import redis
from django.conf import settings
from django.contrib.auth.models import User

from exportsite.signin.hashers import SignInHasher
from tests.web_server import WebServer, serve, wait_until

LONG = os.environ.get("LONG_ATTACK") == "1"
ATTEMPTS = 1_000 if LONG else 400
ADDRESSES = [f"127.0.7.{n}" for n in range(1, 21)]
PACE = float(os.environ.get("ATTACK_PACE", "0.4"))
"""Seconds between two attempts of an address; 0: as fast as the server answers, which a machine of its own endures."""
CSRF = "c" * 32


class Answer(NamedTuple):
    status: int
    seconds: float
    known: str
    """The cookie of a known browser."""


@pytest.fixture
def no_counts() -> Iterator[None]:
    """Before and after: the server counts in the Redis that all tests share."""
    with redis.Redis.from_url(settings.REDIS_URL) as server:
        for each in server.scan_iter("signin:*"):
            server.delete(each)
        yield
        for each in server.scan_iter("signin:*"):
            server.delete(each)


def send(server: WebServer, address: str, name: str, password: str, known: str = "") -> Answer:
    """From an address of this machine; the time is that of the whole request."""
    parts = urlsplit(server.url)
    body = urlencode({"username": name, "password": password, "csrfmiddlewaretoken": CSRF})
    cookie = f"csrftoken={CSRF}" + (f"; known={known}" if known else "")
    began = time.monotonic()
    client = HTTPConnection(str(parts.hostname), parts.port, timeout=30, source_address=(address, 0))
    client.request("POST", "/login/", body, {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie})
    response = client.getresponse()
    response.read()
    cookies = SimpleCookie("; ".join(response.headers.get_all("Set-Cookie") or []))
    client.close()
    return Answer(response.status, time.monotonic() - began, cookies["known"].value if "known" in cookies else "")


def attack(server: WebServer, address: str) -> Iterator[Answer]:
    """An address's share of the wrong passwords."""
    began = time.monotonic() + PACE * ADDRESSES.index(address) / len(ADDRESSES)  # they take turns
    for n in range(ATTEMPTS // len(ADDRESSES)):
        time.sleep(max(0.0, began + n * PACE - time.monotonic()))
        yield send(server, address, "alice", f"wrong-{n}")


def cpu_seconds(server: WebServer) -> float:
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.django_db(transaction=True)
def test_owner_and_others_sign_in_during_an_attack(no_counts: None, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("alice", "bob"):
        User.objects.create(username=name, password=SignInHasher().encode(name, "0123456789abcdefghijkl"))
    with serve() as server, ThreadPoolExecutor(20) as pool:
        known = send(server, "127.0.8.1", "alice", "alice").known
        began, used = time.monotonic(), cpu_seconds(server)
        answers: list[Answer] = []
        attackers = [pool.submit(lambda a: answers.extend(attack(server, a)), each) for each in ADDRESSES]
        wait_until(lambda: len(answers) >= 100, 60)
        other = send(server, "127.0.9.1", "bob", "bob")
        owner = send(server, ADDRESSES[0], "alice", "alice", known)
        assert len(answers) < ATTEMPTS  # it went on meanwhile
        for each in attackers:
            each.result()
        took, used = time.monotonic() - began, cpu_seconds(server) - used
    refused = [each.seconds for each in answers if each.status == 429]
    statuses = Counter(each.status for each in answers)
    middle, slow = median(refused) * 1000, quantiles(refused, n=20)[-1] * 1000
    with capsys.disabled():
        print(  # noqa: T201 - the figures are what the test is for
            f"\n{ATTEMPTS} wrong passwords from 20 addresses in {took:.1f} s: {statuses[200]} hashes, "
            f"{len(refused)} refused, p50 {middle:.0f} ms, p95 {slow:.0f} ms; {used:.1f} s of CPU; "
            f"another account {other.seconds:.2f} s, the owner {owner.seconds:.2f} s"
        )
    assert set(statuses) == {200, 429}
    assert statuses[200] <= 12  # four at once, then one after 1, 2, 4 … seconds
    assert (other.status, owner.status) == (302, 302)
    if LONG:  # the short one shares its machine with whatever else runs: it shows who signs in, not how fast
        assert max(other.seconds, owner.seconds) < 3  # below 1 on a quiet machine; the figures above say
