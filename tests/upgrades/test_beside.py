"""A site of the last release goes on working while it is migrated and after it; then this release takes over."""

from __future__ import annotations

import csv
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import pytest
import requests
from standardwebhooks import Webhook

from tests.receiver import Receiver
from tests.upgrades.releases import Scene, scene
from tests.web_server import wait_until

pytestmark = pytest.mark.skipif(not os.environ.get("UPGRADES"), reason="`make test-full` upgrades a site (UPGRADES=1)")

ROWS = 200_000
PRESET = {"resource": "tags", "format": "csv"}
SMALL = {**PRESET, "limit": 100}
LARGE = {"resource": "transactions", "format": "csv"}
ROUNDS = 5
"""Of every kind of request by the last release, after the migration."""
ENDED = ("completed", "cancelled")
STATUSES = "SELECT id::text, status FROM exports_app_exportjob"
FAIL = "UPDATE exports_app_exportjob SET status = 'failed', error_code = 'internal', completed_at = now() WHERE id = %s"
DELETE_USER = """
from django.contrib.auth.models import User
User.objects.get(username="gone").delete()
"""
MAKE_USER = """
from django.contrib.auth.models import User
from exports_app.models import ExportJob
user = User.objects.create(username="gone")
ExportJob.objects.create(owner=user, resource="tags", format="csv", file_name="a.csv", status="cancelled")
"""


@dataclass
class Client:
    """Somebody with a token; each answer that nobody should get is kept."""

    url: str
    token: str
    bad: list[str] = field(default_factory=list)

    def call(
        self, method: str, path: str, body: Any = None, *, expected: tuple[int, ...] = (200, 201, 202, 204)
    ) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        url = path if path.startswith("http") else urljoin(f"{self.url}/api/v1/", path)
        answer = requests.request(method, url, json=body, headers=headers, timeout=60)
        if answer.status_code not in expected:
            self.bad.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json() if "json" in answer.headers.get("Content-Type", "") else answer.content

    def make(self, **body: Any) -> str:
        return str(self.call("POST", "exports/", body)["id"])

    def status(self, job: str) -> str:
        return str(self.call("GET", f"exports/{job}/")["status"])

    def follow(self, link: str) -> Any:
        """A one-time link, without a login."""
        stranger = Client(self.url, "", self.bad)
        return stranger.call("GET", urlunsplit(("", "", *urlsplit(link)[2:])))

    def file(self, job: str) -> bytes:
        content = self.call("GET", f"exports/{job}/download/")
        assert isinstance(content, bytes), content
        return content


class Traffic(threading.Thread):
    """Every kind of request, over and over: all of them shall work."""

    def __init__(self, client: Client, shared: str) -> None:
        super().__init__()
        self.client = client
        self.shared = shared
        self.rounds = 0
        self.stop = threading.Event()
        self.jobs: list[str] = []
        self.failed: list[BaseException] = []

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self.round()
                self.rounds += 1
        except Exception as error:
            self.failed.append(error)

    def round(self) -> None:
        call = self.client.call
        made, ended = self.client.make(**SMALL), self.client.make(**SMALL)
        self.jobs += [made, ended]
        call("POST", f"exports/{ended}/cancel/", expected=(200, 202, 409))
        call("GET", "exports/")
        call("POST", "exports/download/", SMALL)
        wait_until(lambda: self.client.status(made) == "completed", 60)
        self.client.file(made)
        link = call("POST", f"exports/{made}/token/")["download_url"]
        assert self.client.follow(link) == self.client.file(made)
        call("GET", f"exports/{made}/downloads/")
        preset = call("POST", "presets/", {"name": f"of round {self.rounds}", **PRESET})
        call("DELETE", f"presets/{preset['id']}/")
        webhook = call("POST", "webhooks/", {"url": "http://127.0.0.1:9/"})
        call("DELETE", f"webhooks/{webhook['id']}/")
        call("DELETE", f"exports/{ended}/", expected=(204, 409))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Scene]:
    with scene(
        tmp_path,
        EXPORTS_RATE="",
        EXPORTS_MAX_ACTIVE="0",
        EXPORTS_LEASE_SECONDS="6",
        EXPORTS_SWEEP_SECONDS="5",
        EXPORTS_PART_SIZE=str(5 * 1_048_576),
        EXPORTS_CHUNK_ROWS="2000",
        EXPORTS_WEBHOOK_ALLOW_PRIVATE="1",
    ) as made:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@dataclass
class Before:
    """What the last release left."""

    tokens: dict[str, str]
    completed: str
    content: bytes
    failed: str
    cancelled: str
    link: str
    preset: str
    secret: str


