"""What operators see and do, by permission: being staff means nothing."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from exports_app import services
from exports_app.access import SYSTEM
from exports_app.choices import EventKind, Status
from exports_app.models import ExportEvent, ExportJob
from tests.conftest import OPERATE, VIEW_SAMPLES, make_user
from tests.jobs import make_job
from tests.rights.test_tables_of_a_file import As
from tests.web_pages import text

pytestmark = pytest.mark.django_db(transaction=True)


def test_who_sees_everybodys_exports_may_not_change_them(alice: User, as_user: As) -> None:
    job = make_job(alice)
    viewer = as_user(make_user("viewer", permissions=("view_exportjob",), is_staff=True))
    assert viewer.get(f"/api/v1/exports/{job.pk}/").json()["owner"] == "alice"
    for act in ("cancel/", "retry/"):
        assert viewer.post(f"/api/v1/exports/{job.pk}/{act}").status_code == 403
    assert viewer.delete(f"/api/v1/exports/{job.pk}/").status_code == 403
    assert ExportJob.objects.get().status == Status.QUEUED


def test_who_may_change_but_not_see_finds_nothing(alice: User, as_user: As) -> None:
    job = make_job(alice)
    blind = as_user(make_user("blind", permissions=("change_exportjob",)))
    assert blind.post(f"/api/v1/exports/{job.pk}/cancel/").status_code == 404


def test_an_act_on_anothers_export_is_kept_with_who_and_why(
    alice: User, olga: User, as_user: As, client: Client
) -> None:
    job = make_job(alice)
    cancelled = as_user(olga).post(f"/api/v1/exports/{job.pk}/cancel/", {"reason": "The database is being moved."})
    assert cancelled.json()["status"] == "cancelled"
    (event,) = ExportEvent.objects.filter(kind=EventKind.OPERATED)
    assert sorted(event.data) == ["act", "person", "reason"]
    client.force_login(alice)
    page = text(client.get(f"/exports/{job.pk}/"))
    assert "Cancelled by olga" in page
    assert "The database is being moved." in page


def test_what_owners_do_themselves_is_no_act_of_another(alice: User) -> None:
    services.cancel_export(make_job(alice), by=alice)
    assert not ExportEvent.objects.filter(kind=EventKind.OPERATED).exists()


def test_the_site_itself_stands_as_such(alice: User, client: Client) -> None:
    job = make_job(alice)
    services.cancel_export(job, by=SYSTEM, reason="Closed for the night.")
    client.force_login(alice)
    page = text(client.get(f"/exports/{job.pk}/"))
    assert "Cancelled by the site" in page
    assert "Closed for the night." in page


def test_an_export_that_another_removed_stays_in_its_owners_list(
    alice: User, bob: User, olga: User, as_user: As, client: Client
) -> None:
    job = make_job(alice, status=Status.FAILED, error_code="bad_key", filters={"name": "Schmidt"}, ids=[7])
    job.shared_with.add(bob)
    assert as_user(olga).delete(f"/api/v1/exports/{job.pk}/", {"reason": "Too large."}).status_code == 204
    (seen,) = as_user(alice).get("/api/v1/exports/").json()["results"]
    assert (seen["id"], seen["removed"]["by"], seen["removed"]["reason"]) == (str(job.pk), "olga", "Too large.")
    assert (seen["filters"], seen["ids"], seen["file_name"]) == ({}, None, "")
    client.force_login(alice)
    assert "Removed by olga: Too large." in text(client.get("/exports/"))
    page = text(client.get(f"/exports/{job.pk}/"))
    assert "Removed by olga: Too large." in page
    assert "Filters" not in page
    assert as_user(bob).get("/api/v1/exports/").json()["results"] == []
    assert as_user(olga).get(f"/api/v1/exports/{job.pk}/").status_code == 404
    assert as_user(alice).delete(f"/api/v1/exports/{job.pk}/").status_code == 204
    assert as_user(alice).get("/api/v1/exports/").json()["results"] == []


def test_opening_anothers_file_takes_a_permission_of_its_own(job: ExportJob, as_user: As) -> None:
    readers = ("view_group", "change_group", "view_permission", "change_permission")
    path = f"/api/v1/exports/{job.pk}/download/"
    assert as_user(make_user("op", permissions=(*OPERATE, *readers))).get(path).status_code == 403
    assert as_user(make_user("opener", permissions=(*OPERATE, "download_others"))).get(path).status_code == 403
    both = make_user("both", permissions=(*OPERATE, "download_others", *readers))
    assert as_user(both).get(path).status_code == 302


def test_a_traceback_is_for_those_with_the_permission(alice: User, client: Client) -> None:
    job = make_job(alice, status=Status.FAILED, error_code="bad_query", error_trace="Traceback: row 4711")
    for name, permissions, shown in (("op", OPERATE, False), ("dev", (*OPERATE, "view_error_trace"), True)):
        client.force_login(make_user(name, permissions=permissions, is_staff=True))
        page = client.get(f"/admin/exports_app/exportjob/{job.pk}/change/").content.decode()
        assert ("row 4711" in page) is shown


def test_someone_without_the_datas_permission_sees_the_state_alone(alice: User, as_user: As, client: Client) -> None:
    job = make_job(
        alice,
        status=Status.FAILED,
        error_code="bad_key",
        error_detail="Row 4711 of 98765.",
        row_count=98_765,
        rows_done=98_765,
        filters={"name": "Schmidt"},
        ids=[4711],
        columns=[{"name": "id", "label": "ID"}],
    )
    stranger = make_user("stranger")
    job.shared_with.add(stranger)
    told = [as_user(stranger).get(path).content.decode() for path in (f"/api/v1/exports/{job.pk}/", "/api/v1/exports/")]
    client.force_login(stranger)
    told += [client.get(path).content.decode() for path in (f"/exports/{job.pk}/", "/exports/")]
    told.append(as_user(stranger).get(f"/api/v1/exports/{job.pk}/status/").content.decode())
    for each in told:
        assert all(word not in each for word in ("4711", "Schmidt", "98765", "98,765", "ustomers"))
    seen = as_user(stranger).get(f"/api/v1/exports/{job.pk}/").json()
    assert (seen["status"], seen["error"]["code"], seen["owner"]) == ("failed", "bad_key", "alice")


def test_a_project_has_rules_of_its_own(alice: User, bob: User, as_user: As, settings: object) -> None:
    job = make_job(alice)
    assert as_user(bob).get(f"/api/v1/exports/{job.pk}/").status_code == 404
    settings.EXPORTS_ACCESS = "tests.rights.tenants.SameMailDomain"  # type: ignore[attr-defined]
    assert as_user(bob).get(f"/api/v1/exports/{job.pk}/").status_code == 200
    assert as_user(make_user("eve", permissions=VIEW_SAMPLES)).get(f"/api/v1/exports/{job.pk}/").status_code == 200
    User.objects.filter(username="eve").update(email="eve@elsewhere.example")
    eve = User.objects.get(username="eve")
    assert as_user(eve).get(f"/api/v1/exports/{job.pk}/").status_code == 404
