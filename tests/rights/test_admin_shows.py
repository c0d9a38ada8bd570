"""The admin to operators who may not read the data: how an export goes and why it failed, nothing of its rows."""

from __future__ import annotations

import html
import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from exports_app import lifecycle
from exports_app.choices import EventKind, Status
from exports_app.models import ApiKey, ExportJob, ExportPart
from tests.api_keys.making import make_key
from tests.conftest import OPERATE, make_user
from tests.rights.conftest import MAIN, MAIN_COLUMN, RIGHTS

pytestmark = pytest.mark.django_db
JOBS = "/admin/exports_app/exportjob/"
OPERATOR = (*OPERATE, "view_error_trace")


@pytest.fixture
def secret_job(alice: User, workbooks: None) -> ExportJob:
    """An export each of whose fields has a mark of its own."""
    job = ExportJob.objects.create(
        owner=alice,
        resource="groups",
        format="xlsx",
        status=Status.FAILED,
        error_code="bad_key",
        error_detail="MARK-reason",
        columns=[{"name": "id", "label": "MARK-label"}, {"name": "name", "label": "MARK-column"}],
        filters={"name": "MARK-filter"},
        ids=["MARK-ids"],
        parameters={"of": "MARK-parameters"},
        context={"asked": "MARK-context"},
        last_key=["MARK-last"],
        snapshots=[{"at": "2026-02-26T12:00:00+00:00", "after_key": ["MARK-snapshot"], "rows_before": 4_711}],
        tables=[
            {"resource": "groups", "columns": ["MARK-table"], "permissions": [MAIN], "rights": {"of": "MARK-right"}}
        ],
        write_token="MARK-write",
        upload_id="MARK-upload",
        etag="MARK-etag",
        crc32="MARKcrc1",
        idempotency_key="MARK-key",
        idempotency_hash="MARK-hash",
        file_size=1_000_000,
        request_id="req-7",
    )  # fmt: skip
    ExportPart.objects.create(job=job, number=1, etag="e", offset=0, size=1, rows=1, crc32=1_234_567_891, claim=1)
    lifecycle.record_event(job.pk, EventKind.COMPLETED, {"row_count": 1, "file_size": 2, "crc32": "MARKcrc2"})
    return job


def record_tables(columns: list[str], **more: str) -> None:
    """What the file was made with."""
    rights = {"permissions": [MAIN], "rights": {"of": "MARK-right"}}
    ExportJob.objects.update(tables=[{"resource": "groups", "columns": columns, **rights, **more}])


def operator(client: Client, *permissions: str) -> Client:
    codenames = [each.partition(".")[2] for each in permissions]
    client.force_login(make_user("operator", permissions=(*OPERATOR, *codenames), is_staff=True))
    return client


def marks(client: Client, job: ExportJob) -> set[str]:
    page = client.get(f"{JOBS}{job.pk}/change/")
    assert page.status_code == 200
    return set(re.findall(r"MARK-?\w+|1234567891", html.unescape(page.content.decode())))


EVERY = {
    *("MARK-reason", "MARK-label", "MARK-column", "MARK-filter", "MARK-ids", "MARK-parameters", "MARK-context"),
    *("MARK-last", "MARK-snapshot", "MARK-table", "MARK-right", "MARK-write", "MARK-upload", "MARK-etag"),
    *("MARKcrc1", "MARKcrc2", "MARK-key", "MARK-hash", "1234567891"),
}


def test_who_may_read_all_of_the_data_is_shown_every_field(client: Client, secret_job: ExportJob) -> None:
    record_tables(["id", "name"], note="MARK-table")
    assert marks(operator(client, *RIGHTS), secret_job) == EVERY


def test_who_may_not_read_the_data_is_shown_the_reason_alone(client: Client, secret_job: ExportJob) -> None:
    assert marks(operator(client), secret_job) == {"MARK-reason"}
    page = client.get(f"{JOBS}{secret_job.pk}/change/").content.decode()
    assert "groups" in page
    assert "4711" in page, "how many rows there were is no row"


def test_who_lacks_a_column_is_not_shown_it_nor_any_value(client: Client, secret_job: ExportJob) -> None:
    record_tables(["id", "name"])
    assert marks(operator(client, MAIN), secret_job) == {"MARK-reason", "MARK-label", "MARK-filter"}


