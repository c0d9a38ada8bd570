"""How quick the API is: ``WEB_CONCURRENCY=2 EXPORTS_MAX_ACTIVE=0 … stack run -- python -m benchmarks.latency``.

The table of jobs holds 100,000; each of 50 clients has a user of its own and one connection, and asks for statuses,
its list, single exports, and new small ones, which the workers then make on the same machine. Once each client pauses
for a second or so between two calls, as clients that poll do; once it makes its next call as soon as it can.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import psycopg
import requests

from benchmarks import firsts, page
from benchmarks.site import Usage, await_idle, percentiles, url, usage

CLIENTS = 50
JOBS = 100_000
PAUSE = 1.0
"""Seconds between two calls of a client, on average."""
MIX = {"status": 70, "list": 10, "detail": 15, "create": 5}
"""Of a hundred calls."""
ALONE = 100
"""Calls of each kind, one behind the other, for the processor's time of one."""
SMALL_JOBS = 100
"""Small exports that are asked for at once to see how many are made in a second."""
SMALL: dict[str, Any] = {"resource": "customers", "limit": 100}
HEADING = "The API at fifty clients"


class Length(NamedTuple):
    """Seconds of the two loads."""

    polling: float
    pressing: float


WHOLE, QUICK = Length(40.0, 15.0), Length(8.0, 4.0)

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


def prepare() -> list[dict[str, str]]:
    """Users, their tokens and their old exports."""
    headers = {"Authorization": f"Bearer {os.environ['EXPORTSITE_TOKEN']}"}
    first = requests.post(url("/exports/"), json=SMALL | {"limit": 1}, headers=headers, timeout=30)
    first.raise_for_status()
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(USERS.format(clients=CLIENTS).encode())
        connection.execute(FILL.format(clients=CLIENTS, jobs=JOBS).encode(), [first.json()["id"]])
        connection.execute("VACUUM ANALYZE exports_app_exportjob")
    import django

    django.setup()
    from django.contrib.auth import get_user_model

    from exports_app import api_keys, keys

    found = get_user_model().objects.filter(username__startswith="bench")
    made = (api_keys.create(user, name="benchmark", scopes=keys.SCOPES)[1] for user in found)
    return [{"Authorization": f"Bearer {secret}"} for secret in made]


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

    def make(self, kind: str) -> None:
        """One call of this kind."""
        job_id = self.chance.choice(self.known)
        if kind == "create":
            self.known.append(self.call(kind, "POST", "/exports/", json=SMALL)["id"])
        elif kind == "list":
            self.call(kind, "GET", "/exports/")
        else:
            self.call(kind, "GET", f"/exports/{job_id}/{'status/' if kind == 'status' else ''}")

    def work(self, seconds: float, pause: float) -> None:
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            time.sleep(self.chance.uniform(0, 2 * pause))
            self.make(self.chance.choices(list(MIX), list(MIX.values()))[0])


def alone(token: dict[str, str]) -> dict[str, Usage]:
    """Processor time of one call, where nothing else goes on."""
    client, found = Client(token, 0), {}
    for kind in MIX:
        client.make(kind)
        await_idle()
        before = usage()
        for _ in range(ALONE):
            client.make(kind)
        after = usage()
        found[kind] = Usage(*((late - early) / ALONE for early, late in zip(before, after, strict=True)))
    await_idle()
    return found


def load(tokens: list[dict[str, str]], seconds: float, pause: float, each: dict[str, Usage]) -> str:
    """A table of milliseconds by call."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = list(pool.map(Client, tokens, range(CLIENTS)))
        began, before = time.monotonic(), usage()
        list(pool.map(lambda client: client.work(seconds, pause), clients))
        lasted, used = time.monotonic() - began, usage().web - before.web
    await_idle()
    lines = [
        "| call | calls | p50 ms | p95 ms | p99 ms | web ms | PostgreSQL ms |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    calls = 0
    for kind in MIX:
        took = [milliseconds for client in clients for milliseconds in client.took[kind]]
        p50, p95, p99 = percentiles(took)
        calls += len(took)
        # The workers are at PostgreSQL too once there is something to make.
        postgres = "" if kind == "create" else f"{each[kind].postgres:.1f}"
        lines.append(
            f"| {kind} | {len(took):,} | {p50:.0f} | {p95:.0f} | {p99:.0f} | {each[kind].web:.1f} | {postgres} |"
        )
    rate = f"{calls / lasted:.0f} calls a second; what serves them used {used / lasted / 10:.0f} % of a core."
    return "\n".join([*lines, "", rate])


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
    answer = requests.post(url("/exports/"), json=SMALL, headers=headers, timeout=60)
    answer.raise_for_status()
    return str(answer.json()["id"])


def _conditions(busy: float) -> str:
    shares = ", ".join(f"{share} {kind}" for kind, share in MIX.items())
    return (
        f"{CLIENTS} clients on this machine, each with a user and a connection of its own, {JOBS:,} exports in the "
        f"table, {_processes()}, and the workers that make what is asked for: 100 rows each. Of 100 calls: {shares}. "
        "The last two columns are processor time of one call, measured one behind the other; unlike the others they "
        f"hardly depend on what else the machine does.{page.others(busy)}"
    )


def _processes() -> str:
    count = int(os.environ.get("WEB_CONCURRENCY", "1"))
    return "one web process" if count == 1 else f"{count} web processes"


def measure(length: Length) -> Iterator[str]:
    """The paragraphs of the section, each as soon as it is known."""
    busy = os.getloadavg()[0]
    tokens = prepare()
    each = alone(tokens[0])
    yield _conditions(busy)
    yield f"Clients that pause {PAUSE:.0f} second on average between two calls, as those do that poll:"
    yield load(tokens, length.polling, PAUSE, each)
    yield "The same without pauses: as many calls as can be answered, each client waiting for its turn:"
    yield load(tokens, length.pressing, 0.0, each)
    yield small_exports(tokens)
    yield firsts.previews(tokens[0])
    yield firsts.first_bytes(tokens[0])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency")
    parser.add_argument("--quick", action="store_true", help="a fifth of the time; only printed")
    quick = parser.parse_args().quick
    paragraphs = []
    for paragraph in measure(QUICK if quick else WHOLE):
        print(paragraph, end="\n\n", flush=True)
        paragraphs.append(paragraph)
    if not quick:
        page.put(HEADING, "\n\n".join(paragraphs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
