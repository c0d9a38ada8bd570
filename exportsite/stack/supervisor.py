"""Starts children, sees each one that dies, ends them all.

Signals stay blocked and are taken by `sigtimedwait` in one place (`Supervisor.wait`), so that a request to
stop or a dead child is never handled in the middle of something else.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from exportsite.stack import processes
from exportsite.stack.console import Console
from exportsite.stack.errors import Interrupted, StackError

STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
WATCHED_SIGNALS = STOP_SIGNALS | {signal.SIGCHLD}

PROBE_PAUSE_SECONDS = 0.05
READY_SECONDS = 120.0
# A worker that is asked to stop ends the part it writes; a service has little to do once nobody uses it.
USERS_GRACE_SECONDS = 5.0
SERVICES_GRACE_SECONDS = 3.0
LOG_TAIL_LINES = 12
QUICK_DEATH_SECONDS = 5.0
QUICK_DEATHS_ALLOWED = 5
REVIVE_PAUSE_SECONDS = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What it takes to start one child, and to start it again."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    stop_signal: signal.Signals = signal.SIGTERM
    stops_as_group: bool = False
    """The stop signal goes to its whole process group, as a terminal would send it."""
    is_service: bool = False
    """The others need it until their own end."""
    prepare: Callable[[], None] = lambda: None
    """Done before each start: removes what a killed predecessor left."""
    tidy: Callable[[], None] = lambda: None
    """Done after the end."""


@dataclass(slots=True, kw_only=True)
class Child:
    program: Program
    process: subprocess.Popen[bytes]
    started_at: float
    status: int | None = None
    quick_deaths: int = 0

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def pid(self) -> int:
        return self.process.pid


@dataclass(slots=True)
class Supervisor:
    console: Console
    logs: Path
    revives: bool = False
    """Start a child that died again, instead of stopping."""
    on_revived: Callable[[], None] = lambda: None
    children: list[Child] = field(default_factory=list)

    def start(self, program: Program) -> Child:
        program.prepare()
        try:
            with self.log_of(program.name).open("ab") as log:
                child = self._spawn(program, stdin=subprocess.DEVNULL, output=log)
        except (OSError, subprocess.SubprocessError) as error:
            raise StackError(f"{program.name} does not start: {error}") from error
        self.children.append(child)
        return child

    def start_in_front(self, program: Program) -> Child:
        """A child with our own input and output, whose end is no accident."""
        return self._spawn(program, stdin=None, output=None)

    def run(self, program: Program) -> str:
        """Run a child to its end; what it printed, or StackError."""
        log = self.log_of(program.name)
        offset = log.stat().st_size if log.exists() else 0
        child = self.start(program)
        self.children.remove(child)  # its end is no accident
        status = self.finish(child)
        if status:
            raise StackError(f"{program.name} {_describe(status)}{self.tail(program.name)}")
        return log.read_bytes()[offset:].decode()

    def finish(self, child: Child) -> int:
        """Wait for the end of one child while the others live."""
        while child.status is None:
            self.wait(1.0, also=(child,))
        return child.status

    def await_ready(self, name: str, probe: Callable[[], None], seconds: float = READY_SECONDS) -> None:
        """Try `probe` until it raises nothing."""
        give_up_at = time.monotonic() + seconds
        while True:
            try:
                return probe()
            except (Interrupted, StackError):
                raise
            except Exception as error:
                if time.monotonic() > give_up_at:
                    raise StackError(f"{name} gave no answer in {seconds:.0f} s: {error}{self.tail(name)}") from error
            self.wait(PROBE_PAUSE_SECONDS)

    def wait(self, seconds: float, also: Iterable[Child] = ()) -> None:
        """Sleep; wakes early when a child dies, raises when the stack is asked or has to stop."""
        info = signal.sigtimedwait(WATCHED_SIGNALS, seconds)
        self._reap((*self.children, *also))
        if info is not None and info.si_signo in STOP_SIGNALS:
            raise Interrupted(info.si_signo)
        for child in list(self.children):
            if child.status is not None:
                self._bury(child)

    def stop(self, children: Iterable[Child], *, grace: float, signum: signal.Signals | None = None) -> None:
        """End these children: each by the signal it likes, those that linger by SIGKILL with their group."""
        children = list(children)
        doomed = [child for child in children if child.status is None]
        for child in doomed:
            send = _signal_group if child.program.stops_as_group else _signal_child
            send(child, signum or child.program.stop_signal)
        kill_at = time.monotonic() + grace
        while any(child.status is None for child in doomed):
            if time.monotonic() > kill_at:
                for child in doomed:
                    _signal_group(child, signal.SIGKILL)
            signal.sigtimedwait(WATCHED_SIGNALS, PROBE_PAUSE_SECONDS)
            self._reap(doomed)
        for child in children:
            child.program.tidy()
        self.children = [child for child in self.children if child not in children]

    def stop_all(self) -> None:
        services = [child for child in self.children if child.program.is_service]
        self.stop([child for child in self.children if child not in services], grace=USERS_GRACE_SECONDS)
        self.stop(services, grace=SERVICES_GRACE_SECONDS)

    def log_of(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def tail(self, name: str) -> str:
        try:
            lines = self.log_of(name).read_text(errors="replace").splitlines()
        except OSError:
            return ""
        shown = "\n".join(f"    {line}" for line in lines[-LOG_TAIL_LINES:])
        return f"\n  the last lines of {self.log_of(name)}:\n{shown}" if lines else ""

    def _spawn(self, program: Program, *, stdin: int | None, output: IO[bytes] | None) -> Child:
        parent = os.getpid()

        def in_child() -> None:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            processes.die_with_parent(signal.SIGKILL, parent)

        process = subprocess.Popen(
            program.argv,
            env=dict(program.env),
            cwd=program.cwd,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            start_new_session=True,
            preexec_fn=in_child,  # safe, as this process has one thread
        )
        return Child(program=program, process=process, started_at=time.monotonic())

    def _reap(self, known: Iterable[Child]) -> None:
        """Take every ended process, adopted orphans too, and note the end of those we know."""
        by_pid = {child.pid: child for child in known}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if (child := by_pid.get(pid)) is not None:
                child.status = child.process.returncode = os.waitstatus_to_exitcode(status)

    def _bury(self, child: Child) -> None:
        end = f"{child.name} {_describe(child.status or 0)}"
        if not self.revives:
            raise StackError(end + self.tail(child.name))
        self.children.remove(child)
        quick = time.monotonic() - child.started_at < QUICK_DEATH_SECONDS
        deaths = child.quick_deaths + 1 if quick else 0
        if deaths > QUICK_DEATHS_ALLOWED:
            raise StackError(f"{end}, for the {deaths}th time in a row{self.tail(child.name)}")
        self.console.fail(f"{end}, starting it again{self.tail(child.name)}")
        time.sleep(REVIVE_PAUSE_SECONDS * deaths)
        self.start(child.program).quick_deaths = deaths
        self.on_revived()


def _describe(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def _signal_child(child: Child, signum: int) -> None:
    if child.status is None:
        os.kill(child.pid, signum)  # not reaped yet, so the number is still its own


def _signal_group(child: Child, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signum)
