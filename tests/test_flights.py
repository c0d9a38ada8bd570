"""A guest app with a table of its own, exported by the real stack: byte for byte what PostgreSQL says."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.conftest import SERVICES


def test_a_guests_flights_arrive_as_a_copy_by_hand_writes_them() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in SERVICES}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "exportsite.stack",
            "run",
            "--rows",
            "1",
            "--",
            sys.executable,
            "-m",
            "tests.flights.check",
        ],
        env=environment | {"EXPORTSITE_EXTRA_APPS": "tests.flights"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "336776 flights, " in done.stdout
