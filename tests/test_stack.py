"""The embedded stack: what it gives to a command, and that nothing of it outlives it, whatever ends it."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exportsite.stack.errors import StackError
from exportsite.stack.folder import Folder
from exportsite.stack.postgres import Postgres
from exportsite.stack.processes import descendants
from exportsite.stack.redis import Redis
from exportsite.stack.s3 import SeaweedFS
from exportsite.stack.site import MAINTENANCE, WORKERS, Site

PROJECT = Path(__file__).resolve().parents[1]
START_SECONDS = 90.0
STOP_SECONDS = 10.0

# Says where its stack is, leaves one process in a session of its own and one orphan, and stays.
RESTLESS = ("sh", "-c", "setsid sleep 600 & (sleep 600 &); echo $EXPORTSITE_STATE; sleep 600")
ASK_ALL_THREE = """
import os
from exportsite.stack.postgres import Postgres
from exportsite.stack.redis import Redis
from exportsite.stack.s3 import SeaweedFS
for service in Postgres, Redis, SeaweedFS:
    service.check(os.environ)
print("all three answer")
raise SystemExit(7)
"""
CREATE_TABLE_AND_KILL_POSTGRES = """
import json, os, psycopg, signal, time
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    connection.execute("CREATE TABLE kept ()")
os.kill(json.load(open(os.environ["EXPORTSITE_STATE"]))["pids"]["postgres"], signal.SIGKILL)
time.sleep(600)
"""
CALL_SITE = """
import json, os, urllib.request

def get(path, token=""):
    request = urllib.request.Request(os.environ["EXPORTSITE_URL"] + path, headers={"Authorization": f"Bearer {token}"})
    return json.load(urllib.request.urlopen(request))

