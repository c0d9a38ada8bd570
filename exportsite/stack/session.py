"""One use of a stack from start to end: to serve people, or to serve a command."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from exportsite.stack import first_export, processes
from exportsite.stack.console import Console
from exportsite.stack.errors import Interrupted, StackError
from exportsite.stack.folder import Folder
from exportsite.stack.ports import claim_ports
from exportsite.stack.s3 import remove_sockets
from exportsite.stack.stack import Stack
from exportsite.stack.supervisor import Program, Supervisor

PORTS_FILE = "ports.json"
USUAL_WEB_PORT = 8000
COMMAND_GRACE_SECONDS = 3.0
COMMAND_NOT_FOUND = 127
IDLE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    rows: int
    workers: int
    web_port: int | None
    services_only: bool
    revives: bool
    command: tuple[str, ...]
    """Empty: serve until stopped."""
    root: Path
    is_scratch: bool


def hold(options: Options) -> int:
    """Bring a stack up, use it, end it; the exit status."""
    console = Console(sys.stderr if options.command else sys.stdout)
    try:
        folder = Folder(options.root, is_scratch=options.is_scratch)
    except StackError as error:
        console.fail(str(error))
        return 1
    supervisor = Supervisor(console, folder.logs)
    try:
        return _use(_make_stack(options, folder, console, supervisor), options)
    except (StackError, OSError) as error:
        console.fail(str(error))
        return 1
    except Interrupted as error:
        console.step(f"asked to stop by {signal.Signals(error.signum).name}")
        return 128 + error.signum
    finally:
        supervisor.stop_all()
        processes.end_all_descendants()
        folder.remove_if_scratch()
        console.step("everything is ended")


def clean_up_after_kill(options: Options) -> None:
    """What `hold` would have done last, had it not been killed; its processes are gone."""
    with contextlib.suppress(OSError, ValueError):
        remove_sockets(json.loads((options.root / PORTS_FILE).read_text()))
    if options.is_scratch:
        shutil.rmtree(options.root, ignore_errors=True)


def _make_stack(options: Options, folder: Folder, console: Console, supervisor: Supervisor) -> Stack:
    before: dict[str, int] = folder.read(PORTS_FILE) or {}
    ports = claim_ports(preferred=before.get("base"))
    try:
        if options.web_port:
            ports.use_for_web(options.web_port)
    except OSError as error:
        raise StackError(f"port {options.web_port} is taken: choose another with --web-port") from error
    if not options.web_port and not options.command:
        with contextlib.suppress(OSError):
            ports.use_for_web(USUAL_WEB_PORT)
    folder.write(PORTS_FILE, json.dumps({"base": ports.base, **ports.numbers}))
    return Stack(folder, console, supervisor, ports)


def _use(stack: Stack, options: Options) -> int:
    stack.start_services()
    tokens = {} if options.services_only else stack.start_site(workers=options.workers, rows=options.rows)
    if options.command:
        return _run_command(stack, tokens, options)
    first_export.make(stack.url, tokens["demo"], stack.supervisor, stack.console)
    _greet(stack)
    return _serve(stack, options)


def _run_command(stack: Stack, tokens: dict[str, str], options: Options) -> int:
    """The command, with all it needs to know in its environment; its exit status as a shell gives it."""
    program = Program(
        name=options.command[0],
        argv=options.command,
        env=stack.env | _about(stack, tokens),
        cwd=Path.cwd(),
        stops_as_group=True,
    )
    supervisor = stack.supervisor
    supervisor.revives, supervisor.on_revived = options.revives, stack.write_state
    try:
        command = supervisor.start_in_front(program)
    except OSError as error:
        stack.console.fail(f"{program.name} does not start: {error.strerror}")
        return COMMAND_NOT_FOUND
    try:
        status = supervisor.finish(command)
    except Interrupted as error:
        supervisor.stop([command], grace=COMMAND_GRACE_SECONDS, signum=signal.Signals(error.signum))
        raise
    except StackError:
        supervisor.stop([command], grace=COMMAND_GRACE_SECONDS)
        raise
    return status if status >= 0 else 128 - status


def _about(stack: Stack, tokens: dict[str, str]) -> dict[str, str]:
    about = {"EXPORTSITE_STATE": str(stack.state_file)}
    if tokens:
        about |= {
            "EXPORTSITE_URL": stack.url,
            "EXPORTSITE_TOKEN": tokens["demo"],
            "EXPORTSITE_ADMIN_TOKEN": tokens["admin"],
        }
    return about


def _greet(stack: Stack) -> None:
    stack.console.card(
        f"Open {stack.url}/",
        [
            ("logins", "demo / demo    bob / bob    admin / admin (operator)"),
            ("API", f"{stack.url}/api/docs/"),
            ("logs", f"{stack.supervisor.logs}"),
            ("stop", "Ctrl-C"),
        ],
    )


def _serve(stack: Stack, options: Options) -> int:
    stack.supervisor.revives, stack.supervisor.on_revived = options.revives, stack.write_state
    try:
        while True:
            stack.supervisor.wait(IDLE_SECONDS)
    except Interrupted:
        stack.console.step("stopping")
        return 0  # what it was waiting for
