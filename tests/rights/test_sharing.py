"""Sharing is no burden for who receives, and no directory of who there is."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from exports_app import sharing
from exports_app.models import ExportJob, ExportPreset, ExportShare
from tests.jobs import make_job
from tests.rights.test_tables_of_a_file import As

pytestmark = pytest.mark.django_db(transaction=True)
PRESET = {"name": "mine", "resource": "customers"}


def test_a_receiver_leaves_an_export(alice: User, bob: User, as_user: As, client: Client) -> None:
    job = make_job(alice)
    job.shared_with.add(bob)
    client.force_login(bob)
    assert f'id="leave-{job.pk}"' in client.get("/exports/").content.decode()
    assert as_user(bob).post(f"/api/v1/exports/{job.pk}/leave/").status_code == 204
    assert as_user(bob).get(f"/api/v1/exports/{job.pk}/").status_code == 404
    assert ExportJob.objects.get().deleted_at is None
    assert "leave-" not in client.get("/exports/").content.decode()


def test_a_receiver_leaves_a_preset(api: APIClient, bob: User, as_user: As) -> None:
    made = api.post("/api/v1/presets/", PRESET | {"shared_with": ["bob"]}).json()
    assert as_user(bob).post(f"/api/v1/presets/{made['id']}/leave/").status_code == 204
    assert as_user(bob).get("/api/v1/presets/").json()["results"] == []
    assert ExportPreset.objects.count() == 1


def test_a_name_of_any_length_is_nobodys(alice: User, client: Client) -> None:
    client.force_login(alice)
    answer = client.post(f"/exports/{make_job(alice).pk}/share/", {"username": "x" * 5_000}, follow=True)
    assert answer.status_code == 200
    assert ExportShare.objects.get().name == "x" * 254


@pytest.mark.parametrize("way", ["request", "preset", "page"])
def test_names_that_one_may_try_within_an_hour_are_bounded(
    alice: User, bob: User, api: APIClient, client: Client, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(sharing, "MAX_NAMES", 3)
    job = make_job(alice)
    client.force_login(alice)

    def tried(name: str) -> str:
        if way == "request":
            return str(api.post("/api/v1/exports/", {"resource": "customers", "shared_with": [name]}).content.decode())
        if way == "preset":
            return str(api.post("/api/v1/presets/", PRESET | {"name": name, "shared_with": [name]}).content.decode())
        return client.post(f"/exports/{job.pk}/share/", {"username": name}, follow=True).content.decode()

    for name in ("eve", "mallory", "trent", "eve"):  # the same name again is no further one
        assert f"There is no user {name}." in tried(name)
    assert "3 are allowed" in tried("bob")
    assert ExportShare.objects.count() == 3
