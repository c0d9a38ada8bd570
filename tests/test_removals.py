"""Deleting never fails for the person, and one file that cannot be removed holds up no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import FileSystemStorage
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from exports_app import removals, retention, services, storage
from exports_app.models import ExportJob, ExportTombstone
from exports_app.models.jobs import LEAVING
from tests.jobs import bucket, fill_customers, finish, make_job
from tests.removing import LONG_AGO, away, counted_calls, denied, make_backlog, make_due
from workers import upkeep

MINUTES = "SELECT round(extract(epoch FROM discard_due_at - clock_timestamp()) / 60) FROM exports_app_exportjob"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    yield
    ExportJob.objects.all().delete()
    make_due()
    retention.bury()
    ExportTombstone.objects.all().delete()


def stored(user: User) -> list[str]:
    return [each.key for each in bucket().objects.filter(Prefix=f"exports/{user.pk}/")]


def expired(user: User, number: int) -> list[ExportJob]:
    """Finished exports whose time is over, the oldest first."""
    fill_customers(3)
    jobs = [finish(user) for _ in range(number)]
    for minute, job in enumerate(jobs):
        ExportJob.objects.filter(pk=job.pk).update(
            expires_at=f"2020-01-01T00:{minute:02}:00Z", completed_at=f"2019-12-31T00:{minute:02}:00Z"
        )
    return jobs


def test_of_four_expired_files_one_that_cannot_be_removed_holds_up_none(alice: User) -> None:
    stuck, *_ = expired(alice, 4)
    with denied(stuck.file_key):
        assert retention.prune().files == 3
        assert retention.prune().files == 0
    assert stored(alice) == [stuck.file_key]
    stuck.refresh_from_db()
    assert (stuck.status, stuck.discard_failures, removals.refused()) == ("expired", 1, 1)
    assert retention.prune().files == 0  # it waits
    make_due()
    assert retention.prune().files == 1
    assert (stored(alice), removals.refused()) == ([], 0)


def test_the_same_of_files_in_a_folder(alice: User, settings: Any, tmp_path: Path) -> None:
    settings.STORAGES = settings.STORAGES | {
        "exports": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}}
    }
    assert isinstance(storage.exports_storage(), FileSystemStorage)
    stuck, *_ = expired(alice, 4)
    path = tmp_path / stuck.file_key
    path.unlink()
    (path / "within").mkdir(parents=True)  # no file any more, which cannot be removed as one
    assert retention.prune().files == 3
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert removals.refused() == 1


def test_a_refused_file_is_tried_again_after_a_minute_then_two_then_four(alice: User) -> None:
    (job,) = expired(alice, 1)
    pauses = []
    with denied(job.file_key):
        for _ in range(3):
            retention.prune()
            with connection.cursor() as cursor:
                cursor.execute(MINUTES)
                pauses.append(int(cursor.fetchone()[0]))
            make_due()
    assert pauses == [1, 2, 4]


def test_a_storage_that_is_away_costs_no_file_its_turn(alice: User) -> None:
    expired(alice, 5)
    with away():
        assert retention.prune().files == 0
    statuses = ExportJob.objects.values_list("status", flat=True)
    assert list(statuses) == ["expired"] * 5
    assert ExportJob.objects.filter(discard_due_at=None).count() == 3  # two were tried
    make_due()
    assert retention.prune().files == 5


@pytest.mark.parametrize("trouble", ["refused", "away"])
def test_deleting_succeeds_whatever_the_storage_does(
    api: APIClient, alice: User, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_customers(3)
    job = finish(alice)
    with denied(job.file_key) if trouble == "refused" else away():
        assert api.delete(f"/api/v1/exports/{job.pk}/").status_code == 204
    assert api.get(f"/api/v1/exports/{job.pk}/").status_code == 404
    job.refresh_from_db()
    assert stored(alice) == [job.file_key]
    assert services.download_url(alice, job) is None
    upkeep.sweep()
    assert stored(alice) == []
    job.refresh_from_db()
    assert (job.file_key, job.discard_failures) == ("", 0)


def test_the_page_deletes_while_the_storage_is_away(browser: Client, alice: User) -> None:
    fill_customers(3)
    job = finish(alice)
    with away():
        answer = browser.post(f"/exports/{job.pk}/delete/")
    assert (answer.status_code, answer["Location"]) == (302, "/exports/")
    upkeep.sweep()
    assert stored(alice) == []


def test_the_admin_deletes_many_while_the_storage_is_away_and_asks_it_once(admin_client: Client, alice: User) -> None:
    fill_customers(3)
    jobs = [finish(alice) for _ in range(3)]
    chosen = {"action": "delete_file", "_selected_action": [str(job.pk) for job in jobs]}
    with away() as tried:
        answer = admin_client.post("/admin/exports_app/exportjob/", chosen, follow=True)
    assert "3 exports deleted." in answer.content.decode()
    assert tried == ["DeleteObject"]
    assert len(stored(alice)) == 3
    upkeep.sweep()
    assert stored(alice) == []


def test_an_owner_is_given_no_file_of_an_export_that_an_operator_deleted(
    api: APIClient, alice: User, admin_user: User
) -> None:
    fill_customers(3)
    job = finish(alice)
    with away():
        services.delete_export(job, by=admin_user, reason="By mistake")
    shown = api.get(f"/api/v1/exports/{job.pk}/").json()
    assert (shown["status"], shown["download_url"]) == ("completed", None)
    assert api.get(f"/api/v1/exports/{job.pk}/download/").status_code == 404


def test_operators_are_told_how_many_files_the_storage_refuses(alice: User, olga: User) -> None:
    make_job(alice, status="expired", file_key="exports/0/x.1.csv", discard_failures=2)
    ExportTombstone.objects.create(file_key="exports/0/y.1.csv", created_at=LONG_AGO, discard_failures=1)
    client = APIClient()
    client.force_authenticate(olga)
    assert client.get("/health/").json()["refused_removals"] == 2
    assert b"\nexports_refused_removals 2.0\n" in client.get("/metrics").content


def test_a_retry_forgets_that_the_file_before_was_refused(alice: User) -> None:
    job = make_job(alice, status="failed", error_code="internal", file_key="exports/0/x.1.csv", discard_failures=3)
    services.retry_export(job, by=alice)
    job.refresh_from_db()
    assert (job.status, job.discard_failures, job.discard_due_at) == ("queued", 0, None)


def test_a_backlog_goes_by_many_in_one_call(alice: User) -> None:
    make_backlog(alice, 1_200)
    with counted_calls() as calls:
        assert retention.prune().files == 1_200
    assert calls == ["DeleteObjects"] * 3
    assert stored(alice) == []


def test_two_at_once_do_not_take_the_same_files(alice: User) -> None:
    for number in range(600):
        make_job(alice, status="cancelled", file_key=f"exports/0/{number}.1.csv", completed_at=LONG_AGO)
    rows = ExportJob.objects.filter(LEAVING).order_by("completed_at", "pk")
    first, second = removals.take(ExportJob, rows), removals.take(ExportJob, rows)
    assert (len(first), len(second), len(removals.take(ExportJob, rows))) == (500, 100, 0)
    assert {job.pk for job in first}.isdisjoint(job.pk for job in second)


def test_what_a_round_does_not_finish_is_left_to_the_next(alice: User) -> None:
    make_backlog(alice, 3)
    pruned = retention.prune(0)
    assert (pruned.files, pruned.more) == (0, True)
    pruned = retention.prune()
    assert (pruned.files, pruned.more) == (3, False)
