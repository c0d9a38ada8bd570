"""The clients of the storage are made once, however many first requests there are."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from exports_app.s3 import once

THREADS = 8


def test_one_thread_makes_what_all_of_them_wait_for() -> None:
    together = threading.Barrier(THREADS)
    made: list[object] = []

    @once
    def client(storage: str) -> object:
        made.append(object())
        threading.Event().wait(0.2)  # for the others to come in too, were they let
        return made[-1]

    def ask(_: int) -> object:
        together.wait(10)
        return client("exports")

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(ask, range(THREADS)))
    assert (len(made), set(found)) == (1, set(made))
    client.cache_clear()
    assert client("exports") is not found[0]
