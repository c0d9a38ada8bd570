"""A scratch cluster of Debian's PostgreSQL, which has the contrib modules that the embedded one lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

OWNER = "postgres"
INSTALLED = Path("/usr/lib/postgresql")
MISSING = "Debian's PostgreSQL with contrib (packages postgresql and postgresql-contrib) is not installed."


def binaries() -> Path | None:
    """The newest version's programs, where its contrib modules are there as well."""
    versions = sorted(INSTALLED.glob("[0-9]*"), key=lambda path: int(path.name), reverse=True)
    contrib = Path("/usr/share/postgresql")
    found = [each for each in versions if (contrib / each.name / "extension/hstore.control").exists()]
    return found[0] / "bin" if found else None


@pytest.fixture(scope="module")
def debian_url() -> Iterator[str]:
    """URL of a database of a cluster that lives as long as the module; nobody else can reach it."""
    programs = binaries()
    if programs is None:
        if os.environ.get("CI") == "true":
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    root = Path(tempfile.mkdtemp(prefix="debian-postgres-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(root, OWNER)
    try:
        _run(programs / "initdb", "-D", root / "data", "-U", OWNER, "--auth=trust", "--encoding=UTF8", "--no-sync")
        options = f"-c listen_addresses= -c unix_socket_directories={root} -c fsync=off -c max_connections=20"
        _run(programs / "pg_ctl", "-D", root / "data", "-w", "-l", root / "log", "-o", options, "start")
        try:
            yield f"postgresql://{OWNER}@/postgres?host={quote(str(root), safe='')}"
        finally:
            _run(programs / "pg_ctl", "-D", root / "data", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _run(*command: object) -> None:
    """A program of the cluster's, as its owner where we are root, whom PostgreSQL refuses."""
    owner = OWNER if os.geteuid() == 0 else None
    # Into a file, since the server that pg_ctl starts keeps its output open.
    with tempfile.TemporaryFile() as said:
        arguments = [str(part) for part in command]
        done = subprocess.run(arguments, user=owner, group=owner, cwd="/", stdout=said, stderr=said)
        said.seek(0)
        assert done.returncode == 0, said.read().decode()
