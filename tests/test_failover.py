"""The Redis behind a whole site is killed amid ten exports and their streams, and its sentinels name another.

With ``REDIS_FAILOVER=1`` alone: it starts a stack and takes a minute or two.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from exportsite.stack import sentinels

pytestmark = pytest.mark.skipif(not os.environ.get("REDIS_FAILOVER"), reason="REDIS_FAILOVER=1 runs it")

PROJECT = Path(__file__).resolve().parents[1]
ROWS = 400_000
EXPORTS = 10
PATIENCE = 240.0
HEARD_SECONDS = 12.0
"""Ten until progress is heard again (docs/operations.md), and what the report itself may take."""
OWN = ("DATABASE_URL", "REDIS_URL", "AWS_ENDPOINT_URL_S3")
TELL = 'env -0 > "$0.new" && mv "$0.new" "$0" && exec sleep 1000'


@dataclass
class Site:
    """A whole stack, as one client sees it."""

    env: dict[str, str]

    def ask(self, method: str, path: str, **options: Any) -> Any:
        answer = requests.request(
            method,
            self.env["EXPORTSITE_URL"] + path,
            headers={"Authorization": f"Bearer {self.env['EXPORTSITE_TOKEN']}"},
            timeout=30,
            **options,
        )
        answer.raise_for_status()
        return answer

    def ready(self) -> str:
        return str(self.ask("GET", "/health/ready/").json()["status"])


@dataclass
class Watched:
    """An export, and what its stream told."""

    site: Site
    id: str
    told: list[tuple[float, str, int]] = field(default_factory=list)
    """When, which type of event, how many rows."""

    def watch(self) -> None:
        with self.site.ask("GET", f"/api/v1/exports/{self.id}/events/", stream=True) as answer:
            kind = ""
            for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    self.told.append((time.monotonic(), kind, json.loads(value)["progress"]["rows"]))

    def progress_since(self, moment: float) -> list[int]:
        return [rows for at, kind, rows in self.told if kind == "progress" and at > moment]

    def row(self) -> dict[str, Any]:
        row: dict[str, Any] = self.site.ask("GET", f"/api/v1/exports/{self.id}/").json()
        return row


@contextmanager
def site_on(url: str, folder: Path) -> Iterator[Site]:
    """A stack that uses this Redis, with a database and a store of its own."""
    told = folder / "environment"
    env = {name: value for name, value in os.environ.items() if name not in OWN}
    env |= {"REDIS_URL": url, "EXPORTS_MAX_ACTIVE": "0", "WORKER_CONCURRENCY": "1", "WORKER_LARGE_CONCURRENCY": "1"}
    command = [sys.executable, "-m", "exportsite.stack", "run", "--rows", str(ROWS), "--", "sh", "-c", TELL, str(told)]
    with (folder / "stack.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=PROJECT, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_for(lambda: told.exists() or process.poll() is not None)
        assert told.exists(), (folder / "stack.log").read_text()
        yield Site(dict(line.split("=", 1) for line in told.read_text().split("\0") if line))
    finally:
        process.terminate()
        process.wait(30)


def wait_for(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.05)


def test_all_exports_complete_and_their_streams_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sentinels.started(tmp_path) as group, site_on(group.url, tmp_path) as site:
        wait_for(lambda: site.ready() == "ok")
        body = {"resource": "customers", "format": "xlsx"}
        exports = [Watched(site, site.ask("POST", "/api/v1/exports/", json=body).json()["id"]) for _ in range(EXPORTS)]
        threads = [threading.Thread(target=each.watch, daemon=True) for each in exports]
        for thread in threads:
            thread.start()
        wait_for(lambda: any(len(each.progress_since(0.0)) >= 3 for each in exports))
        began = time.monotonic()
        group.kill_master()
        named = time.monotonic()
        for thread in threads:
            thread.join(PATIENCE)
        ended = time.monotonic()
        rows = [each.row() for each in exports]
        assert [(row["status"], row["row_count"], row["rows_verified"]) for row in rows] == [
            ("completed", ROWS, True)
        ] * EXPORTS
        assert [each.told[-1][1] for each in exports] == ["done"] * EXPORTS
        after = [each.progress_since(named) for each in exports]
        late = [told for told, each in zip(after, exports, strict=True) if each.told[-1][0] > named + HEARD_SECONDS]
        assert sum(len(each) >= 3 for each in after) >= EXPORTS // 2
        assert len(late) >= 3
        assert all(late)
        assert all(each == sorted(each) for each in after)
        assert {row["attempt"] for row in rows} == {1}
        wait_for(lambda: site.ready() == "ok")
    first = min(at for each in exports for at, kind, _ in each.told if kind == "progress" and at > began)
    with capsys.disabled():
        sys.stdout.write(
            f"\nAnother master after {named - began:.1f} s, progress heard again after {first - began:.1f} s; "
            f"{EXPORTS} exports of {ROWS:,} rows completed {ended - began:.0f} s after the kill, "
            f"{sum(map(len, after))} reports of progress since.\n"
        )
