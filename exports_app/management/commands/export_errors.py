"""``manage.py export_errors``: every way an export can fail, as docs/reliability.md shows it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from exports_app.pipeline import errors
from exports_app.pipeline.errors import PipelineError


class Command(BaseCommand):
    help = "Print the table of errors: code, what follows, the sentence for the user, advice for the operator."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(table())


def table() -> str:
    """The table in Markdown, from the classes themselves."""
    rows = [
        f"| `{each.code}` | {each.__name__} | {_follows(each)} | {str(each()).strip()} | {each.advice or _BUG} |"
        for each in sorted(errors.every(), key=lambda each: (not each.terminal, each.code, each.__name__))
    ]
    return "\n".join(
        ["| code | error | what follows | for the user | for the operator |", "|---|---|---|---|---|", *rows]
    )


_BUG = "A bug: the traceback is on the job, in the admin."


def _follows(error: type[PipelineError]) -> str:
    if error.terminal:
        return "ends, one run"
    if error.free:
        return "starts over at once, no attempt used"
    if error.runs is not None:
        return f"starts over, {error.runs} runs"
    return "waited out, no attempt used" if error.outage else "tried again, uses an attempt"
