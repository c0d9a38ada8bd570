"""Event streams on the running site: ``python -m benchmarks.streams [--quick]``, inside ``exportsite.stack run``.

Fifty exports are followed by clients that connect and leave at random moments, while Redis is killed once; what each
client saw last must be what the export is. Then two hundred idle streams stay open on the one web process: what they
cost in memory, threads and database connections, and how quick the rest of the API is meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import requests

from benchmarks import page
from benchmarks.site import percentiles, process

API = f"{os.environ['EXPORTSITE_URL']}/api/v1"
HEADERS = {"Authorization": f"Bearer {os.environ['EXPORTSITE_ADMIN_TOKEN']}"}
JOBS, IDLE = 50, 200
HEADING = "Event streams"
MOST_SECONDS = 180.0
KINDS = ({"format": "csv"}, {"format": "xlsx"}, {"format": "ndjson", "compression": "gzip"}, {"format": "parquet"})


def call(method: str, path: str, **values: Any) -> Any:
    answer = requests.request(method, f"{API}{path}", headers=HEADERS, timeout=30, **values)
    answer.raise_for_status()
    return answer.json()


def read(job_id: str, last_id: str, seconds: float) -> list[dict[str, Any]]:
    """Events of one connection, which the client cuts after about so many seconds."""
    headers = {**HEADERS, **({"Last-Event-ID": last_id} if last_id else {})}
    seen: list[dict[str, Any]] = []
    over = time.monotonic() + seconds
    try:
        with requests.get(f"{API}/exports/{job_id}/events/", headers=headers, stream=True, timeout=(10, 20)) as answer:
            answer.raise_for_status()
            fields: dict[str, str] = {}
            for raw in answer.iter_lines(chunk_size=1):
                line = raw.decode()
                name, _, value = line.partition(": ")
                fields[name] = value
                if not line and "data" in fields:
                    seen.append(
                        {"id": fields.get("id", ""), **json.loads(fields["data"]), "event": fields.get("id", "")}
                    )
                    fields = {}
                    if time.monotonic() > over or seen[-1]["type"] == "done":
                        break
    except requests.RequestException:
        pass  # as a browser does: come back with the last id
    return seen


def client(number: int) -> tuple[dict[str, Any], int, Counter[str]]:
    """Ask for an export and follow it to its end: what was seen last, the connections, and the types of the events."""
    chance = random.Random(number)
    wanted = {"resource": "customers", "limit": 2_000 * (number % 10 + 1), **KINDS[number % len(KINDS)]}
    job_id = call("POST", "/exports/", json=wanted)["id"]
    if number % 10 == 0:
        requests.post(f"{API}/exports/{job_id}/cancel/", headers=HEADERS, timeout=30)  # or it has ended already
    last: dict[str, Any] = {}
    connections, types, last_id = 0, Counter[str](), ""
    over = time.monotonic() + MOST_SECONDS
    time.sleep(chance.uniform(0, 5))
    while not types["done"]:
        if time.monotonic() > over:
            raise TimeoutError(f"{job_id} did not end")
        connections += 1
        for event in read(job_id, last_id, chance.choice([0.0, 0.2, 1.0, 5.0, 60.0])):
            last, last_id = event, event["event"] or last_id
            types[event["type"]] += 1
        time.sleep(chance.uniform(0, 1))
    polled = call("GET", f"/exports/{job_id}/status/")
    told = {name: last[name] for name in polled}
    if told != polled:
        raise AssertionError(f"saw {told}, is {polled}")
    return last, connections, types


def agreement() -> str:
    """Follow fifty exports; raises where a client's last word is not what the export is."""
    killer = threading.Timer(8.0, os.kill, (process("redis"), signal.SIGKILL))
    killer.start()
    with ThreadPoolExecutor(JOBS) as pool:
        found = list(pool.map(client, range(JOBS)))
    killer.join()
    types = sum((seen for _, _, seen in found), Counter[str]())
    states = Counter(last["status"] for last, _, _ in found)
    return (
        f"{JOBS} exports, {sum(count for _, count, _ in found)} connections, Redis killed once: every client's last "
        f"word was what polling says, {_counts(states)}. Events: {_counts(types)}."
    )


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common())


def memory(pid: int) -> tuple[float, int]:
    """Resident MB and threads."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return int(lines["VmRSS"].split()[0]) / 1024, int(lines["Threads"])


def database_connections() -> int:
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        statement = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        row = connection.execute(statement).fetchone()
    return row[0] if row else 0


def latencies(calls: int = 200) -> list[float]:
    """Milliseconds of calls one behind the other."""
    took = []
    with requests.Session() as session:
        for _ in range(calls):
            began = time.perf_counter()
            session.get(f"{API}/exports/?page_size=20", headers=HEADERS, timeout=30).raise_for_status()
            took.append((time.perf_counter() - began) * 1000)
    return took


def idle() -> str:
    """Two hundred streams of exports that wait."""
    call("GET", "/exports/?page_size=20")
    job = call("POST", "/exports/", json={"resource": "customers", "limit": 1})
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        # Queued, and not due for an hour, whether or not a worker has had it.
        connection.execute(
            "UPDATE exports_app_exportjob SET status = 'queued', next_attempt_at = now() + interval '1 hour' "
            "WHERE id = %s",
            [job["id"]],
        )
    web = process("web")
    latencies(50)
    before, threads_before = memory(web)
    connected_before = database_connections()
    alone = percentiles(latencies())
    with ThreadPoolExecutor(20) as pool:
        streams = list(pool.map(lambda _: _open(job["id"]), range(IDLE)))
    time.sleep(5)
    after, threads = memory(web)
    connected = database_connections()
    beside = percentiles(latencies())
    for stream in streams:
        stream.close()
    return (
        f"{IDLE} idle streams on one web process: {before:.0f} MB before, {after:.0f} MB with them, "
        f"{(after - before) * 1024 / IDLE:.0f} KB each; threads {threads_before} -> {threads}; database connections "
        f"{connected_before} -> {connected}. A list of exports takes {alone[0]:.0f} ms (p99 {alone[2]:.0f}) without "
        f"and {beside[0]:.0f} ms (p99 {beside[2]:.0f}) beside them."
    )


def _open(job_id: str) -> requests.Response:
    answer = requests.get(f"{API}/exports/{job_id}/events/", headers=HEADERS, stream=True, timeout=60)
    answer.raise_for_status()
    next(answer.iter_lines(chunk_size=1))
    return answer


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streams")
    parser.add_argument("--quick", action="store_true", help="without the fifty exports; only printed")
    quick = parser.parse_args().quick
    busy = os.getloadavg()[0]
    text = idle() if quick else f"{agreement()}\n\n{idle()}{page.others(busy)}"
    print(text, flush=True)
    if not quick:
        page.put(HEADING, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
