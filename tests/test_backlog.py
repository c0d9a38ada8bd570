"""A hundred thousand expired files are gone within minutes, by the rounds that beat rings for.

With ``LONG_BACKLOG=1`` alone: it takes minutes, most of them to write the files. ``BACKLOG_FILES`` sets the number;
`make test-full` takes 20,000.
"""

from __future__ import annotations

import os
import sys
import time

import pytest
from django.contrib.auth.models import User

from exports_app import retention
from exports_app.models import ExportEvent, ExportJob
from tests.jobs import bucket
from tests.removing import denied, make_backlog

pytestmark = [
    pytest.mark.skipif(not os.environ.get("LONG_BACKLOG"), reason="LONG_BACKLOG=1 runs it"),
    pytest.mark.django_db(transaction=True),
]
FILES = int(os.environ.get("BACKLOG_FILES", 100_000))
MINUTES = 10 * FILES / 100_000


def test_the_backlog_is_gone_within_minutes(alice: User, capsys: pytest.CaptureFixture[str]) -> None:
    make_backlog(alice, FILES)
    stuck = ExportJob.objects.order_by("completed_at", "pk")[0]
    began, rounds, removed = time.monotonic(), 0, 0
    with denied(stuck.file_key):
        while (pruned := retention.prune()).more:
            rounds, removed = rounds + 1, removed + pruned.files
    took, rounds, removed = time.monotonic() - began, rounds + 1, removed + pruned.files
    with capsys.disabled():
        rate = f"{removed / took:,.0f} a second"
        sys.stdout.write(f"\n{removed:,} of {FILES:,} expired files removed in {took:.0f} s, {rounds} rounds: {rate}\n")
    assert removed == FILES - 1
    assert [each.key for each in bucket().objects.filter(Prefix=f"exports/{alice.pk}/")] == [stuck.file_key]
    assert ExportEvent.objects.filter(kind="expired").count() == FILES
    assert took < MINUTES * 60
    bucket().Object(stuck.file_key).delete()
