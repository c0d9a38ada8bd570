"""The admin as operators use it: find an export, see why it failed, mend it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from exports_app import api_keys
from exports_app.choices import EventKind, Status, Strategy
from exports_app.models import (
    ApiKey,
    ExportEvent,
    ExportJob,
    ExportNotification,
    ExportPart,
    ExportPerformance,
    ExportWebhook,
)
from tests.api_keys.making import make_key
from tests.conftest import make_user
from tests.web_pages import make_job, text

JOBS = "/admin/exports_app/exportjob/"
RUNS = "/admin/exports_app/exportperformance/"
KEYS = "/admin/exports_app/apikey/"


@pytest.fixture
def operator(client: Client, admin_user: User) -> Client:
    """A superuser, signed in."""
    client.force_login(admin_user)
    return client


@pytest.fixture
def observer(db: None) -> Client:
    """Staff who may look at exports, signed in."""
    user = make_user("observer", is_staff=True, permissions=("view_exportjob",))
    client = Client()
    client.force_login(user)
    return client


def act(client: Client, action: str, *jobs: ExportJob) -> Any:
    """Choose an action for some rows of the list."""
    return client.post(JOBS, {"action": action, "_selected_action": [str(job.pk) for job in jobs]}, follow=True)


def found(client: Client, query: str) -> set[str]:
    """IDs of the exports that a search shows."""
    body = client.get(JOBS, {"q": query}).content.decode()
    return set(re.findall(r'name="_selected_action" value="([^"]+)"', body))


def test_the_list_says_whose_what_and_how_far(operator: Client, alice: User) -> None:
    make_job(alice, Status.RUNNING, rows_done=417_000, estimated_rows=1_000_000, failures=1, crashes=2)
    make_job(alice, Status.COMPLETED)
    make_job(alice, Status.FAILED, error_code="worker_lost")
    shown = text(operator.get(JOBS))
    assert "alice customers csv Running - 41% 417,000 - 1 / 2" in shown
    assert "alice customers csv Completed - 100% 1,234,567 64.0 MB -" in shown
    assert "alice customers csv Failed worker_lost - 0 - -" in shown


def test_the_list_asks_the_database_no_more_often_when_it_is_long(
    operator: Client, alice: User, bob: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        make_job([alice, bob][number % 2])
    with django_assert_num_queries(7):  # session, user, count twice, error codes, resources, exports
        assert "20 export jobs" in text(operator.get(JOBS))


def test_an_export_is_found_by_its_id_its_request_and_its_owner(operator: Client, alice: User, bob: User) -> None:
    mine = make_job(alice, request_id="req-1")
    other = make_job(bob, request_id="req-2")
    assert found(operator, str(mine.pk)) == {str(mine.pk)}
    assert found(operator, "req-2") == {str(other.pk)}
    assert found(operator, " bob ") == {str(other.pk)}
    assert found(operator, "nothing") == set()
    assert found(operator, "") == {str(mine.pk), str(other.pk)}


def test_the_detail_shows_what_came_of_its_mails_and_webhooks(operator: Client, alice: User) -> None:
    job = make_job(alice, Status.COMPLETED)
    refused = {"status": "failed", "attempts": 8, "response_status": 500, "error": "The address answered 500."}
    webhook = ExportWebhook.objects.create(owner=alice, url="https://hooks.example/", secret="whsec_MTIz")
    ExportNotification.objects.create(job=job, channel="webhook", webhook=webhook, event="export.completed", **refused)
    shown = text(operator.get(f"{JOBS}{job.pk}/change/"))
    assert "Webhook export.completed Failed 8 500 The address answered 500." in shown
    assert "whsec_" not in shown


def test_the_detail_shows_the_traceback_and_what_to_do(operator: Client, alice: User) -> None:
    job = make_job(alice, Status.FAILED, error_code="bad_key", error_trace="Traceback: <module>\nKeyError")
    page = operator.get(f"{JOBS}{job.pk}/change/")
    assert "What to do: Give the resource a key that is unique and never NULL." in text(page)
    assert "<pre>Traceback: &lt;module&gt;\nKeyError</pre>" in page.content.decode()


def test_the_detail_shows_every_field(operator: Client, alice: User) -> None:
    body = operator.get(f"{JOBS}{make_job(alice).pk}/change/").content.decode()
    shown = set(re.findall(r"field-(\w+)", body)) | {"error_trace"}  # as a traceback
    missing = {field.name for field in ExportJob._meta.get_fields() if field.concrete} - shown
    assert missing == set()


def test_the_detail_shows_the_last_hundred_parts_and_the_events(operator: Client, alice: User, bob: User) -> None:
    job, other = make_job(alice, Status.RUNNING), make_job(bob, Status.RUNNING)
    for owner in (job, other):
        ExportPart.objects.bulk_create(
            ExportPart(job=owner, number=n, etag=f"e{n}", offset=0, size=n, rows=n, crc32=n, claim=1)
            for n in range(1, 151)
        )
    ExportEvent.objects.create(job=job, kind=EventKind.RETRY, data={"code": "storage_unavailable"})
    page = operator.get(f"{JOBS}{job.pk}/change/")
    numbers = re.findall(r'class="field-number">\s*<p>(\d+)</p>', page.content.decode())
    assert numbers == [str(n) for n in range(150, 50, -1)]
    assert 'Will be tried again {"code": "storage_unavailable"}' in text(page).replace("&quot;", '"')


def test_nobody_changes_rows_by_hand(operator: Client, alice: User) -> None:
    job = make_job(alice, Status.RUNNING)
    assert operator.get(f"{JOBS}add/").status_code == 403
    assert operator.post(f"{JOBS}{job.pk}/change/", {"status": "completed"}).status_code == 403
    assert operator.post(f"{JOBS}{job.pk}/delete/", {"post": "yes"}).status_code == 403
    assert operator.get(f"{RUNS}add/").status_code == 403
    assert operator.get(f"{KEYS}add/").status_code == 403


def test_exports_are_cancelled_from_the_list(operator: Client, alice: User) -> None:
    queued, running, done = make_job(alice), make_job(alice, Status.RUNNING), make_job(alice, Status.COMPLETED)
    shown = text(act(operator, "cancel", queued, running, done))
    assert "2 exports cancelled." in shown
    assert f"Export {done.pk}: This export is completed; only a queued or running one can be cancelled." in shown
    assert [job.status for job in ExportJob.objects.order_by("created_at")] == ["cancelled", "cancelled", "completed"]


def test_a_failed_export_is_queued_again_from_the_list(operator: Client, alice: User) -> None:
    job = make_job(alice, Status.FAILED)
    assert "1 export queued again." in text(act(operator, "retry", job))
    job.refresh_from_db()
    assert job.status == Status.QUEUED


def test_a_file_is_deleted_from_the_list_and_its_row_stays(operator: Client, alice: User) -> None:
    job = make_job(alice, Status.COMPLETED)
    assert "1 export deleted." in text(act(operator, "delete_file", job))
    job.refresh_from_db()
    assert (job.status, job.file_key, job.deleted_at is None) == (Status.COMPLETED, "", False)


def test_who_may_only_look_is_offered_no_action(observer: Client, alice: User) -> None:
    job = make_job(alice)
    assert 'name="action"' not in observer.get(JOBS).content.decode()
    act(observer, "cancel", job)
    job.refresh_from_db()
    assert job.status == Status.QUEUED


def test_staff_without_a_permission_see_nothing(client: Client, db: None) -> None:
    client.force_login(make_user("newcomer", is_staff=True))
    assert client.get(JOBS).status_code == 403


def test_runs_show_how_fast_they_were(operator: Client, alice: User) -> None:
    ExportPerformance.objects.create(
        owner=alice,
        resource="customers",
        format="csv",
        strategy=Strategy.BACKGROUND,
        rows=1_000_000,
        bytes=67_108_864,
        seconds=2.5,
        chunk_p50_ms=11.2,
        chunk_p95_ms=19.7,
        chunk_max_ms=41.0,
    )
    shown = text(operator.get(RUNS))
    assert "alice customers csv In the background 1,000,000 64.0 MB 2.50 400,000 11 / 20 / 41 -" in shown


def test_keys_are_listed_without_their_digest_and_can_be_revoked(operator: Client, alice: User) -> None:
    key, secret = api_keys.create(alice, name="script", scopes=["export", "read"], resources=["tags"])
    page = operator.get(KEYS)
    assert f"{secret[:8]} script alice read, export tags" in text(page)
    assert "Revoke selected API keys" in text(page)
    assert key.digest not in page.content.decode()
    assert secret not in page.content.decode()
    assert operator.get(f"{KEYS}{key.pk}/change/").status_code == 403
    assert "script" in text(operator.get(KEYS, {"q": "alice"}))
    operator.post(KEYS, {"action": "delete_selected", "_selected_action": [str(key.pk)], "post": "yes"})
    assert not ApiKey.objects.exists()


def test_keys_are_revoked_by_who_may_delete_them_alone(observer: Client, alice: User) -> None:
    make_key(alice)
    assert observer.get(KEYS).status_code == 403
    user = User.objects.get(username="observer")
    user.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    assert "delete_selected" not in observer.get(KEYS).content.decode()


SINGLE = """
view_exportjob                           200 200 200
change_exportjob                         403 403 403
delete_exportjob                         403 403 403
change_exportjob change_exportperformance  403 403 403
view_exportperformance                   403 403 403
download_others view_error_trace unlimited  403 403 403
"""
"""Permissions of ``exports_app``, and what staff who have them get: the list, one export, the runs."""


@pytest.mark.parametrize("line", SINGLE.strip().splitlines(), ids=lambda line: line.split("  ")[0].strip())
def test_the_admin_asks_for_what_operators_need_everywhere(client: Client, alice: User, line: str) -> None:
    words = line.split()
    job = make_job(alice, Status.COMPLETED)
    client.force_login(make_user("one", is_staff=True, permissions=tuple(words[:-3])))
    paths = (JOBS, f"{JOBS}{job.pk}/change/", RUNS)
    assert [str(client.get(path).status_code) for path in paths] == words[-3:]


def test_who_sees_exports_sees_their_events_parts_and_notices(observer: Client, alice: User) -> None:
    job = make_job(alice, Status.COMPLETED)
    ExportEvent.objects.create(job=job, kind=EventKind.QUEUED, data={})
    shown = text(observer.get(f"{JOBS}{job.pk}/change/"))
    assert "Events (the last 100)" in shown
    assert "Mails and webhooks" in shown
    assert "Parts (the last 100)" in shown


def test_a_project_with_rules_of_its_own_has_them_in_the_admin_too(
    client: Client, alice: User, bob: User, settings: Any
) -> None:
    settings.EXPORTS_ACCESS = "tests.rights.tenants.OperatorsOfOneDomain"
    User.objects.filter(pk=bob.pk).update(email="bob@elsewhere.example")
    near, far = make_job(alice), make_job(bob)
    client.force_login(make_user("near", is_staff=True, permissions=("view_exportjob", "change_exportjob")))
    assert found(client, "") == {str(near.pk)}
    assert [client.get(f"{JOBS}{job.pk}/change/").status_code for job in (near, far)] == [200, 302]
    for owner, resource in ((alice, "customers"), (bob, "trades")):
        ExportPerformance.objects.create(owner=owner, resource=resource, format="csv", rows=1, bytes=1, seconds=1)
    assert re.findall(r'class="field-resource">(\w+)<', client.get(RUNS).content.decode()) == ["customers"]


def test_keys_are_listed_to_who_may_view_them_alone(client: Client, alice: User) -> None:
    make_key(alice)
    for codename, status in (("view_apikey", 200), ("change_apikey", 403), ("add_apikey", 403)):
        client.force_login(make_user(codename, is_staff=True, permissions=(codename,)))
        assert client.get(KEYS).status_code == status
