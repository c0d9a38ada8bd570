"""Faults while 100,000 exports of 20 people wait."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import QuerySet

from chaos.catalogue import fault
from chaos.processes import broker
from chaos.scene import Scene, demo
from exports_app import api_keys, keys
from exports_app.choices import ACTIVE, Status
from exports_app.models import ExportJob

JOBS, PEOPLE = 100_000, 20
AT_ONCE = 500
"""Rows of one transaction, each of which changes the turn of its owner."""
CHECKED = 40
SHARE = 3
"""So many times as much as another at most is served to one: who has an export on a lost worker waits for its lease."""
SERVED_SECONDS = 20.0
"""Within which somebody who asks for the first time has a file of one row, whoever waits."""
COPY = """
INSERT INTO exports_app_exportjob ({names}, id, owner_id, created_at)
SELECT {names}, gen_random_uuid(), (%(owners)s::bigint[])[1 + n %% %(people)s], created_at
  FROM exports_app_exportjob, generate_series(1, %(jobs)s) AS n WHERE id = %(id)s
"""

WITHDRAW = """
UPDATE exports_app_exportjob SET status = 'cancelled', completed_at = now()
 WHERE id IN (SELECT id FROM exports_app_exportjob WHERE status = 'queued' AND owner_id = ANY(%(owners)s)
               LIMIT 5000 FOR UPDATE SKIP LOCKED)
"""


@contextmanager
def long_queue(scene: Scene) -> Iterator[QuerySet[ExportJob]]:
    """The jobs of those who wait; behind it none waits or runs any more, and some that ended are checked."""
    model: Any = get_user_model()
    people = [model.objects.get_or_create(username=f"waiting{n}", is_superuser=True)[0] for n in range(PEOPLE)]
    theirs = ExportJob.objects.filter(owner__in=people)
    for worker in scene.site.workers:
        worker.kill_group()  # until all wait
    first = scene.ask(user=people[0], limit=1)
    own = {"id", "owner_id", "created_at"}
    names = ", ".join(f'"{each.column}"' for each in ExportJob._meta.local_concrete_fields if each.column not in own)
    values: Any = {"owners": [each.pk for each in people], "people": PEOPLE, "jobs": AT_ONCE, "id": first.pk}
    with connection.cursor() as cursor:
        for _ in range(JOBS // AT_ONCE):
            cursor.execute(COPY.format(names=names), values)
    scene.site.revive()
    try:
        yield theirs
    finally:
        with connection.cursor() as cursor:
            cursor.execute(WITHDRAW, values)
            while cursor.rowcount:
                cursor.execute(WITHDRAW, values)
        scene.jobs.remove(first)
        scene.until("those that run to end", lambda: not theirs.filter(status__in=ACTIVE).exists())
        scene.jobs += theirs.exclude(status=Status.CANCELLED)[:CHECKED]


def done(theirs: QuerySet[ExportJob]) -> int:
    return theirs.filter(status=Status.COMPLETED).count()


def go_on(scene: Scene, theirs: QuerySet[ExportJob], more: int = 40) -> None:
    before = done(theirs)
    scene.until(f"{more} more of those who wait", lambda: done(theirs) >= before + more)


def asked_beside(scene: Scene) -> None:
    """Somebody asks who has not asked before."""
    token = api_keys.create(demo(), name="queue", scopes=keys.SCOPES)[1]
    began = time.monotonic()
    job = scene.ask(limit=1)
    status, told, _ = scene.site.call("GET", "/api/v1/exports/", token)
    answered = time.monotonic() - began
    scene.expect(status == 200 and told["results"][0]["id"] == str(job.pk), f"the list answers {status}")
    scene.until("the newcomer's file", lambda: scene.now(job).status == Status.COMPLETED, SERVED_SECONDS)
    served = time.monotonic() - began
    scene.notes.append(f"one more asked and listed in {answered * 1000:.0f} ms, served after {served:.1f} s")


@fault(
    "Q1",
    "100,000 exports of twenty people wait: one more person asks, a worker group SIGKILL, Redis emptied",
    "nobody is left out, nothing fails, and the queue goes on",
)
def long_queue_broken(scene: Scene) -> None:
    with long_queue(scene) as theirs:
        go_on(scene, theirs)
        asked_beside(scene)
        go_on(scene, theirs)
        finished = Counter(theirs.filter(status=Status.COMPLETED).values_list("owner_id", flat=True))
        scene.expect(len(finished) == PEOPLE, f"only {len(finished)} of {PEOPLE} people were served")
        scene.expect(max(finished.values()) - min(finished.values()) <= 4, f"not in turn: {sorted(finished.values())}")
        scene.site.workers[0].kill_group()
        go_on(scene, theirs)
        broker().flushall()
        go_on(scene, theirs)
        served = Counter(theirs.filter(claim__gt=0).values_list("owner_id", flat=True))
    scene.expect(len(served) == PEOPLE, f"only {len(served)} of {PEOPLE} people were served")
    scene.expect(max(served.values()) <= SHARE * min(served.values()), f"not in turn: {sorted(served.values())}")
    failed = theirs.filter(status=Status.FAILED).count()
    scene.expect(failed == 0, f"{failed} failed")
    scene.notes.append(f"{served.total()} begun, {min(served.values())} to {max(served.values())} of each")
