"""How quick the API is at 50 clients: ``EXPORTS_MAX_ACTIVE=0 … stack run -- python -m benchmarks.latency``.

The table of jobs holds 100,000; each client has a user of its own, one connection, and makes a call every second or
so: mostly it looks at a status, else at its list, at one export, or asks for a small one, which the workers then make
on the same machine.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles
from typing import Any

import psycopg
import requests

CLIENTS = 50
JOBS = 100_000
SECONDS = 30.0
PAUSE = 1.0
"""Seconds between two calls of a client, on average."""
SMALL_JOBS = 100
"""Small exports that are asked for at once to see how many are made in a second."""

USERS = """
INSERT INTO auth_user (username, password, email, first_name, last_name, is_staff, is_superuser, is_active, date_joined)
SELECT 'bench' || n, '', '', '', '', false, false, true, now() FROM generate_series(1, {clients}) AS n
ON CONFLICT (username) DO NOTHING;
INSERT INTO auth_user_user_permissions (user_id, permission_id)
SELECT auth_user.id, permission_id
  FROM auth_user, auth_user_user_permissions AS theirs
 WHERE auth_user.username LIKE 'bench%'
   AND theirs.user_id = (SELECT id FROM auth_user WHERE username = 'demo')
ON CONFLICT DO NOTHING;
INSERT INTO auth_user_groups (user_id, group_id)
SELECT auth_user.id, group_id
  FROM auth_user, auth_user_groups AS theirs
 WHERE auth_user.username LIKE 'bench%'
   AND theirs.user_id = (SELECT id FROM auth_user WHERE username = 'demo')
ON CONFLICT DO NOTHING
"""
FILL = """
INSERT INTO exports_app_exportjob
SELECT old.*
  FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM auth_user WHERE username LIKE 'bench%%') AS owner,
       generate_series(1, {jobs} / {clients}) AS n,
       exports_app_exportjob AS model,
       jsonb_populate_record(model, jsonb_build_object(
           'id', gen_random_uuid(), 'owner_id', owner.id, 'status', 'completed', 'idempotency_key', NULL,
           'created_at', now() - (n * {clients} + place) * interval '60 seconds',
           'started_at', now() - (n * {clients} + place) * interval '60 seconds',
           'completed_at', now() - (n * {clients} + place) * interval '59 seconds',
           'expires_at', now() + interval '1 day', 'row_count', 1000, 'rows_done', 1000, 'file_size', 100000,
           'crc32', '0badcafe', 'next_attempt_at', NULL, 'lease_expires_at', NULL,
           'file_key', 'exports/bench/' || n)) AS old
 WHERE model.id = %s
"""


def url(path: str) -> str:
    return f"{os.environ['EXPORTSITE_URL']}/api/v1{path}"


def prepare() -> list[dict[str, str]]:
    """Users, their tokens and their old exports."""
    headers = {"Authorization": f"Bearer {os.environ['EXPORTSITE_TOKEN']}"}
    first = requests.post(url("/exports/"), json={"resource": "customers", "limit": 1}, headers=headers, timeout=30)
    first.raise_for_status()
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(USERS.format(clients=CLIENTS).encode())
        connection.execute(FILL.format(clients=CLIENTS, jobs=JOBS).encode(), [first.json()["id"]])
        connection.execute("VACUUM ANALYZE exports_app_exportjob")
    import django

    django.setup()
    from django.contrib.auth import get_user_model

    from exports_app.models import ApiToken

    found = get_user_model().objects.filter(username__startswith="bench")
    return [{"Authorization": f"Bearer {ApiToken.objects.create(user)[1]}"} for user in found]


class Client:
    """One user at work."""

    def __init__(self, headers: dict[str, str], number: int) -> None:
        self.session = requests.Session()
        self.session.headers.update(headers)
        self.chance = random.Random(number)
        self.took: dict[str, list[float]] = defaultdict(list)
        self.known = [job["id"] for job in self.call("warm-up", "GET", "/exports/?page_size=5")["results"]]

    def call(self, name: str, method: str, path: str, **values: Any) -> Any:
        began = time.perf_counter()
        answer = self.session.request(method, url(path), timeout=60, **values)
        self.took[name].append((time.perf_counter() - began) * 1000)
        answer.raise_for_status()
        return answer.json()

    def work(self, seconds: float) -> dict[str, list[float]]:
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            time.sleep(self.chance.uniform(0, 2 * PAUSE))
            kind = self.chance.choices(("status", "list", "detail", "create"), (50, 20, 20, 10))[0]
            job_id = self.chance.choice(self.known)
            if kind == "create":
                made = self.call(kind, "POST", "/exports/", json={"resource": "customers", "limit": 100})
                self.known.append(made["id"])
            else:
                self.call(
                    kind,
                    "GET",
                    {"list": "/exports/"}.get(kind) or f"/exports/{job_id}/{'status/' * (kind == 'status')}",
                )
        return self.took


def processor_ms() -> float:
    """What the web process has used so far; unlike the time of a call, it hardly depends on who else is at work."""
    pids = json.loads(Path(os.environ["EXPORTSITE_STATE"]).read_text())["pids"]
    fields = Path(f"/proc/{pids['web']}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def latency(tokens: list[dict[str, str]]) -> list[str]:
    """A table of milliseconds by call."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = list(pool.map(Client, tokens, range(CLIENTS)))
        began, used = time.monotonic(), processor_ms()
        found = list(pool.map(lambda client: client.work(SECONDS), clients))
        seconds, used = time.monotonic() - began, processor_ms() - used
    lines = ["| call | calls | p50 ms | p95 ms | p99 ms |", "|---|--:|--:|--:|--:|"]
    calls = 0
    for name in ("list", "detail", "status", "create"):
        took = [each for client in found for each in client[name]]
        cuts = quantiles(took, n=100)
        calls += len(took)
        lines.append(f"| {name} | {len(took):,} | {cuts[49]:.0f} | {cuts[94]:.0f} | {cuts[98]:.0f} |")
    return [*lines, "", f"{calls / seconds:.0f} calls a second, {used / calls:.1f} ms of the web process's time each."]


def small_exports(tokens: list[dict[str, str]]) -> str:
    """Jobs a second, from the first request to the last file."""
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: _create(tokens[n % CLIENTS]), range(SMALL_JOBS)))
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        statement = "SELECT count(*) FROM exports_app_exportjob WHERE id = ANY(%s::uuid[]) AND status = 'completed'"
        while connection.execute(statement, [made]).fetchone() != (SMALL_JOBS,):
            if time.monotonic() - began > 300:
                raise TimeoutError("the small exports did not end")
            time.sleep(0.05)
    return (
        f"{SMALL_JOBS / (time.monotonic() - began):.1f} small exports (100 rows) a second, asked for by eight clients."
    )


def _create(headers: dict[str, str]) -> str:
    answer = requests.post(url("/exports/"), json={"resource": "customers", "limit": 100}, headers=headers, timeout=60)
    answer.raise_for_status()
    return str(answer.json()["id"])


def main() -> int:
    tokens = prepare()
    print("\n".join(latency(tokens)), flush=True)
    print(small_exports(tokens), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
