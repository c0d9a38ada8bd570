"""A table that somebody holds, as a migration does, and what a server answers meanwhile."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import requests
from django.db import connection


@contextmanager
def held(table: str = "samples_customer") -> Iterator[None]:
    """Nobody reads the table while the block lasts."""
    with psycopg.connect(os.environ["DATABASE_URL"], dbname=str(connection.settings_dict["NAME"])) as other:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield
        other.rollback()


@dataclass(frozen=True, slots=True)
class Told:
    status: int
    body: Any
    seconds: float


class Client:
    """Somebody's calls to a server, each with the time that it took."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._url, self._headers = url, headers

    def get(self, path: str) -> Told:
        return self._call("GET", path, None)

    def post(self, path: str, **body: Any) -> Told:
        return self._call("POST", f"/api/v1/{path}", body)

    def _call(self, method: str, path: str, body: Any) -> Told:
        began = time.monotonic()
        answer = requests.request(method, self._url + path, json=body, headers=self._headers, timeout=60)
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        return Told(answer.status_code, answer.json() if is_json else answer.text, time.monotonic() - began)


def at_once(calls: Sequence[Callable[[], Told]]) -> list[Told]:
    """What each gave, all begun together."""
    told: list[Told | None] = [None] * len(calls)

    def make(number: int) -> None:
        told[number] = calls[number]()

    threads = [threading.Thread(target=make, args=[number]) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [each for each in told if each is not None]


def sessions() -> dict[str, int]:
    """How many connections there are to the tests' database, by their names; those without one are the tests' own."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as observer:
        found = observer.execute(
            "SELECT application_name, count(*) FROM pg_stat_activity WHERE datname = %s GROUP BY 1",
            [connection.settings_dict["NAME"]],
        ).fetchall()
    return {name: number for name, number in found if name}
