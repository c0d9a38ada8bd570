"""How long a person waits for the first thing to see: a preview, and the first byte of a download."""

from __future__ import annotations

import time
from typing import Any

import requests

from benchmarks.site import percentiles, url, warm

PREVIEWS, DOWNLOADS = 50, 20
STREAMED_ROWS = 100_000
PREVIEW: dict[str, Any] = {
    "format": "csv",
    "columns": ["booked_at", "account__number", "account__owner", "amount", "net", "status"],
    "filters": {"status": ["SETTLED"], "amount_min": "10"},
}
"""A filter, and columns of a joined table."""


def previews(headers: dict[str, str]) -> str:
    """Of the table of transactions, all of it behind a filter and a join."""
    took: list[float] = []
    with requests.Session() as session:
        session.headers.update(headers)
        warm(session, "POST", "/resources/transactions/estimate/", json=PREVIEW)
        for _ in range(PREVIEWS):
            began = time.perf_counter()
            answer = session.post(url("/resources/transactions/estimate/"), json=PREVIEW, timeout=60)
            took.append((time.perf_counter() - began) * 1000)
            answer.raise_for_status()
            if not answer.json()["preview"]["rows"]:
                raise AssertionError("a preview without rows")
        total = session.post(url("/resources/transactions/estimate/"), json={"format": "csv"}, timeout=60).json()
    p50, p95, _ = percentiles(took)
    found = answer.json()
    exact = "counted" if found["estimate_exact"] else "estimated"
    return (
        f"Preview and estimate of a table of {total['estimated_rows']:,} rows with two filters and a join "
        f"({found['estimated_rows']:,} rows {exact}), {PREVIEWS} calls: p50 {p50:.0f} ms, p95 {p95:.0f} ms."
    )


def first_bytes(headers: dict[str, str]) -> str:
    """Of downloads that are sent as they are made."""
    firsts: list[float] = []
    wholes: list[float] = []
    body: dict[str, Any] = {"resource": "customers", "limit": STREAMED_ROWS}
    with requests.Session() as session:
        session.headers.update(headers)
        for _ in range(DOWNLOADS + 1):
            began = time.perf_counter()
            with session.post(url("/exports/download/"), json=body, stream=True, timeout=60) as answer:
                answer.raise_for_status()
                pieces = answer.iter_content(65_536)
                next(pieces)
                firsts.append((time.perf_counter() - began) * 1000)
                size = sum(len(piece) for piece in pieces)
                wholes.append(time.perf_counter() - began)
            if answer.headers["X-Export-Strategy"] != "stream" or not size:
                raise AssertionError(f"{answer.headers['X-Export-Strategy']}, {size} bytes after the first")
    p50, p95, _ = percentiles(firsts[1:])  # at the first the server imports what it needs
    return (
        f"Streamed download of {STREAMED_ROWS:,} rows as CSV, {DOWNLOADS} one behind the other: first byte p50 "
        f"{p50:.0f} ms, p95 {p95:.0f} ms; the whole file {percentiles(wholes[1:])[0]:.2f} s."
    )
