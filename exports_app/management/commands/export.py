"""``manage.py export``: one export to a file or to standard output, without a worker."""

from __future__ import annotations

import secrets
import sys
import time
from argparse import ArgumentParser
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from exports_app import errors
from exports_app.pipeline.errors import PipelineError
from exports_app.pipeline.parts import part_size
from exports_app.pipeline.sinks.local import LocalStore
from exports_app.pipeline.sinks.stream import StreamSink
from exports_app.pipeline.types import Progress, Sink, Upload
from exports_app.plan import Plan, Request, as_spelled, make_plan
from exports_app.traces import said

WRONG_USE = 2


class Command(BaseCommand):
    help = "Export a resource as a user would, to a file or to standard output (-)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("resource", help="name of the resource; export_resources lists them")
        parser.add_argument("--user", required=True, help="username whose permissions and rows apply")
        parser.add_argument("--format", default="csv", help="file format (default: csv)")
        parser.add_argument("--columns", help="names, separated by commas (default: all)")
        parser.add_argument("--filter", action="append", default=[], metavar="K=V", help="may be given often")
        parser.add_argument("--option", action="append", default=[], metavar="K=V", help="may be given often")
        parser.add_argument("--limit", type=int, help="rows at most")
        parser.add_argument("--gzip", action="store_true", help="compress the file")
        parser.add_argument("--output", required=True, metavar="FILE", help="where to, - for standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        plan = self._plan(options)
        began = time.monotonic()
        try:
            with (
                _sink(options["output"]) as sink,
                closing(plan.open_source()) as source,
                closing(plan.counter(source)) as counter,
                closing(plan.write(source, sink, part_size=part_size, counter=counter)) as steps,
            ):
                last = self._follow(steps, plan)
        except (PipelineError, OSError) as error:
            raise CommandError(f"The export failed: {error}{_cause(error)}", returncode=1) from error
        seconds = time.monotonic() - began
        rate = last.rows / max(seconds, 0.001)
        self.stderr.write(
            f"{last.rows:,} rows, {last.bytes:,} bytes in {seconds:.2f} s ({rate:,.0f} rows/s), crc32 {last.crc32:08x}",
        )

    def _plan(self, options: dict[str, Any]) -> Plan:
        model = get_user_model()
        user = model._default_manager.filter(**{model.USERNAME_FIELD: options["user"]}).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']}.", returncode=WRONG_USE)
        if options["limit"] is not None and options["limit"] < 1:
            raise CommandError("--limit must be 1 or more.", returncode=WRONG_USE)
        columns = options["columns"]
        request = Request(
            resource=options["resource"],
            format=options["format"],
            compression="gzip" if options["gzip"] else None,
            columns=[name.strip() for name in columns.split(",")] if columns is not None else None,
            filters=_pairs(options["filter"]),
            limit=options["limit"],
            options={name: _option(value) for name, value in _pairs(options["option"]).items()},
        )
        try:
            return make_plan(as_spelled(request), user)
        except errors.ExportError as error:
            code = 1 if isinstance(error, errors.BadQuery) else WRONG_USE
            raise CommandError(f"{error}{_named(error.errors)}", returncode=code) from error

    def _follow(self, steps: Iterator[Progress], plan: Plan) -> Progress:
        """Exhaust the steps, with a bar where a person watches."""
        last = Progress(rows=0, bytes=0)
        if not sys.stderr.isatty():
            return deque(steps, maxlen=1).pop()
        from tqdm import tqdm

        from exports_app.estimates import estimate_rows

        with tqdm(total=estimate_rows(plan).rows, unit=" rows", unit_scale=True, desc=plan.resource.name) as bar:
            for last in steps:
                bar.update(last.rows - bar.n)
        return last


def _sink(output: str) -> Sink:
    """A file that is there only when whole; what is no plain file is written straight to."""
    if output == "-":
        return StreamSink(sys.stdout.buffer)
    path = Path(output)
    if path.exists() and not path.is_file():
        if path.is_dir():
            raise CommandError(f"{output} is a folder.", returncode=WRONG_USE)
        return StreamSink(path.open("wb"))
    if not path.absolute().parent.is_dir():
        raise CommandError(f"There is no folder {path.absolute().parent}.", returncode=WRONG_USE)
    upload = Upload(key=path.name, token=secrets.token_hex(4))
    return LocalStore(path.absolute().parent).open(upload)


def _pairs(given: Sequence[str]) -> dict[str, Any]:
    """``["a=1", "b=2", "b=3"]`` to ``{"a": "1", "b": ["2", "3"]}``."""
    pairs: dict[str, Any] = {}
    for each in given:
        name, separator, value = each.partition("=")
        if not separator or not name:
            raise CommandError(f"{each!r} is not of the form name=value.", returncode=WRONG_USE)
        if name in pairs:
            known = pairs[name]
            pairs[name] = [*(known if isinstance(known, list) else [known]), value]
        else:
            pairs[name] = value
    return pairs


def _option(value: Any) -> Any:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _named(nested: Any) -> str:
    """The first field of nested errors, in words."""
    if not nested:
        return ""
    name, value = next(iter(nested.items()))
    if isinstance(value, dict):
        return _named(value)
    first = value[0] if isinstance(value, list) and value else value
    return f" {name}: {first}"


def _cause(error: BaseException) -> str:
    return f" ({said(error.__cause__)})" if error.__cause__ else ""
