"""``manage.py prune_exports``: what beat does by itself, by hand."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from exports_app import orphans, retention

AS_LONG_AS_IT_TAKES = float("inf")


class Command(BaseCommand):
    help = "Delete expired export files, and rows past their time."

    def handle(self, *args: Any, **options: Any) -> None:
        pruned = retention.prune(AS_LONG_AS_IT_TAKES)
        leftovers = retention.clean_leftovers(AS_LONG_AS_IT_TAKES)
        retention.bury(AS_LONG_AS_IT_TAKES)
        orphans.sweep(AS_LONG_AS_IT_TAKES)  # says in the log what it removed
        self.stdout.write(
            f"Deleted {pruned.files} expired files, {leftovers} leftovers, "
            f"{pruned.jobs} old exports, {pruned.performance} old figures, {pruned.tokens} old tokens."
        )
