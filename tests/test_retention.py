"""How long rows, addresses and sessions are kept: each for its own number of days."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db.models.functions import Now
from django.utils import timezone

from exports_app import downloads, persons, retention
from exports_app.models import ExportEvent, ExportJob, ExportPerformance, ExportPerson, ExportToken
from tests.jobs import make_job

pytestmark = pytest.mark.django_db


def days(number: int) -> timedelta:
    return timedelta(days=number)


@pytest.mark.parametrize(("setting", "kept"), [(None, 1), (10, 0), (12, 1)])
def test_ended_exports_stay_for_their_days(alice: User, settings: Any, setting: int | None, kept: int) -> None:
    if setting is not None:
        settings.EXPORTS_JOB_DAYS = setting
    make_job(alice, status="cancelled")
    ExportJob.objects.update(created_at=Now() - days(11))
    retention.prune()
    assert ExportJob.objects.count() == kept


@pytest.mark.parametrize(("setting", "kept"), [(None, 1), (10, 0), (12, 1)])
def test_figures_of_runs_stay_for_their_days(alice: User, settings: Any, setting: int | None, kept: int) -> None:
    if setting is not None:
        settings.EXPORTS_PERFORMANCE_DAYS = setting
    ExportPerformance.objects.create(
        owner=alice, resource="customers", format="csv", strategy="job", rows=1, bytes=1, seconds=1.0
    )
    ExportPerformance.objects.update(created_at=Now() - days(11))
    retention.prune()
    assert ExportPerformance.objects.count() == kept


@pytest.mark.parametrize(("setting", "kept"), [(None, 1), (10, 0), (12, 1)])
def test_used_tokens_stay_for_their_days(alice: User, settings: Any, setting: int | None, kept: int) -> None:
    if setting is not None:
        settings.EXPORTS_TOKEN_DAYS = setting
    job = make_job(alice)
    ended = timezone.now() - days(11)
    ExportToken.objects.create(job=job, created_by=alice, digest="0" * 64, expires_at=ended)
    retention.prune()
    assert ExportToken.objects.count() == kept


@pytest.mark.parametrize(("setting", "expected"), [(None, "192.0.2.7"), (10, ""), (12, "192.0.2.7")])
def test_where_a_file_was_fetched_from_is_forgotten_after_its_days(
    alice: User, settings: Any, setting: int | None, expected: str
) -> None:
    if setting is not None:
        settings.EXPORTS_ADDRESS_DAYS = setting
    downloads.keep(make_job(alice), alice, via="login", address="192.0.2.7")
    ExportPerson.objects.update(created_at=Now() - days(11))
    retention.prune()
    ((event, who),) = persons.of_events(list(ExportEvent.objects.filter(kind="downloaded")))
    assert (who.name, who.address, event.data["via"]) == ("alice", expected, "login")


@pytest.mark.parametrize(("clears", "left"), [(True, ["lives"]), (False, ["ended", "lives"])])
def test_sessions_that_ended_are_removed_where_the_project_asks(settings: Any, clears: bool, left: list[str]) -> None:
    settings.EXPORTS_CLEAR_SESSIONS = clears
    for key, hours in {"ended": -1, "lives": 1}.items():
        Session.objects.create(session_key=key, session_data="", expire_date=timezone.now() + timedelta(hours=hours))
    retention.prune()
    assert sorted(Session.objects.values_list("session_key", flat=True)) == left
