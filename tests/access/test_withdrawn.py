"""A permission that is withdrawn, and exports that are switched off: how a run ends, and that no byte is served after.

Of an export of `customers`; Bob has it shared, and keeps or loses his own permission.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import django_filters as df
import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from exports_app import downloads, services, storage
from exports_app.choices import Status
from exports_app.models import ExportJob
from exports_app.pipeline.types import Progress
from exports_app.plan import Request
from exportsite.samples.filters import TransactionFilter
from tests.access.matrix import STATES, by_export, elsewhere
from tests.access.test_matrix import ask
from workers import run

pytestmark = pytest.mark.django_db(transaction=True)


def ask_for(resource: str, columns: list[str] | None = None) -> Request:
    return Request(resource=resource, format="csv", columns=columns)


@pytest.fixture
def job(alice: User, bob: User) -> ExportJob:
    call_command("load_samples", rows=50, verbosity=0)
    made, _ = services.request_export(alice, ask_for("customers"))
    made.shared_with.add(bob)
    return made


def as_user(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(User.objects.get(pk=user.pk))
    return client


def serves_nothing(job: ExportJob, *users: User, token: str | None = None) -> None:
    """Neither the API nor the pages nor a link give the file, or a link to it, to any of them."""
    path = f"/api/v1/exports/{job.pk}/"
    for user in users:
        api, browser = as_user(user), Client()
        browser.force_login(user)
        assert api.get(path).json()["download_url"] is None
        assert api.get(f"{path}download/").status_code in (403, 409)
        assert api.post(f"{path}token/").status_code in (403, 409)
        assert browser.get(f"/exports/{job.pk}/download/").status_code in (403, 409)
    if token is not None:
        assert APIClient().get(f"{path}download/", {"token": token}).status_code == 403
        assert Client().post(f"/exports/{job.pk}/link/", {"token": token}).status_code == 403


def leaves_no_object(job: ExportJob) -> bool:
    return not job.file_key or not storage.exports_storage().exists(job.file_key)


def test_while_queued_it_ends_the_job(job: ExportJob, alice: User, bob: User) -> None:
    alice.user_permissions.clear()
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.error_code, job.row_count) == (Status.FAILED, "permission_lost", None)
    serves_nothing(job, alice, bob)


WITHDRAWALS: dict[str, Any] = {
    "the permission": lambda user: user.user_permissions.clear(),
    "the account": lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
}


@pytest.mark.parametrize("what", WITHDRAWALS)
@pytest.mark.parametrize("every", [0.0, 3_600.0], ids=["between chunks", "before the file is given out"])
def test_while_running_it_ends_the_job_and_removes_what_is_written(
    job: ExportJob, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch, what: str, every: float
) -> None:
    followed = run.Run._note_chunk
    seen: list[int] = []

    def withdraw(self: run.Run, progress: Progress) -> None:
        WITHDRAWALS[what](alice)
        seen.append(progress.chunk_rows)
        followed(self, progress)

    monkeypatch.setattr(run, "RIGHTS_SECONDS", every)
    monkeypatch.setattr(run.Run, "_note_chunk", withdraw)
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert seen == [50]
    assert (job.status, job.error_code, job.row_count) == (Status.FAILED, "permission_lost", None)
    assert leaves_no_object(job)
    User.objects.filter(pk=alice.pk).update(is_active=True)
    serves_nothing(job, alice, bob)


def test_after_completion_the_file_is_out_of_reach_by_every_way(job: ExportJob, alice: User, bob: User) -> None:
    assert run.run_next("exports") is None
    job.refresh_from_db()
    token = downloads.make_token(job, alice).token
    assert as_user(bob).get(f"/api/v1/exports/{job.pk}/download/").status_code == 302
    alice.user_permissions.clear()
    bob.user_permissions.clear()
    serves_nothing(job, alice, bob, token=token)
    job.refresh_from_db()
    assert job.status == Status.COMPLETED
    admin = as_user(User.objects.create_superuser("admin"))
    assert admin.get(f"/api/v1/exports/{job.pk}/").json()["download_url"] is None
    alice.user_permissions.set(Permission.objects.filter(codename="view_customer"))
    assert admin.get(f"/api/v1/exports/{job.pk}/").json()["download_url"]


def test_who_has_it_shared_needs_the_permission_too(job: ExportJob, alice: User, bob: User) -> None:
    assert run.run_next("exports") is None
    bob.user_permissions.clear()
    serves_nothing(job, bob)
    assert as_user(alice).get(f"/api/v1/exports/{job.pk}/").json()["download_url"] is not None


def test_a_sensitive_column_that_is_forbidden_later_takes_the_file_with_it(alice: User) -> None:
    call_command("load_samples", rows=20, verbosity=0)
    card = Permission.objects.get(codename="view_card")
    alice.user_permissions.add(card)
    alice = User.objects.get(pk=alice.pk)
    job, _ = services.request_export(alice, ask_for("transactions", columns=["id", "card_number"]))
    assert run.run_next("exports") is None
    assert as_user(alice).get(f"/api/v1/exports/{job.pk}/").json()["download_url"] is not None
    alice.user_permissions.remove(card)
    serves_nothing(job, alice)


def test_those_shared_with_see_no_trace_of_a_column_that_is_hidden_from_them(
    alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TransactionFilter.base_filters, "card_number", df.CharFilter("card_number"))
    alice.user_permissions.add(Permission.objects.get(codename="view_card"))
    alice = User.objects.get(pk=alice.pk)
    wanted = replace(ask_for("transactions", columns=["id", "card_number"]), filters={"card_number": "4111"})
    job, _ = services.request_export(alice, wanted)
    job.shared_with.add(bob)
    path = f"/api/v1/exports/{job.pk}/"
    mine, theirs = as_user(alice).get(path).json(), as_user(bob).get(path).json()
    assert ([each["name"] for each in mine["columns"]], mine["filters"]) == (["id", "card_number"], wanted.filters)
    assert ([each["name"] for each in theirs["columns"]], theirs["filters"]) == (["id"], {})
    browser = Client()
    browser.force_login(bob)
    shown = browser.get(f"/exports/{job.pk}/").content.decode()
    assert "4111" not in shown
    assert "ard number" not in shown


# Switched off


@pytest.fixture
def off(settings: Any) -> None:
    settings.ENABLE_EXPORTS = False


OPEN = ("/", "/login/", "/logout/", "/health/", "/health/ready/", "/metrics", "/api/schema/", "/api/docs/")
"""What has to do with exports only from afar."""


def test_switched_off_every_endpoint_says_so(job: ExportJob, alice: User, off: None) -> None:
    browser = Client()
    browser.force_login(alice)
    answered = {}
    for line, _ in (*by_export(), *elsewhere()):
        if (path := line.split()[1]) not in OPEN:
            named = path.replace("{id}", str(job.pk)).replace("{name}", "customers").replace("{key}", "none")
            answered[line] = ask(browser, line, named)
    assert {line: status for line, status in answered.items() if status != 503} == {}
    assert len(answered) > len(STATES)
    refused = browser.get("/api/v1/exports/")
    assert refused.json() == {"code": "exports_disabled", "detail": "Exports are switched off at the moment."}
    assert refused["Retry-After"] == "60"


def test_switched_off_the_rest_of_the_site_lives(alice: User, off: None) -> None:
    assert [Client().get(path).status_code for path in ("/health/", "/login/")] == [200, 200]
    browser = Client()
    browser.force_login(alice)
    assert [browser.get(path).status_code for path in ("/api/schema/", "/api/docs/")] == [200, 200]


def test_switched_off_a_running_export_ends(job: ExportJob, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    followed = run.Run._note_chunk

    def switch_off(self: run.Run, progress: Progress) -> None:
        settings.ENABLE_EXPORTS = False
        followed(self, progress)

    monkeypatch.setattr(run.Run, "_note_chunk", switch_off)
    assert run.run_next("exports") is None
    job.refresh_from_db()
    assert (job.status, job.error_detail) == (Status.FAILED, "Exports were switched off.")
    assert leaves_no_object(job)
