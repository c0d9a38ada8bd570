"""The pages in a real browser against the real site: web, workers, PostgreSQL, Redis and S3."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import CI, SERVICES
from tests.walks.browser import CHROMIUM


def test_people_walk_through_the_pages_in_a_browser() -> None:
    if CHROMIUM is None:
        message = "No Chromium found: the pages were not tried in a browser. Install the package chromium."
        assert not CI, message
        pytest.skip(message)
    environment = {name: value for name, value in os.environ.items() if name not in SERVICES}
    site = [sys.executable, "-m", "exportsite.stack", "run", "--rows", "12000", "--workers", "1", "--"]
    walks = [sys.executable, "-m", "pytest", "tests/walks"]
    done = subprocess.run([*site, *walks], env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