def test_who_has_the_column_too_may_read_it(client: Client, secret_job: ExportJob) -> None:
    record_tables(["id", "name"])
    assert {"MARK-column", "MARK-write"} <= marks(operator(client, MAIN, MAIN_COLUMN), secret_job)


def test_the_list_and_the_histories_tell_no_more(client: Client, secret_job: ExportJob) -> None:
    client = operator(client)
    for path in (JOBS, f"{JOBS}{secret_job.pk}/history/", f"{JOBS}?all=1", f"{JOBS}?o=-10.3.1"):
        page = client.get(path)
        assert page.status_code == 200, path
        assert "MARK" not in page.content.decode()
    assert client.get(f"{JOBS}{secret_job.pk}/delete/").status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        "filters__icontains=MARK",
        "filters__name__startswith=MARK",
        "ids__contains=%5B%22MARK-ids%22%5D",
        "last_key__isnull=False",
        "write_token__startswith=MARK",
        "idempotency_key__startswith=MARK",
        "crc32=MARKcrc1",
        "parameters__of__startswith=MARK",
        "error_trace__contains=x",
        "columns__contains=%5B%5D",
        "owner__password__startswith=md5",
        "owner__email__startswith=a",
        "shared_with__password__startswith=md5",
        "parts__crc32=1234567891",
        "events__data__crc32=MARKcrc2",
        "tokens__digest__startswith=a",
    ],
)
def test_no_query_of_the_list_finds_by_a_field_that_is_not_offered(
    client: Client, secret_job: ExportJob, query: str
) -> None:
    assert operator(client).get(f"{JOBS}?{query}").status_code == 400


@pytest.mark.parametrize(
    "query", ["digest__startswith=0", "password_mark__startswith=0", "user__password__startswith=m"]
)
def test_nor_does_the_list_of_keys(client: Client, alice: User, query: str) -> None:
    make_key(alice)
    client.force_login(make_user("staff", permissions=("view_apikey",), is_staff=True))
    assert client.get("/admin/exports_app/apikey/").status_code == 200
    assert client.get(f"/admin/exports_app/apikey/?{query}").status_code == 400
    assert ApiKey.objects.exists()


@pytest.mark.parametrize("term", ["MARK-filter", "MARK-write", "MARK", "groups", "req", "alice@example.com"])
def test_a_search_finds_by_whole_names_that_are_shown_alone(client: Client, secret_job: ExportJob, term: str) -> None:
    client = operator(client)
    assert str(secret_job.pk) not in client.get(JOBS, {"q": term}).content.decode()
    assert str(secret_job.pk) in client.get(JOBS, {"q": "req-7"}).content.decode()


def test_the_filters_that_are_offered_go_on_working(client: Client, secret_job: ExportJob) -> None:
    client = operator(client)
    for query in ("status__exact=failed", "error_code=bad_key", "resource=groups", "deleted_at__isempty=1"):
        page = client.get(f"{JOBS}?{query}")
        assert page.status_code == 200
        assert str(secret_job.pk) in page.content.decode(), query


@pytest.mark.parametrize("name", ["write_token", "idempotency_key", "owner__password", "filters"])
def test_no_field_is_picked_by_a_popup(client: Client, secret_job: ExportJob, name: str) -> None:
    client = operator(client)
    assert client.get(f"{JOBS}?_popup=1&_to_field={name}").status_code == 400
    assert client.get(f"{JOBS}{secret_job.pk}/change/?_to_field={name}").status_code == 400


def test_the_choices_of_a_field_are_completed_for_nobody_who_may_not_see_them(
    client: Client, secret_job: ExportJob
) -> None:
    query = {"app_label": "exports_app", "model_name": "exportjob", "field_name": "owner", "term": "a"}
    assert operator(client).get("/admin/autocomplete/", query).status_code == 403


def test_who_deletes_a_user_is_told_how_many_exports_go_and_not_of_what(
    client: Client, alice: User, secret_job: ExportJob
) -> None:
    client.force_login(make_user("staff", permissions=("view_user", "delete_user"), is_staff=True))
    page = client.get(f"/admin/auth/user/{alice.pk}/delete/").content.decode()
    assert f"Export {secret_job.pk}" in page
    assert "groups" not in page
    assert "MARK" not in page
