"""A project whose parameters the server binds: what goes to the database at once is composed here."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from exports_app import lifecycle, progress
from exports_app.models import ExportJob
from tests.jobs import finish


@pytest.fixture
def bound(options: dict[str, Any], owner: User) -> None:
    options["server_side_binding"] = True
    connection.close()


def test_jobs_are_claimed_rung_for_and_shown_in_their_places(bound: None, owner: User) -> None:
    jobs = [ExportJob.objects.create(owner=owner, resource="customers", format="csv") for _ in range(2)]
    assert progress.places(jobs) == {jobs[0].pk: 1, jobs[1].pk: 2}
    assert lifecycle.due_queues() == {"exports": 2}
    claimed = lifecycle.claim_next("exports", "test % of 'a' name")
    assert claimed is not None
    assert (claimed.pk, claimed.worker) == (jobs[0].pk, "test % of 'a' name")


def test_an_export_is_made_whole(bound: None, owner: User) -> None:
    job = finish(owner, resource="customers")
    assert (job.status, job.rows_verified) == ("completed", True)
