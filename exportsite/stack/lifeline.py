"""Two processes, so that no single death leaves anything behind.

The one that the person started (the front) only passes signals on and waits. The other (the keeper) has a
session of its own, starts everything and adopts every orphan below it. When the front dies, even by
SIGKILL, the kernel tells the keeper, which then stops as for SIGTERM. When the keeper dies by SIGKILL, its
descendants become the front's, which ends them.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable

from exportsite.stack import processes
from exportsite.stack.supervisor import STOP_SIGNALS, WATCHED_SIGNALS


def run_guarded(keep: Callable[[], int], *, after_kill: Callable[[], None], follow_parent: bool) -> int:
    """Run `keep` in a guarded process and return its status; `after_kill` if that was killed."""
    parent = os.getppid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # nohup means: go on when the terminal goes.
    deaf_to = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else set()
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED_SIGNALS - deaf_to)
    processes.adopt_orphans()
    if follow_parent:
        processes.die_with_parent(signal.SIGTERM, parent)
    front = os.getpid()
    keeper = os.fork()
    if keeper == 0:
        _become_keeper(keep, front)
    status = _wait(keeper, STOP_SIGNALS - deaf_to)
    if status >= 0:
        return status
    processes.end_all_descendants()
    after_kill()
    return 128 - status


def _become_keeper(keep: Callable[[], int], front: int) -> None:
    status = 1
    try:
        os.setsid()
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED_SIGNALS)
        processes.adopt_orphans()
        processes.die_with_parent(signal.SIGTERM, front)
        status = keep()
        processes.end_all_descendants()
    except BaseException:
        traceback.print_exc()
        processes.end_all_descendants()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _wait(keeper: int, stop_signals: frozenset[signal.Signals]) -> int:
    while True:
        signum = signal.sigwait(stop_signals | {signal.SIGCHLD})
        if signum in stop_signals:
            os.kill(keeper, signum)
        elif (status := _status_of(keeper)) is not None:
            return status


def _status_of(keeper: int) -> int | None:
    """Its exit status once it ended, or minus the signal; also reaps whatever else came to us."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return None
        if pid == keeper:
            return os.waitstatus_to_exitcode(status)
