from __future__ import annotations

import argparse
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.utils import OperationalError

from exportsite.samples import loading

LOCK_NOT_AVAILABLE = "55P03"  # SQLSTATE


def number_of_rows(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


class Command(BaseCommand):
    help = "Replace the sample data by rows that depend on their number and the seed alone."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--rows",
            type=number_of_rows,
            required=True,
            help="Transactions, and as many customers; the other tables in proportion.",
        )
        parser.add_argument("--seed", type=int, default=1, help="Another seed, other rows. Default: 1.")

    def handle(self, *args: Any, rows: int, seed: int, **options: Any) -> None:
        started = time.monotonic()
        try:
            counts = loading.load(rows=rows, seed=seed)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            raise CommandError("Exports are reading the samples. Try again when they have ended.") from error
        for name, count in counts.items():
            self.stdout.write(f"{count:>12,} {name.replace('_', ' ')}")
        self.stdout.write(f"{time.monotonic() - started:>12.1f} seconds")
