"""Faults of a Redis that sentinels watch; ``Scene.there`` is that group."""

from __future__ import annotations

from chaos.catalogue import fault
from chaos.processes import resumed
from chaos.scene import Scene
from chaos.stores import completed, no_attempt_used

EXPORTS = 6


def under_way(scene: Scene) -> None:
    scene.slow()
    scene.ask(EXPORTS)
    scene.until_running(scene.jobs[0])
    scene.pause(1.5)


def one_run_each(scene: Scene) -> None:
    completed(scene)
    no_attempt_used(scene)
    claims = [scene.now(job).claim for job in scene.jobs]
    scene.expect(set(claims) == {1}, f"runs: {claims}")


@fault("N1", "the master SIGKILL amid six exports", "another is found; all complete in one run, a new one as well")
def master_killed(scene: Scene) -> None:
    under_way(scene)
    before = scene.there.master()
    scene.there.kill_master()
    scene.ask()
    one_run_each(scene)
    scene.there.bring_back(before)


@fault("N2", "the sentinels hand over while the master lives", "as N1")
def handed_over(scene: Scene) -> None:
    under_way(scene)
    scene.there.hand_over()
    scene.ask()
    one_run_each(scene)


@fault("N3", "the master and a pool child SIGKILL at once", "taken back after its lease, goes on behind the last part")
def both_killed(scene: Scene) -> None:
    job = scene.under_way()
    before = scene.there.master()
    scene.kill_child(job)
    scene.there.kill_master()
    scene.until_ended()
    resumed(scene, job)
    scene.there.bring_back(before)


@fault("N4", "two of three sentinels gone, and the workers started anew", "the master is found by the third")
def sentinels_gone(scene: Scene) -> None:
    gone = scene.there.numbers[2:4]
    for port in gone:
        scene.there.kill(port)
    scene.site.restart_workers({})
    scene.ask(EXPORTS)
    one_run_each(scene)
    scene.there.bring_back_sentinels(*gone)
