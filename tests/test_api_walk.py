"""The walk of docs/api.md, run as it stands there against the whole site."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import SERVICES

PROJECT = Path(__file__).parents[1]
SITE = (sys.executable, "-m", "exportsite.stack", "run", "--rows", "1200", "--workers", "1", "--")


def test_the_walk_leads_from_the_resources_to_the_file(tmp_path: Path) -> None:
    page = (PROJECT / "docs" / "api.md").read_text()
    (walk,) = re.findall(r"## A walk, by curl alone\n.*?```bash\n(.*?)```", page, re.S)
    environment = {name: value for name, value in os.environ.items() if name not in SERVICES}
    done = subprocess.run(
        [*SITE, "bash", "-euo", "pipefail", "-c", f"cd {tmp_path}\n{walk}"],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert done.stdout.endswith("deleted: 204\n")
    for said in (
        "event: done",
        '"ID",E-mail\n1001 customers.csv\n',
        "the link again: 403\nthe same file\n",
        '"via":"token"',
        '"preview":',
    ):
        assert said in done.stdout
    assert (tmp_path / "customers.csv").read_text().splitlines()[1].startswith("1,")
    asked = json.loads((tmp_path / "job.json").read_text())
    assert (asked["request_id"], asked["row_count"]) == ("my-first-walk", None)
