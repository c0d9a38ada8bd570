"""Exports under real limits of the kernel: threads, open files, data, address space; every format, by degrees.

With ``REAL_WORKERS=1`` alone: it takes minutes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from django.conf import settings as site
from django.contrib.auth.models import User

from exports_app import orphans
from tests.jobs import FIVE_MIB, fill_customers
from tests.working.limited import FORMS, LIMITS
from tests.working.workers import environment

pytestmark = [
    pytest.mark.skipif(not os.environ.get("REAL_WORKERS"), reason="REAL_WORKERS=1 runs it"),
    pytest.mark.django_db(transaction=True),
]
ROWS = 120_000
"""Of 11 MB of csv: two parts and more."""
SMALL = {"EXPORTS_PART_SIZE": str(FIVE_MIB), "EXPORTS_STREAM_MAX_ROWS": "1000000", "EXPORTS_MAX_ACTIVE": "0"}
ENDS = {
    (0, "completed", ""),
    (0, "failed", "memory_limit"),
    (0, "queued", "memory_limit"),  # to be tried again
    (1, "queued", ""),  # it could not even be claimed, and waits
    (-signal.SIGABRT, "running", ""),  # Arrow ended the process: the lease decides
    (1, "running", ""),  # OpenBLAS did so, which Arrow loads
}


def test_no_lack_is_taken_for_a_bug(alice: User) -> None:
    fill_customers(ROWS)
    done = subprocess.run(
        [sys.executable, "-m", "tests.working.limited", alice.username],
        cwd=site.BASE_DIR,
        env=environment(**SMALL),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(FORMS) * sum(map(len, LIMITS.values()))
    assert [case for case in found if tuple(case[3:6]) not in ENDS] == []
    for form in FORMS:
        for limit in LIMITS:
            assert "memory_limit" in {case[5] for case in found if case[:2] == [form, limit]}, (form, limit)
    orphans.sweep()