def fill(place: Scene, client: Client, tokens: dict[str, str], hook: str) -> Before:
    """Something of everything, by the last release."""
    secret = client.call("POST", "webhooks/", {"url": hook})["secret"]
    preset = client.call("POST", "presets/", {"name": "mine", **PRESET, "shared_with": ["bob"]})["id"]
    completed = client.make(**SMALL, shared_with=["bob"], notify={"webhooks": True})
    failed = client.make(**SMALL)
    cancelled = client.make(**LARGE)
    client.call("POST", f"exports/{cancelled}/cancel/")
    wait_until(lambda: {client.status(each) for each in (completed, failed)} == {"completed"}, 60)
    with place.connect() as connection:
        connection.execute(FAIL, [failed])
    link = client.call("POST", f"exports/{completed}/token/")["download_url"]
    return Before(tokens, completed, client.file(completed), failed, cancelled, link, preset, secret)


def parts_of(place: Scene, job: str) -> int:
    return int(place.rows("SELECT count(*) FROM exports_app_exportpart WHERE job_id = %s", job)[0][0])


def test_the_last_release_works_beside_the_migration_and_this_one_takes_over(place: Scene, receiver: Receiver) -> None:
    tokens = json.loads(place.old.manage("demo_users", "--tokens").splitlines()[-1])
    place.old.manage("load_samples", "--rows", str(ROWS))
    place.old.manage("shell", "-c", MAKE_USER)
    client = Client(place.old.start_web("old-web"), tokens["demo"])
    worker = place.old.start_worker("old-worker")
    before = fill(place, client, tokens, receiver.url)

    traffic = Traffic(client, before.completed)
    traffic.start()
    try:
        wait_until(lambda: traffic.rounds or traffic.failed, 60)
        place.new.manage("migrate", "--noinput")
        migrated = traffic.rounds
        wait_until(lambda: traffic.rounds >= migrated + ROUNDS or traffic.failed, 120)
    finally:
        traffic.stop.set()
        traffic.join()
    assert (client.bad, traffic.failed) == ([], [])
    place.old.manage("prune_exports")
    place.old.manage("shell", "-c", DELETE_USER)
    statuses = dict(place.rows(STATUSES))
    assert {statuses[each] for each in traffic.jobs} <= {*ENDED}
    assert [each for each in place.rows(STATUSES) if each[1] == "failed"] == [(before.failed, "failed")]

    cut = client.make(**LARGE)
    wait_until(lambda: parts_of(place, cut) >= 2, 60)
    worker.kill()
    kill_children(worker.pid)
    queued = client.make(**SMALL, notify={"webhooks": True})
    take_over(place, before, cut, queued, receiver)


def kill_children(parent: int) -> None:
    """Of a worker that was killed; they end by themselves, a moment later."""
    wait_until(lambda: not Path(f"/proc/{parent}/task").exists() or not _children(parent), 20)


def _children(parent: int) -> list[str]:
    return (Path(f"/proc/{parent}/task/{parent}/children")).read_text().split()


def fetched_by(client: Client, job: str) -> set[str]:
    return {each["by"] for each in client.call("GET", f"exports/{job}/downloads/")["results"]}


def take_over(place: Scene, before: Before, cut: str, queued: str, receiver: Receiver) -> None:
    """This release's workers, then its web; everything of before is there."""
    deliveries = len(receiver.received)
    place.new.start_worker("new-worker")
    place.new.start_beat("new-beat")
    client = Client(place.new.start_web("new-web"), before.tokens["demo"])
    wait_until(lambda: (client.status(cut), client.status(queued)) == ("completed", "completed"), 120)
    kinds = place.rows("SELECT kind FROM exports_app_exportevent WHERE job_id = %s ORDER BY id", cut)
    assert ("resumed",) in kinds
    assert place.rows("SELECT upload_number FROM exports_app_exportjob WHERE id = %s", cut) == [(1,)]
    assert sum(1 for _ in csv.reader(StringIO(client.file(cut).decode()))) == ROWS + 1
    assert client.file(before.completed) == before.content
    assert [client.status(each) for each in (before.failed, before.cancelled)] == ["failed", "cancelled"]
    wait_until(lambda: len(receiver.received) > deliveries)
    got = receiver.received[-1]
    Webhook(before.secret).verify(got.body, got.headers)
    assert client.follow(before.link) == before.content
    bob = Client(client.url, before.tokens["bob"], client.bad)
    assert bob.status(before.completed) == "completed"
    assert bob.call("GET", f"presets/{before.preset}/")["name"] == "mine"
    assert fetched_by(client, before.completed) == {"demo"}
    place.new.manage("prune_exports")
    assert place.rows("SELECT id FROM exports_app_exportevent WHERE data ? 'by'") == []
    assert fetched_by(client, before.completed) == {"demo"}
    listed: list[str] = []
    page = client.call("GET", "exports/")
    while True:
        listed += [each["id"] for each in page["results"]]
        if not page["next"]:
            break
        page = client.call("GET", page["next"])
    mine = place.rows(
        "SELECT job.id::text FROM exports_app_exportjob AS job JOIN auth_user ON auth_user.id = owner_id"
        " WHERE username = 'demo' AND deleted_at IS NULL"
    )
    assert sorted(listed) == sorted(each for (each,) in mine)
    assert client.bad == []
