"""The Python client of docs/api.md, run as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections

from exports_app import lifecycle
from exportsite.handler import SiteHandler
from tests.api_keys.making import make_key
from workers import run

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
MOST_LINES = 39


@pytest.fixture
def site() -> Iterator[str]:
    """The site on a port of its own, in a thread."""
    server = uvicorn.Server(uvicorn.Config(SiteHandler(), port=0, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def worker() -> Iterator[None]:
    """Runs what is queued, in a thread."""
    stop = threading.Event()

    def work() -> None:
        try:
            while not stop.wait(0.05):
                if lifecycle.is_waiting("exports"):
                    run.run_next("exports")
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_the_client_waits_by_events_and_fetches_the_file(alice: User, site: str, worker: None) -> None:
    call_command("load_samples", rows=1_200, verbosity=0)
    example = next(block for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S) if "events" in block)
    assert len(example.splitlines()) <= MOST_LINES
    about = {"EXPORTSITE_URL": site, "EXPORTSITE_TOKEN": make_key(alice)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        env=os.environ | about,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].startswith(("snapshot queued", "snapshot running"))
    assert lines[-2:] == ["done completed 100.0", "1001 lines"]
