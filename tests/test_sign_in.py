"""Signing in under attack: who waits, who does not, and what an answer tells."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import redis
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import Client

from exportsite.signin import guard
from exportsite.signin.counters import Counters, Limit, LocalCounters, RedisCounters
from exportsite.signin.gate import Busy, Gate
from tests.conftest import make_user
from tests.web_pages import text
from tests.web_server import wait_until

ELSEWHERE = "203.0.113.9"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time stands still until a test moves it."""
    clock = Clock()
    monkeypatch.setattr(guard, "counters", LocalCounters(clock))
    return clock


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each password that was hashed."""
    done: list[str] = []
    encode = MD5PasswordHasher.encode

    def counted(self: MD5PasswordHasher, password: str, salt: str) -> str:
        done.append(password)
        return encode(self, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counted)
    return done


def send(client: Client, name: str, password: str, address: str = "198.51.100.7", path: str = "/login/") -> Any:
    return client.post(path, {"username": name, "password": password}, REMOTE_ADDR=address)


def test_waits_double_up_to_a_quarter_of_an_hour(client: Client, alice: User, clock: Clock) -> None:
    waits = []
    for _ in range(12):
        assert send(client, "alice", "wrong").status_code == 200
        refused = send(client, "alice", "alice")  # the right one too: nobody looked at it
        assert refused.status_code == 429
        waits.append(int(refused["Retry-After"]))
        clock.now += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    assert send(client, "alice", "alice").status_code == 302


def test_a_right_password_ends_the_waits_of_its_place(client: Client, alice: User, clock: Clock) -> None:
    for pause in (1, 2, 4):
        send(client, "alice", "wrong")
        clock.now += pause
    assert send(client, "alice", "alice").status_code == 302
    send(Client(), "alice", "wrong")
    assert send(Client(), "alice", "alice")["Retry-After"] == "1"


def test_an_address_waits_as_a_whole_after_ten_wrong_ones(client: Client, alice: User, clock: Clock) -> None:
    names = [f"name{n}" for n in range(11)]
    assert [send(client, name, "wrong").status_code for name in names] == [200] * 11
    assert send(client, "alice", "alice").status_code == 429
    assert send(client, "alice", "alice", ELSEWHERE).status_code == 302


def test_addresses_of_one_ipv6_network_count_together(client: Client, alice: User, clock: Clock) -> None:
    send(client, "alice", "wrong", "2001:db8:0:1::1")
    assert send(client, "alice", "alice", "2001:db8:0:1:ffff::2").status_code == 429
    assert send(client, "alice", "alice", "2001:db8:0:2::1").status_code == 302


def test_an_attacked_account_stays_open_to_its_browser_and_address(alice: User, clock: Clock) -> None:
    known, home = Client(), "192.0.2.1"
    assert send(known, "alice", "alice", home).status_code == 302
    known.post("/logout/")
    for n in range(4):
        assert send(Client(), "alice", "wrong", f"203.0.113.{n}").status_code == 200
    assert send(Client(), "alice", "alice", "192.0.2.77").status_code == 429  # neither is known
    assert send(known, "alice", "alice", "203.0.113.0").status_code == 302  # the browser, where the attack comes from
    assert send(Client(), "alice", "alice", home).status_code == 302  # the address


def test_a_known_browser_of_one_account_is_none_of_another(alice: User, bob: User, clock: Clock) -> None:
    browser = Client()
    send(browser, "bob", "bob")
    browser.post("/logout/")
    for n in range(4):
        send(Client(), "alice", "wrong", f"203.0.113.{n}")
    assert send(browser, "alice", "alice").status_code == 429


def test_a_known_browser_has_to_wait_for_its_own_wrong_ones(alice: User, clock: Clock) -> None:
    browser = Client()
    send(browser, "alice", "alice")
    browser.post("/logout/")
    send(browser, "alice", "wrong")
    assert send(browser, "alice", "alice", ELSEWHERE)["Retry-After"] == "1"


def test_the_cookie_names_nobody_and_no_script_reads_it(client: Client, alice: User, clock: Clock) -> None:
    cookie = send(client, "alice", "alice").cookies["known"]
    assert "alice" not in cookie.value
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Lax", 15_552_000)


def test_a_forged_cookie_opens_nothing(alice: User, clock: Clock) -> None:
    send(Client(), "alice", "wrong")
    forger = Client()
    forger.cookies["known"] = f"0123456789abcdef~{guard.digest('alice')}:1tAAAA:forged"
    assert send(forger, "alice", "alice").status_code == 429


@pytest.mark.parametrize("path", ["/login/", "/admin/login/"])
def test_no_answer_tells_whether_an_account_exists(path: str, alice: User, clock: Clock, hashes: list[str]) -> None:
    make_user("gone", is_active=False)
    nobody = User.objects.create(username="nobody-signs-in")
    nobody.set_unusable_password()
    nobody.save()
    hashes.clear()
    seen = set()
    for n, (name, password) in enumerate(
        [("alice", "wrong"), ("unknown", "wrong"), ("gone", "gone"), ("gone", "wrong"), ("nobody-signs-in", "wrong")]
    ):
        answer = send(Client(), name, password, f"203.0.113.{n}", path)
        assert len(hashes) == n + 1
        refused = send(Client(), name, password, f"203.0.113.{n}", path)
        assert len(hashes) == n + 1  # a refused attempt costs none
        assert "Too many attempts. Try again in 1 second." in text(refused)
        seen.add((answer.status_code, text(answer), refused.status_code, text(refused), refused["Retry-After"]))
    assert len(seen) == 1
    assert "The name or the password is not right." in text(answer)


def test_a_page_that_asks_for_the_password_again_is_bound_too(alice: User, clock: Clock) -> None:
    request = HttpRequest()
    request.META["REMOTE_ADDR"] = ELSEWHERE
    assert authenticate(request, username="alice", password="wrong") is None
    assert authenticate(request, username="alice", password="alice") is None
    clock.now += 1
    assert authenticate(request, username="alice", password="alice") == alice


def test_spellings_of_a_name_count_as_one(client: Client, alice: User, clock: Clock) -> None:
    send(client, "ALICE", "wrong")
    assert send(client, "alice", "alice").status_code == 429


def test_signing_in_changes_the_session_and_signing_out_ends_it(client: Client, alice: User, clock: Clock) -> None:
    client.session.save()
    session = client.session
    session["seen"] = "before"
    session.save()
    before = session.session_key
    send(client, "alice", "alice")
    assert client.session.session_key != before
    signed_in = client.cookies["sessionid"].value
    client.post("/logout/")
    client.cookies["sessionid"] = signed_in
    assert client.get("/exports/")["Location"] == "/login/?next=/exports/"


def test_nobody_is_sent_to_another_site(client: Client, alice: User, clock: Clock) -> None:
    form = {"username": "alice", "password": "alice", "next": "https://evil.example/"}
    assert client.post("/login/", form)["Location"] == "/exports/"


# The counters: one contract for both


@pytest.fixture(params=["redis", "local"])
def counters(request: pytest.FixtureRequest) -> Iterator[Counters]:
    if request.param == "local":
        yield LocalCounters()
        return
    prefix = f"test-{uuid4()}:"
    yield RedisCounters(settings.REDIS_URL, prefix)
    with redis.Redis.from_url(settings.REDIS_URL) as server:
        server.delete(*server.scan_iter(f"{prefix}*"), prefix)


def test_counts_begin_after_the_free_ones(counters: Counters) -> None:
    limit = Limit(key="a", free=3)
    assert [counters.take([limit]) for _ in range(5)] == [0, 0, 0, 0, 1]


def test_what_waits_for_one_limit_counts_for_none(counters: Counters) -> None:
    one, other = Limit(key="a"), Limit(key="b", free=1)
    assert [counters.take([one, other]) for _ in range(4)] == [0, 1, 1, 1]
    assert [counters.take([other]) for _ in range(2)] == [0, 1]


def test_many_at_once_are_not_let_through_together(counters: Counters) -> None:
    taken: list[int] = []
    threads = [threading.Thread(target=lambda: taken.append(counters.take([Limit(key="a")]))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [0, *[1] * 19]


def test_what_is_given_back_was_no_failure(counters: Counters) -> None:
    limit = Limit(key="a")
    for _ in range(3):
        assert counters.take([limit]) == 0
        counters.give_back([limit])
    assert [counters.take([limit]) for _ in range(2)] == [0, 1]
    counters.clear("a")
    assert counters.take([limit]) == 0


def test_known_addresses_are_remembered(counters: Counters) -> None:
    counters.remember("x")
    assert (counters.knows("x"), counters.knows("y")) == (True, False)


def test_web_processes_share_their_counts() -> None:
    prefix = f"test-{uuid4()}:"
    first, second = (RedisCounters(settings.REDIS_URL, prefix) for _ in range(2))
    assert (first.take([Limit(key="a")]), second.take([Limit(key="a")])) == (0, 1)
    first.clear("a")


def test_failures_are_forgiven_one_by_one(clock: Clock) -> None:
    counters, limit = LocalCounters(clock), Limit(key="a", free=2, forgive=60)
    assert [counters.take([limit]) for _ in range(4)] == [0, 0, 0, 1]
    clock.now += 60
    assert [counters.take([limit]) for _ in range(2)] == [0, 1]
    clock.now += 3_600
    assert [counters.take([limit]) for _ in range(4)] == [0, 0, 0, 1]


def test_while_redis_is_away_the_process_counts(
    client: Client, alice: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(guard, "counters", RedisCounters("redis://127.0.0.1:1/0"))
    assert send(client, "bob", "wrong").status_code == 200
    assert send(client, "bob", "wrong").status_code == 429
    assert send(client, "alice", "alice").status_code == 302
    assert caplog.text.count("Redis is away") == 1


# The gate


def test_a_full_gate_refuses_and_counts_no_failure(
    client: Client, alice: User, clock: Clock, monkeypatch: pytest.MonkeyPatch, hashes: list[str]
) -> None:
    gate = Gate(1)
    monkeypatch.setattr("exportsite.signin.backend.gate", gate)
    monkeypatch.setattr("exportsite.signin.backend.GATE_SECONDS", 0.01)
    hashes.clear()
    with gate.place(first=False, seconds=0):
        refused = send(client, "alice", "alice")
    assert (refused.status_code, refused["Retry-After"], hashes) == (429, "2", [])
    assert send(client, "alice", "alice").status_code == 302


def test_who_goes_first_passes_who_waits() -> None:
    gate, order = Gate(1), []

    def enter(first: bool) -> None:
        with gate.place(first=first, seconds=10):
            order.append(first)

    with gate.place(first=False, seconds=0):
        threads = [threading.Thread(target=enter, args=[first]) for first in (False, False, True)]
        for thread in threads:
            thread.start()
        wait_until(lambda: gate.waiting == 3)
    for thread in threads:
        thread.join()
    assert order == [True, False, False]


def test_only_so_many_wait() -> None:
    gate = Gate(1)
    gate.waiting = 16
    with pytest.raises(Busy), gate.place(first=False, seconds=10):
        pass
    with gate.place(first=True, seconds=10):
        pass
