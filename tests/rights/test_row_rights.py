"""What rows depend on besides permissions: kept with the file, and looked at again whenever somebody fetches it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, User

from exports_app import services
from exports_app.models import ExportJob
from exports_app.resources import Resource, register, registry
from tests.jobs import claim, request
from tests.rights.test_tables_of_a_file import As
from workers.run import Run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def regions() -> Iterator[dict[str, Any]]:
    """What each user's rows depend on, by name; a tuple, and a number for a key, which JSON has not."""
    rights: dict[str, Any] = {"alice": {1: ("north", "south")}}

    @register("regional")
    class Regional(Resource):
        model = Group
        columns = ("id",)

        def get_rights(self, user: Any) -> dict[str, Any] | None:
            found: dict[str, Any] | None = rights.get(user.get_username())
            return found

    yield rights
    registry.unregister("regional")


def run(job: ExportJob) -> ExportJob:
    assert Run(claim()).execute() is None
    job.refresh_from_db()
    return job


def test_a_file_is_had_for_as_long_as_its_owners_rows_are_the_same(
    alice: User, bob: User, as_user: As, regions: dict[str, Any]
) -> None:
    job = run(services.request_export(alice, request("regional"))[0])
    job.shared_with.add(bob)
    path = f"/api/v1/exports/{job.pk}/download/"
    assert [as_user(each).get(path).status_code for each in (alice, bob)] == [302, 302]
    regions["alice"] = {1: ("north",)}
    assert [as_user(each).get(path).status_code for each in (alice, bob)] == [403, 403]
    regions["alice"] = {1: ("north", "south")}
    assert [as_user(each).get(path).status_code for each in (alice, bob)] == [302, 302]


def test_rows_are_read_by_the_rights_of_the_run_not_of_the_request(
    alice: User, as_user: As, regions: dict[str, Any]
) -> None:
    job, _ = services.request_export(alice, request("regional"))
    regions["alice"] = {1: ("east",)}
    job = run(job)
    tables: Any = job.tables
    assert (job.status, tables[0]["rights"]) == ("completed", {"1": ["east"]})
    assert as_user(alice).get(f"/api/v1/exports/{job.pk}/download/").status_code == 302


def test_a_change_amid_a_run_ends_it_and_a_retry_goes_on_with_the_rights_of_then(
    alice: User, regions: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    job, _ = services.request_export(alice, request("regional"))
    started = Run(claim())
    write = started._write

    def change(*args: Any) -> None:
        regions["alice"] = {1: ("west",)}
        write(*args)

    monkeypatch.setattr(started, "_write", change)
    assert started.execute() is None
    job.refresh_from_db()
    assert (job.status, job.error_code) == ("failed", "permission_lost")
    services.retry_export(job, by=alice)
    assert run(job).status == "completed"


def test_a_deleted_export_forgets_them(alice: User, regions: dict[str, Any]) -> None:
    job = run(services.request_export(alice, request("regional"))[0])
    services.delete_export(job, by=alice)
    assert ExportJob.objects.get().tables == [
        {"resource": "regional", "columns": ["id"], "permissions": [], "rights": None}
    ]
