"""What the kernel offers so that no process outlives the stack."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SWEEP_GRACE_SECONDS = 2.0
SWEEP_PAUSE_SECONDS = 0.02

_prctl = ctypes.CDLL(None).prctl


def die_with_parent(signum: int, parent: int) -> None:
    """Have the kernel send `signum` to this process when `parent`, which started it, is gone."""
    _prctl(PR_SET_PDEATHSIG, signum, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os.kill(os.getpid(), signum)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, however it was started."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_all_descendants() -> None:
    """End what is left below this process, politely first; returns when the kernel knows of none."""
    kill_at = time.monotonic() + SWEEP_GRACE_SECONDS
    asked: set[int] = set()
    while _reap_or_see_children():
        late = time.monotonic() > kill_at
        for pid in descendants(os.getpid()):
            if late or pid not in asked:
                asked.add(pid)
                send(pid, signal.SIGKILL if late else signal.SIGTERM)
        time.sleep(SWEEP_PAUSE_SECONDS)


def descendants(root: int) -> list[int]:
    """Every living process below `root`, nearest first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        if (parent := _parent_of(entry)) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found = list(children.get(root, ()))
    for pid in found:  # grows while it is walked
        found.extend(children.get(pid, ()))
    return found


def working_in(folder: Path, name: str) -> list[int]:
    """Every process of that name with this current folder, as far as we may see."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "comm").read_text().strip() == name and (entry / "cwd").readlink() == folder:
                found.append(int(entry.name))
    return found


def send(pid: int, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signum)


def _parent_of(entry: Path) -> int | None:
    try:
        fields = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:  # ended meanwhile
        return None
    state, parent = fields[0], int(fields[1])
    return None if state == "Z" else parent


def _reap_or_see_children() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True