tokens = {"demo": os.environ["EXPORTSITE_TOKEN"], "admin": os.environ["EXPORTSITE_ADMIN_TOKEN"]}
print(json.dumps({
    "health": get("/health/")["status"],
    "users": [name for name, token in tokens.items() if get("/api/v1/resources/", token)],
    "mail folder": os.path.isdir(os.environ["EXPORTSITE_MAIL_DIR"]),
    "pids": json.load(open(os.environ["EXPORTSITE_STATE"]))["pids"],
}))
"""
LOOK_FOR_TABLE = """
import os, psycopg
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    print(*connection.execute("SELECT to_regclass('kept')").fetchone())
"""

SERVICES_ONLY = ("--services-only",)
WHOLE_SITE = ("--rows", "100")

Start = Callable[..., "subprocess.Popen[str]"]


@dataclass
class Stack:
    """A stack at work, and all that must be gone after it."""

    process: subprocess.Popen[str]
    state_file: Path
    state: dict[str, Any]
    processes: list[int]

    def leftovers(self) -> list[str]:
        """Processes, ports and files that are still there once it had the time it may take."""
        give_up_at = time.monotonic() + STOP_SECONDS
        while (left := list(self._see_leftovers())) and time.monotonic() < give_up_at:
            time.sleep(0.05)
        return left

    def _see_leftovers(self) -> Iterator[str]:
        yield from (f"process {pid}" for pid in self.processes if Path(f"/proc/{pid}").exists())
        yield from (f"port {name}" for name, port in self.state["ports"].items() if is_open(port))
        files = [
            self.state_file.parent,
            *Path("/tmp").glob(f"seaweedfs-*-{self.state['ports']['s3_grpc']}.sock"),
        ]
        yield from (str(path) for path in files if path.exists())


@pytest.fixture
def start() -> Iterator[Start]:
    """Start `run` without the services that this test run itself works on, unless asked to use them."""
    given = {variable for service in (Postgres, Redis, SeaweedFS) for variable in service.required}
    without_services = {name: value for name, value in os.environ.items() if name not in given}
    started: list[subprocess.Popen[str]] = []

    def start(
        *command: str, options: tuple[str, ...] = SERVICES_ONLY, env: Mapping[str, str] = without_services
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "exportsite.stack", "run", *options, "--", *command],
            cwd=PROJECT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=STOP_SECONDS)


def look_at(process: subprocess.Popen[str]) -> Stack:
    """Wait until it runs `RESTLESS`."""
    assert process.stdout is not None
    state_file = Path(process.stdout.readline().strip())
    return Stack(process, state_file, json.loads(state_file.read_text()), descendants(process.pid))


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_a_command_finds_three_services_that_answer_and_its_status_is_passed_on(start: Start) -> None:
    process = start(sys.executable, "-c", ASK_ALL_THREE)
    out, err = process.communicate(timeout=START_SECONDS)
    assert (process.returncode, out) == (7, "all three answer\n"), err
    assert "\033" not in err


def test_stacks_started_at_the_same_moment_live_side_by_side(start: Start) -> None:
    one, other = [look_at(process) for process in [start(*RESTLESS), start(*RESTLESS)]]
    assert not set(one.state["ports"].values()) & set(other.state["ports"].values())
    one.process.terminate()
    assert one.process.wait(STOP_SECONDS) == 128 + signal.SIGTERM
    assert one.leftovers() == []
    assert all(is_open(other.state["ports"][name]) for name in ("postgres", "redis", "s3"))


@pytest.mark.parametrize(
    ("signum", "status"), [(signal.SIGINT, 128 + signal.SIGINT), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_signal_leaves_no_process_no_port_and_no_file(start: Start, signum: int, status: int) -> None:
    stack = look_at(start(*RESTLESS))
    stack.process.send_signal(signum)
    assert stack.process.wait(STOP_SECONDS) == status
    assert stack.leftovers() == []


def test_killing_the_process_that_keeps_the_others_leaves_nothing_either(start: Start) -> None:
    stack = look_at(start(*RESTLESS))
    keeper = stack.processes[0]
    os.kill(keeper, signal.SIGKILL)
    assert stack.process.wait(STOP_SECONDS) == 128 + signal.SIGKILL
    assert stack.leftovers() == []


def test_a_service_that_is_killed_comes_back_on_its_port(start: Start) -> None:
    stack = look_at(start(*RESTLESS))
    os.kill(stack.state["pids"]["redis"], signal.SIGKILL)
    give_up_at = time.monotonic() + START_SECONDS
    while json.loads(stack.state_file.read_text())["pids"]["redis"] == stack.state["pids"]["redis"]:
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    while not is_open(stack.state["ports"]["redis"]):
        assert time.monotonic() < give_up_at
        time.sleep(0.05)


def test_a_crash_is_named_with_its_log_and_leaves_a_data_folder_that_serves_again(start: Start, tmp_path: Path) -> None:
    in_folder = (*SERVICES_ONLY, "--data", str(tmp_path))
    process = start(sys.executable, "-c", CREATE_TABLE_AND_KILL_POSTGRES, options=(*in_folder, "--on-death", "stop"))
    _, err = process.communicate(timeout=START_SECONDS)
    assert process.returncode == 1
    assert "postgres was ended by SIGKILL" in err
    assert "database system is ready to accept connections" in err

    process = start(sys.executable, "-c", LOOK_FOR_TABLE, options=in_folder)
    assert process.communicate(timeout=START_SECONDS)[0] == "kept\n"


def test_a_failed_start_says_why_and_leaves_nothing(start: Start, tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("9\n")
    process = start(*RESTLESS, options=(*SERVICES_ONLY, "--data", str(tmp_path)))
    out, err = process.communicate(timeout=START_SECONDS)
    assert (process.returncode, out) == (1, "")
    assert "postgres ended with status 1" in err
    assert f"the last lines of {tmp_path}/logs/postgres.log" in err


def test_a_data_folder_is_used_by_one_stack_at_a_time(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        lock.write("4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StackError, match=rf"{tmp_path} is in use by another stack \(process 4711\)"):
            Folder(tmp_path)


def test_a_site_on_given_services_answers_and_only_its_own_processes_are_started(start: Start) -> None:
    process = start(sys.executable, "-c", CALL_SITE, options=WHOLE_SITE, env=os.environ)
    out, err = process.communicate(timeout=START_SECONDS)
    found = json.loads(out or "null")
    assert found is not None, err
    assert found["health"] == "ok"
    assert found["users"] == ["demo", "admin"]
    assert found["mail folder"]
    assert {name for name, pid in found["pids"].items() if pid} == {"web", "beat", "workers"}
    assert len(found["pids"]["workers"]) == 3


@pytest.mark.parametrize(("given", "expected"), [({}, "auto"), ({"WORKER_LARGE_CONCURRENCY": "5"}, "5")])
def test_a_worker_runs_as_many_as_its_variable_says(given: dict[str, str], expected: str, tmp_path: Path) -> None:
    site = Site(None, None, given, port=0, workers=1, is_disposable=True)  # type: ignore[arg-type]  # nothing starts
    argv = site.programs()[1].argv
    assert argv[argv.index("--queues") + 1] == "exports.large"
    assert argv[argv.index("--concurrency") + 1] == expected


@pytest.mark.parametrize("file", ["Procfile", "docker-compose.yml"])
def test_the_workers_of_other_hosts_serve_the_same_queues(file: str) -> None:
    served = re.findall(r"celery .* worker .* -Q (\S+)", (PROJECT / file).read_text())
    assert served == [queues for queues, _ in (*WORKERS.values(), *MAINTENANCE.values())]
