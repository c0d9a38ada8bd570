"""Whoever deletes a user: nothing of theirs stays, in tables or bucket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import requests
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from exports_app import downloads, erasure, orphans, retention, services
from exports_app.models import ExportJob, ExportPreset, ExportTombstone, ExportWebhook
from tests.api_keys.making import make_key
from tests.jobs import bucket, claim, fill_customers, finish, make_job, request
from tests.removing import away, counted_calls, denied, make_due
from workers.run import Run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_stored(alice: User, bob: User) -> None:
    """Another run of the tests, whose users had the same numbers, may have left files in this bucket."""
    for user in (alice, bob):
        bucket().objects.filter(Prefix=f"{orphans.PREFIX}{user.pk}/").delete()


def objects(user: User) -> list[str]:
    """Of their exports."""
    return [each.key for each in bucket().objects.filter(Prefix=f"{orphans.PREFIX}{user.pk}/")]


def uploads(user: User) -> list[str]:
    """Unfinished ones."""
    found = bucket().meta.client.list_multipart_uploads(Bucket=bucket().name, Prefix=f"{orphans.PREFIX}{user.pk}/")
    return [each["Key"] for each in found.get("Uploads", [])]


def mentions(name: str) -> list[str]:
    """Tables of ours in which a row holds the name, in whatever column."""
    with connection.cursor() as cursor:
        found = []
        for table in connection.introspection.table_names(cursor):
            if table.startswith("exports_app_"):
                cursor.execute(f'SELECT count(*) FROM "{table}" AS row WHERE row::text ILIKE %s', [f"%{name}%"])
                found += [table] if cursor.fetchone() != (0,) else []
        return found


@pytest.fixture
def belongings(alice: User, bob: User) -> ExportJob:
    """An export of Alice's with a link, one of Bob's that she fetched, a preset, a webhook and a key."""
    fill_customers(3)
    job = finish(alice)
    job.shared_with.add(bob)
    downloads.make_token(job, alice)
    of_bob = finish(bob)
    of_bob.shared_with.add(alice)
    downloads.download(alice, of_bob.pk, address="203.0.113.7")
    ExportPreset.objects.create(owner=alice, name="alice's", resource="customers")
    ExportWebhook.objects.create(owner=alice, url="https://hooks.example.com/", secret=f"whsec_{'A' * 32}")
    make_key(alice, name="alice's")
    return job


def by_admin(user: User, client: Client, admin: User) -> None:
    client.force_login(admin)
    asked = client.get(f"/admin/auth/user/{user.pk}/delete/").content.decode()
    assert "Are you sure" in asked
    assert client.post(f"/admin/auth/user/{user.pk}/delete/", {"post": "yes"}).status_code == 302


def by_orm(user: User, client: Client, admin: User) -> None:
    user.delete()


def by_command(user: User, client: Client, admin: User) -> None:
    call_command("erase_user", user.username)


@pytest.mark.parametrize("delete", [by_admin, by_orm, by_command], ids=lambda each: each.__name__)
def test_nothing_of_theirs_stays(
    belongings: ExportJob,
    alice: User,
    bob: User,
    client: Client,
    admin_user: User,
    delete: Callable[[User, Client, User], None],
) -> None:
    url = services.download_url(alice, belongings)
    assert url is not None
    assert requests.get(url, timeout=5).status_code == 200
    former = User(pk=alice.pk)
    delete(alice, client, admin_user)
    assert not User.objects.filter(username="alice").exists()
    assert requests.get(url, timeout=5).status_code == 404
    assert objects(former) == []
    assert len(objects(bob)) == 1
    assert mentions("alice") == []
    assert mentions("203.0.113.7") == []
    api = APIClient()
    api.force_authenticate(bob)
    (fetched,) = api.get(f"/api/v1/exports/{ExportJob.objects.get().pk}/downloads/").json()["results"]
    assert (fetched["by"], fetched["address"], fetched["via"]) == ("a former user", "", "login")


def test_a_run_that_goes_on_leaves_neither_object_nor_upload(
    alice: User, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.EXPORTS_PART_SIZE = 5 * 1024 * 1024
    monkeypatch.setattr("exports_app.pipeline.sources.sql.MAX_CHUNK_ROWS", 2_000)
    fill_customers(120_000)
    services.request_export(alice, request())
    run = Run(claim("exports.large"))
    record, erased, former = run._record_upload, [], User(pk=alice.pk)

    def leave(upload_id: str) -> None:
        erased.append(erasure.erase_user(alice))
        record(upload_id)

    monkeypatch.setattr(run, "_record_upload", leave)
    assert run.execute() is None
    assert erased == [1]
    assert (objects(former), uploads(former)) == ([], [])


def test_rows_that_plain_sql_deletes_leave_word_of_their_files(alice: User) -> None:
    fill_customers(3)
    job = finish(alice)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM exports_app_exportevent; DELETE FROM exports_app_exportperformance")
        cursor.execute("DELETE FROM exports_app_exportjob")
    assert objects(alice) == [job.file_key]
    retention.bury()
    assert objects(alice) == []
    assert ExportTombstone.objects.count() == 1  # looked at again, while its worker may still write
    with connection.cursor() as cursor:
        cursor.execute("UPDATE exports_app_exporttombstone SET created_at = created_at - interval '2 minutes'")
    make_due()
    assert retention.bury() == 1
    assert not ExportTombstone.objects.exists()


def test_where_the_storage_is_away_the_upkeep_removes_the_file(alice: User) -> None:
    fill_customers(3)
    job, former = finish(alice), User(pk=alice.pk)
    with away():
        call_command("erase_user", "alice")
        assert retention.bury() == 0
    assert objects(former) == [job.file_key]
    make_due()
    retention.bury()
    assert objects(former) == []


def test_a_file_that_cannot_be_removed_holds_up_no_other(alice: User) -> None:
    fill_customers(3)
    stuck, other, former = finish(alice), finish(alice), User(pk=alice.pk)
    with denied(stuck.file_key):
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM exports_app_exportevent; DELETE FROM exports_app_exportperformance")
            cursor.execute("DELETE FROM exports_app_exportjob")
        retention.bury()
    assert objects(former) == [stuck.file_key] != [other.file_key]
    make_due()
    retention.bury()
    assert objects(former) == []


def test_a_user_with_many_exports_goes_in_a_few_calls_to_the_storage(alice: User) -> None:
    jobs = [make_job(alice, file_key=f"exports/{alice.pk}/{uuid4()}.1.csv", status="cancelled") for _ in range(250)]
    for job in jobs:
        bucket().Object(job.file_key).put(Body=b"x")
    former = User(pk=alice.pk)
    with counted_calls() as calls:
        erasure.erase_user(alice)
    assert calls == ["ListMultipartUploads", "DeleteObjects"]
    assert len(objects(former)) == 150
    retention.bury()
    assert objects(former) == []


def test_an_unknown_name_is_said(db: None) -> None:
    with pytest.raises(CommandError, match=r"There is no user nobody\."):
        call_command("erase_user", "nobody")


def test_what_a_deleted_request_said_is_blank_at_once(alice: User) -> None:
    fill_customers(3)
    job = finish(alice, filters={"country_code": ["DE"]}, ids=[1, 2])
    services.delete_export(job, by=alice)
    row = ExportJob.objects.values().get()
    assert (row["filters"], row["ids"], row["snapshots"], row["last_key"], row["file_name"]) == ({}, None, [], None, "")
    assert (row["resource"], row["owner_id"], row["status"]) == ("customers", alice.pk, "completed")
    assert row["row_count"] is not None
    assert row["file_key"] == ""
