"""The limits of memory: a run that passes the soft one ends, a process cannot pass the hard one."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail

from exports_app.choices import Status
from tests.jobs import fill_customers, finish


@pytest.mark.django_db(transaction=True)
def test_a_run_past_the_soft_limit_ends_and_the_operators_hear_of_it(alice: User, settings: Any) -> None:
    settings.EXPORTS_MEMORY_SOFT_LIMIT_MB = 1
    settings.ADMINS = [("Operator", "operator@example.com")]
    fill_customers(10)
    job = finish(alice)
    assert (job.status, job.error_code, job.failures) == (Status.FAILED, "memory_limit", 0)
    assert [message.to for message in mail.outbox] == [["operator@example.com"]]
    assert "soft memory limit" in mail.outbox[0].subject


HARD = """
import django; django.setup()
from workers import memory
memory.limit_process()
import pyarrow, pyarrow.parquet
kept = [pyarrow.array(range(1_000_000))]
pyarrow.parquet.write_table(pyarrow.table({"a": kept[0]}), pyarrow.BufferOutputStream())
print("fits", pyarrow.default_memory_pool().backend_name)
for take in (lambda: bytearray(20_000_000), lambda: pyarrow.allocate_buffer(20_000_000)):
    kept.clear()
    try:
        for _ in range(100):
            kept.append(take())
    except MemoryError:
        print("refused", 3 < len(kept) < 20)
"""


def test_the_hard_limit_holds_with_arrow_loaded() -> None:
    environment = {"EXPORT_MEMORY_HARD_LIMIT_MB": "300", "DJANGO_SETTINGS_MODULE": "exportsite.settings", "DEBUG": "1"}
    done = subprocess.run(
        [sys.executable, "-c", HARD], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.splitlines() == ["fits mimalloc", "refused True", "refused True"], done.stderr


FREED = """
import django; django.setup()
from workers import memory
memory.limit_process()
del (block := [bytearray(20_000_000)])[0]  # the first free teaches glibc to keep blocks of this size
before = memory.used()
blocks = []
for _ in range(5):
    blocks += [bytearray(20_000_000), bytes(100_000)]  # the small one holds what is below it in the heap
largest = memory.used()
del blocks[::2]
print(largest - before > 95_000_000, memory.used() - before < 10_000_000)
"""


def test_a_child_gives_the_memory_of_freed_parts_back_at_once() -> None:
    environment = {"DJANGO_SETTINGS_MODULE": "exportsite.settings", "DEBUG": "1"}
    done = subprocess.run(
        [sys.executable, "-c", FREED], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.splitlines() == ["True True"], done.stderr
