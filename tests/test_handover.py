"""Entries with names in them, which the release before writes as long as it runs, are shown and taken over."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from rest_framework.test import APIClient

from exports_app import handover, retention
from exports_app.choices import EventKind, Status
from exports_app.models import ExportEvent, ExportPerson
from tests.web_pages import make_job

pytestmark = pytest.mark.django_db


def fetched_by(user: User, owner: User) -> ExportEvent:
    """As the release before wrote it."""
    job = make_job(owner, Status.COMPLETED)
    data = {"by": user.username, "user": user.pk, "via": "login", "address": "203.0.113.9"}
    return ExportEvent.objects.create(job=job, kind=EventKind.DOWNLOADED, data=data)


def shown(api: APIClient, event: ExportEvent) -> Any:
    (each,) = api.get(f"/api/v1/exports/{event.job_id}/downloads/").json()["results"]
    return [each["by"], each["via"], each["address"]]


def test_the_name_in_an_entry_is_shown_before_and_after_it_leaves(api: APIClient, alice: User, bob: User) -> None:
    event = fetched_by(bob, alice)
    assert shown(api, event) == ["bob", "login", "203.0.113.9"]
    retention.prune()
    event.refresh_from_db()
    person = ExportPerson.objects.get()
    assert (event.data, person.user) == ({"person": str(person.pk), "via": "login"}, bob)
    assert shown(api, event) == ["bob", "login", "203.0.113.9"]


def test_whoever_is_deleted_leaves_no_name_behind(alice: User, bob: User) -> None:
    event = fetched_by(bob, alice)
    bob.delete()
    event.refresh_from_db()
    assert sorted(event.data) == ["person", "via"]
    assert ExportPerson.objects.count() == 0


def test_no_batch_is_left(alice: User, bob: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "BATCH", 2)
    for _ in range(5):
        fetched_by(bob, alice)
    handover.part_persons()
    assert ExportPerson.objects.count() == 5
    assert ExportEvent.objects.filter(data__has_key="by").count() == 0


def test_entries_with_names_are_found_by_their_index() -> None:
    named = ExportEvent.objects.filter(kind=EventKind.DOWNLOADED, data__has_key="by").order_by("pk")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    assert "export_event_named_v1" in named.explain()
