"""Faults of a pooler between the site and its database; ``Scene.there`` is that pooler."""

from __future__ import annotations

import time
from collections.abc import Callable

from chaos import processes
from chaos.catalogue import fault
from chaos.scene import Scene
from chaos.site import LEASE
from chaos.stores import completed, database, no_attempt_used
from exports_app.choices import Status
from exports_app.models import ExportJob

END = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> 'chaos'
"""


def three_times(scene: Scene, act: Callable[[], None]) -> None:
    """At random moments of three exports, which lose nothing by it."""
    scene.slow()
    scene.ask(3)
    scene.until_running(scene.jobs[0])
    for _ in range(3):
        scene.pause(1.5)
        act()
    completed(scene)
    no_attempt_used(scene)


@fault("P1", "PgBouncer SIGKILL, back at once, three times", "goes on, no attempt used")
def restarted(scene: Scene) -> None:
    def again() -> None:
        scene.there.stop()
        scene.there.start()

    three_times(scene, again)


@fault("P2", "PgBouncer gone for longer than a lease", "goes on, no attempt used, nobody taken for lost")
def gone_for_long(scene: Scene) -> None:
    job = scene.under_way()
    scene.there.stop()
    time.sleep(LEASE + 2 + 2 * scene.rng.random())
    scene.there.start()
    completed(scene)
    no_attempt_used(scene)
    scene.expect(not job.events.filter(kind="lost").exists(), "its worker was taken for lost")


@fault("P3", "pool child SIGKILL amid a chunk", "taken back after its lease, goes on behind the last part")
def child_killed(scene: Scene) -> None:
    processes.child_killed(scene)


@fault("P4", "every connection of the pooler to the server ended, three times", "goes on, no attempt used")
def connections_ended(scene: Scene) -> None:
    def end() -> None:
        with database() as connection:
            connection.execute(END)

    three_times(scene, end)


@fault("P5", "twenty exports at once, which want more connections than the pooler has", "slower, not stuck")
def crowded(scene: Scene) -> None:
    scene.site.add_worker(processes=4)
    scene.ask(20)
    most = 0

    def ended() -> bool:
        nonlocal most
        jobs = ExportJob.objects.filter(pk__in=[job.pk for job in scene.jobs])
        most = max(most, jobs.filter(status=Status.RUNNING).count())
        return jobs.filter(status=Status.COMPLETED).count() == len(scene.jobs)

    scene.until("all to complete", ended)
    no_attempt_used(scene)
    scene.notes.append(f"{most} at once")
