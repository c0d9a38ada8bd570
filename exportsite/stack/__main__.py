from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from exportsite.stack import lifeline
from exportsite.stack.folder import scratch_place
from exportsite.stack.session import Options, clean_up_after_kill, hold

DEFAULT_FOLDER = Path(".stack")
DEFAULT_ROWS = 250_000
LAST_STANDARD_STREAM = 2


def main(arguments: Sequence[str]) -> int:
    own, command = _split(arguments)
    parser = _parser()
    given = parser.parse_args(own)
    if given.use == "run" and not command:
        parser.error("run needs a command: … run -- pytest")
    if given.use == "up" and command:
        parser.error("up takes no command; run does")
    if sys.platform != "linux":
        parser.error("this needs Linux; elsewhere, docker-compose.yml brings the same services up")
    _open_standard_streams()
    _keep_proxies_out()
    options = Options(
        rows=given.rows,
        workers=given.workers,
        web_port=given.web_port,
        services_only=given.use == "run" and given.services_only,
        revives=given.on_death == "restart",
        command=command,
        root=given.data or scratch_place(),
        is_scratch=given.data is None,
    )
    return lifeline.run_guarded(
        lambda: hold(options),
        after_kill=lambda: clean_up_after_kill(options),
        follow_parent=given.follow_parent,
    )


def _split(arguments: Sequence[str]) -> tuple[Sequence[str], tuple[str, ...]]:
    """Our words, and those of the command after `--`."""
    if "--" not in arguments:
        return arguments, ()
    at = list(arguments).index("--")
    return arguments[:at], tuple(arguments[at + 1 :])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m exportsite.stack",
        description="Real PostgreSQL, Redis, S3, web and workers on this machine. A service whose variable "
        "(DATABASE_URL, REDIS_URL, AWS_ENDPOINT_URL_S3) is set is used, not started.",
    )
    uses = parser.add_subparsers(dest="use", required=True)
    up = uses.add_parser("up", help="start all, make a first export, serve until Ctrl-C")
    run = uses.add_parser("run", help="start all on free ports, run a command: run [options] -- CMD…")
    for use in (up, run):
        _add_common(use)
    up.set_defaults(data=DEFAULT_FOLDER, on_death="stop")
    run.set_defaults(on_death="restart")
    run.add_argument("--services-only", action="store_true", help="PostgreSQL, Redis and S3 alone")
    return parser


def _add_common(use: argparse.ArgumentParser) -> None:
    use.add_argument("--data", type=Path, help="the data folder (up: .stack; run: one that goes with it)")
    use.add_argument("--rows", type=_count, default=DEFAULT_ROWS, help="sample rows (%(default)s)")
    use.add_argument("--workers", type=_count, default=1, help="worker processes per queue (%(default)s)")
    use.add_argument("--web-port", type=int, help="the port of the site (up: 8000 if free)")
    use.add_argument("--on-death", choices=["stop", "restart"], help="when one of the processes dies")
    use.add_argument("--follow-parent", action="store_true", help="stop when the calling process ends")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _open_standard_streams() -> None:
    """Where the caller closed input or output, have no file of ours take its number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= LAST_STANDARD_STREAM:
        pass
    os.close(descriptor)


def _keep_proxies_out() -> None:
    """Calls to this machine's own address go straight there."""
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1", "localhost"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
